"""Rules coming in: as a body or as a file, JSON or YAML."""

from typing import Any

from flask import request

from src.api.uploads import receive
from src.domain.documents import LARGEST, read_document
from src.integrations.storage_upload import Upload
from src.wiring import adapters

ROOM = 16 * 1024  # for the boundaries of a form


def received_document() -> tuple[Any, str]:
    """The document of this request, and the name of its file."""
    if request.mimetype == "multipart/form-data":
        upload, name = receive(LARGEST + ROOM, None)
        return read_document(content_of(upload)), name
    request.max_content_length = LARGEST
    return read_document(request.get_data(cache=False)), ""


def content_of(upload: Upload) -> bytes:
    """A small file's bytes, which are not kept."""
    storage = adapters().storage
    try:
        upload.finish()
        with storage.local_path(upload.key) as path, open(path, "rb") as content:
            return content.read(LARGEST + 1)
    finally:
        upload.discard()
        storage.delete(upload.key)

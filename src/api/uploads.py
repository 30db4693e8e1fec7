"""Bytes coming in: streamed into storage as they arrive, never whole in memory."""

from typing import IO, Any

from flask import Request, request
from gunicorn.http.errors import ParseException
from werkzeug.datastructures import FileStorage

from src.domain.errors import FieldError, Invalid
from src.domain.files import storage_key
from src.domain.ids import uuid7
from src.integrations.storage_upload import Upload
from src.wiring import adapters

PIECE = 1024 * 1024


class NoFile(Invalid):
    slug = "no-file"
    title = "There is no file in this request"


class CutShort(Invalid):
    slug = "cut-short"
    title = "The upload ended before it was complete"


class StreamingRequest(Request):
    """Multipart parts with a file name go straight into storage; only upload views let that happen."""

    max_form_memory_size = 500_000
    max_form_parts = 50

    def _get_file_stream(
        self, total_content_length: int | None, content_type: str | None,
        filename: str | None = None, content_length: int | None = None,
    ) -> IO[bytes]:  # fmt: skip
        if not getattr(self, "is_upload", False):
            raise Invalid("This address takes no files.")
        if len(self.uploads) >= 1:
            raise Invalid("Send one file at a time.")
        upload: Any = adapters().storage.create(storage_key(uuid7()))
        self.uploads.append(upload)
        return upload  # type: ignore[no-any-return]  # an Upload is what the parser writes to

    @property
    def uploads(self) -> list[Upload]:
        found: list[Upload] = self.environ.setdefault("indicators.uploads", [])
        return found


def receive(limit: int, filename: str | None) -> tuple[Upload, str]:
    """The request's file and its name. Whatever goes wrong, nothing is left in storage."""
    request.max_content_length = limit
    request.is_upload = True  # type: ignore[attr-defined]  # read by _get_file_stream
    uploads: list[Upload] = request.uploads  # type: ignore[attr-defined]  # the app's request class has it
    try:
        upload, name = (
            _from_multipart() if request.mimetype == "multipart/form-data" else _from_body(filename)
        )
        _check_complete(upload)
    except BaseException as error:
        for upload in uploads:
            upload.discard()
        if isinstance(error, ParseException):  # how the web server says that the chunks are broken
            raise CutShort("It came in pieces, and one of them is broken.") from error
        raise
    return upload, name


def _from_multipart() -> tuple[Upload, str]:
    part: FileStorage | None = request.files.get("file")
    uploads: list[Upload] = request.uploads  # type: ignore[attr-defined]  # the app's request class has it
    if part is None or not uploads:
        message = "Send multipart/form-data with a part named «file», or the raw bytes with ?filename=."
        raise NoFile(message, errors=[FieldError("/file", "required", message)])
    return uploads[0], part.filename or ""


def _from_body(filename: str | None) -> tuple[Upload, str]:
    if not filename:
        message = "A raw body needs ?filename=, or send multipart/form-data with a part named «file»."
        raise NoFile(message, errors=[FieldError("/filename", "required", message)])
    upload: Any = request._get_file_stream(request.content_length, request.mimetype)  # noqa: SLF001  our own class
    while piece := request.stream.read(PIECE):
        upload.write(piece)
    return upload, filename


def _check_complete(upload: Upload) -> None:
    """A client that went away must not leave half a file that looks like a whole one."""
    announced = request.content_length
    if announced is not None and request.mimetype != "multipart/form-data" and upload.size != announced:
        raise CutShort(f"{announced:,} bytes were announced, {upload.size:,} came.")

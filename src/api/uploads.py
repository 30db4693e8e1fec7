"""Bytes coming in: streamed into storage as they arrive, never whole in memory."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, cast

from flask import Request, request
from gunicorn.http.errors import ParseException
from werkzeug.datastructures import FileStorage

from src.api.queries import refuse_unknown_parts
from src.api.schemas.notify import NOTIFY
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
        if len(self.uploads) >= getattr(self, "most_uploads", 1):
            raise Invalid("Send one file at a time.")
        upload: Any = adapters().storage.create(storage_key(uuid7()))
        self.uploads.append(upload)
        return upload  # type: ignore[no-any-return]  # an Upload is what the parser writes to

    @property
    def uploads(self) -> list[Upload]:
        found: list[Upload] = self.environ.setdefault("indicators.uploads", [])
        return found


def receive(limit: int, filename: str | None, *, known: Collection[str] | None = None) -> tuple[Upload, str]:
    """The request's file and its name. Whatever goes wrong, nothing is left in storage.

    If `known` parts are named, a form with others is refused.
    """
    with _receiving(limit, most=1):
        if known is not None and request.mimetype == "multipart/form-data":
            refuse_unknown_parts(known)
        upload, name = (
            _from_multipart() if request.mimetype == "multipart/form-data" else _from_body(filename)
        )
        _check_complete(upload)
    return upload, name


def receive_parts(limit: int, parts: Sequence[str]) -> list[tuple[Upload, str]]:
    """The files of a form with just these parts, and their names; in the order of the parts."""
    with _receiving(limit, most=len(parts)):
        files = request.files if request.mimetype == "multipart/form-data" else {}
        missing = [part for part in parts if part not in files]
        if missing:
            errors = [FieldError(f"/{part}", "required", "Send a file in this part.") for part in missing]
            raise NoFile(
                f"Send multipart/form-data with the parts: {', '.join(parts)}.",
                errors=errors,
            )
        refuse_unknown_parts((*parts, NOTIFY))
        return [(cast("Upload", files[part].stream), files[part].filename or "") for part in parts]


def receive_some(
    limit: int, parts: Sequence[str], *, known: Collection[str]
) -> dict[str, tuple[Upload, str]]:
    """The files of a form by the names of their parts: all, some or none of these; besides them, the form may
    have other `known` parts."""
    with _receiving(limit, most=len(parts)):
        refuse_unknown_parts({*parts, *known})
        files = request.files
        misplaced = next((name for name in files if name not in parts), None)
        if misplaced is not None:
            raise Invalid(f"«{misplaced}» takes no file. Files come as: {', '.join(parts)}.")
        return {name: (cast("Upload", part.stream), part.filename or name) for name, part in files.items()}


@contextmanager
def _receiving(limit: int, *, most: int) -> Iterator[None]:
    """Let so many files come; if anything goes wrong, none of them stays."""
    request.max_content_length = limit
    request.is_upload, request.most_uploads = True, most  # type: ignore[attr-defined]  # for _get_file_stream
    uploads: list[Upload] = request.uploads  # type: ignore[attr-defined]  # the app's request class has it
    try:
        yield
    except BaseException as error:
        for upload in uploads:
            upload.discard()
        if isinstance(error, ParseException):  # how the web server says that the chunks are broken
            raise CutShort("It came in pieces, and one of them is broken.") from error
        raise


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

"""Files: upload, list, look into, download, profile, delete."""

import errno
import logging
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, BinaryIO
from uuid import UUID

from flask import Response, request
from werkzeug.http import parse_range_header

from src.api.authentication import actor, owner_filter
from src.api.blueprint import BINARY, OPERATOR, VIEWER, Blueprint, body_fingerprint
from src.api.exports import note_download
from src.api.idempotency import once, respond
from src.api.lists import attachment, listing
from src.api.problems import problem
from src.api.schemas.files import (
    FILE,
    FileList,
    FileQuery,
    FileSchema,
    PreviewQuery,
    PreviewSchema,
    ProfileSchema,
    UploadQuery,
    UploadSchema,
)
from src.api.schemas.jobs import JOB, JobSchema
from src.api.uploads import receive
from src.domain.errors import DomainError, NotFound, PreconditionFailed
from src.engine.values import Detected
from src.integrations.storage_faults import MissingContent
from src.integrations.storage_upload import Upload
from src.models import File
from src.services.files import deleted_unless_kept, inspect, preview_of
from src.services.idempotency import Answer
from src.wiring import Services, adapters, services

log = logging.getLogger(__name__)
PIECE = 256 * 1024
blp = Blueprint(
    "files", url_prefix="/api/v1/files", description="Files that flow in and come out.", for_keys=True
)


class BrokenOff(ConnectionResetError):
    """Ends the connection, and quietly: the web server treats it like a client that went away."""


class NotProfiled(NotFound):
    slug = "not-profiled"
    title = "This file has no profile yet"


@blp.get("", needs=VIEWER)
@blp.arguments(FileQuery, location="query")
@blp.lists(FileList)
def list_files(query: dict[str, Any]) -> Response:
    """My files, newest first; for administrators, everybody's."""
    filters = {name: query.get(name) for name in ("kind", "name", "sha256")} | {"owner_id": owner_filter()}
    return listing(query, FILE, lambda s, page: s.file_rows.search(page, **filters), "files")


@blp.post("", needs=OPERATOR, takes_key=True)
@blp.arguments(UploadQuery, location="query")
@blp.doc(requestBody={"content": {
    "multipart/form-data": {"schema": UploadSchema},
    "application/octet-stream": {"schema": BINARY},
}})  # fmt: skip
@blp.response(201, FileSchema)
def upload_file(query: dict[str, Any]) -> Response:
    """Upload a file: CSV, TSV, text, XLSX, JSON lines or Parquet, or a .gz or .zip of one of them."""
    mine = adapters()
    upload, name = receive(mine.settings.max_upload_bytes, query.get("filename"))
    detected = inspect(mine.storage, mine.readers, upload, name)
    fingerprint = f"POST {request.path} {name} {upload.sha256}"
    with deleted_unless_kept(mine.storage, upload), services() as s:
        answer = once(s, fingerprint, lambda: _kept(s, upload, detected, name))
    if answer.is_replay:
        mine.storage.delete(upload.key)
    return respond(answer)


def _kept(s: Services, upload: Upload, detected: Detected, name: str) -> Answer:
    file = s.files.keep(upload, detected, name=name, actor=actor())
    return Answer(201, FILE.dump(file), {"Location": f"/api/v1/files/{file.id}"})


@blp.get("/<uuid:file_id>", needs=VIEWER)
@blp.response(200, FileSchema)
def get_file(file_id: UUID) -> Any:
    """One file: name, size, SHA-256, and what it was found to be."""
    return _own_file(file_id)


@blp.delete("/<uuid:file_id>", needs=OPERATOR)
@blp.response(204)
def delete_file(file_id: UUID) -> Response:
    """Delete the file and its bytes."""
    with services() as s:
        s.files.delete(s.file_rows.get_own(file_id, owner_filter()), actor())
    return Response(status=204)


@blp.get("/<uuid:file_id>/content", needs=VIEWER)
@blp.response(200, BINARY, content_type="*/*")
@blp.alt_response(206, schema=BINARY, content_type="*/*", description="The part that was asked for.")
@blp.alt_response(304, description="The client has these very bytes already.")
def get_content(file_id: UUID) -> Response:
    """The bytes, whole or in part (Range), with an ETag."""
    file = _own_file(file_id)
    answer = content_of(file)
    note_download(file, answer, actor(), by_link=False)
    return answer


def content_of(file: File) -> Response:
    """The answer with a file's bytes, or as many of them as the request asks for."""
    answer = Response(content_type=file.media_type)
    answer.set_etag(file.sha256)
    answer.last_modified = file.created_at
    answer.headers["Accept-Ranges"] = "bytes"
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.headers["Content-Disposition"] = attachment(file.name)
    answer.make_conditional(request)
    if answer.status_code == 412:
        raise PreconditionFailed("The file has another ETag; files never change.")
    if answer.status_code == 304:
        return answer
    return _with_body(answer, file)


@blp.get("/<uuid:file_id>/preview", needs=VIEWER)
@blp.arguments(PreviewQuery, location="query")
@blp.response(200, PreviewSchema)
def preview(query: dict[str, Any], file_id: UUID) -> Any:
    """The first rows, as text."""
    file = _own_file(file_id)
    mine = adapters()
    return asdict(preview_of(mine.storage, mine.readers, file, query["rows"], query.get("sheet")))


@blp.post("/<uuid:file_id>/profile", needs=OPERATOR, takes_key=True)
@blp.response(202, JobSchema)
def start_profile(file_id: UUID) -> Response:
    """Profile the file in the background: per column its type, empty and distinct values, histogram."""
    with services() as s:
        file = s.file_rows.get_own(file_id, owner_filter())

        def start() -> Answer:
            job = s.profiles.start(file)
            return Answer(202, JOB.dump(job), {"Location": f"/api/v1/jobs/{job.id}"})

        answer = once(s, body_fingerprint(), start)
    return respond(answer)


@blp.get("/<uuid:file_id>/profile", needs=VIEWER)
@blp.response(200, ProfileSchema)
def get_profile(file_id: UUID) -> Any:
    """The profile, once its job is done."""
    file = _own_file(file_id)
    if file.profile is None:
        raise NotProfiled(f"Start it with POST /api/v1/files/{file_id}/profile, and wait for its job.")
    return file.profile


def _own_file(file_id: UUID) -> File:
    with services() as s:
        return s.file_rows.get_own(file_id, owner_filter())


def _with_body(answer: Response, file: File) -> Response:
    """Put the bytes in: all of them, or the one range that was asked for."""
    wanted = parse_range_header(request.headers.get("Range")) if _range_applies(file) else None
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        start, stop = 0, file.size
    else:
        bounds = wanted.range_for_length(file.size)
        if bounds is None:
            return _beyond(file)
        start, stop = bounds
        answer.status_code = 206
        answer.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    content = adapters().storage.open(file.storage_key)
    content.seek(start)
    answer.response = _pieces(content, stop - start)
    answer.content_length = stop - start
    answer.call_on_close(content.close)
    return answer


def _beyond(file: File) -> Response:
    detail = f"The file has {file.size:,} bytes; the range lies behind them."
    answer = problem(416, "range-not-satisfiable", "There is nothing at that place", detail)
    answer.headers["Content-Range"] = f"bytes */{file.size}"
    return answer


def _range_applies(file: File) -> bool:
    """If-Range: the part is only good for a client that has the rest of these very bytes."""
    condition = request.if_range
    if condition.date is not None:
        return condition.date == file.created_at.replace(microsecond=0)
    return condition.etag is None or condition.etag == file.sha256


def _pieces(content: BinaryIO, left: int) -> Iterator[bytes]:
    """All of it, or an end that no client takes for the end of the file."""
    with content:
        while left > 0:
            try:
                piece = content.read(min(left, PIECE))
                if not piece:
                    raise MissingContent("The stored content is shorter than it was.")
            except DomainError as error:
                log.warning("a download broke off, %s bytes before its end: %s", left, error.detail)
                raise BrokenOff(errno.ECONNRESET, "the download broke off") from error
            left -= len(piece)
            yield piece

"""Reports: asked for, looked at, downloaded, made again."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

from flask import Response, stream_with_context

from src.api.authentication import actor, owner_filter
from src.api.blueprint import BINARY, OPERATOR, VIEWER, Blueprint, body_fingerprint
from src.api.exports import note_export
from src.api.idempotency import once, respond
from src.api.lists import attachment, listing
from src.api.reporting import asked, named
from src.api.schemas.reports import (
    REPORT,
    DownloadQuery,
    ReportFormSchema,
    ReportList,
    ReportQuery,
    ReportSchema,
    ReportStartSchema,
    ReportTrialSchema,
    RerunSchema,
)
from src.engine.reports.formats import WRITERS
from src.engine.reports.sheet import Sheet
from src.models import Report
from src.services.idempotency import Answer
from src.services.report_trials import ReportTrial, try_report
from src.wiring import adapters, services

blp = Blueprint("reports", url_prefix="/api/v1/reports", description="Files by rules.", for_keys=True)
BODY = {
    "content": {
        "application/json": {"schema": ReportStartSchema},
        "multipart/form-data": {"schema": ReportFormSchema},
    },
    "required": True,
}


@blp.get("", needs=VIEWER)
@blp.arguments(ReportQuery, location="query")
@blp.lists(ReportList)
def list_reports(query: dict[str, Any]) -> Response:
    """My reports, newest first; for administrators, everybody's."""
    filters = {"rules_id": query.get("rules_id"), "owner_id": owner_filter()}
    return listing(query, REPORT, lambda s, page: s.report_rows.search(page, **filters), "reports")


@blp.post("", needs=OPERATOR, takes_key=True)
@blp.doc(requestBody=BODY)
@blp.response(202, ReportSchema)
def start_report() -> Response:
    """Make a report of an input, perhaps a reference, and rules; files and rules are named or sent along."""
    with asked() as wanted:
        with services() as s:

            def start() -> Answer:
                order = wanted.order(s)
                return _accepted(s.reports.start(order, owner_id=actor().account_id))

            answer = once(s, wanted.fingerprint, start)
        if answer.is_replay:
            wanted.discard()
    return respond(answer)


@blp.post("/preview", needs=OPERATOR)
@blp.arguments(ReportStartSchema)
@blp.response(200, ReportTrialSchema)
def preview_report(body: dict[str, Any]) -> ReportTrial:
    """What the rules make of the first 1,000 rows of the input, at once; nothing is kept."""
    with services() as s:
        order = named(body).order(s)
        document = s.reports.document_of(order)
    mine = adapters()
    return try_report(order, document, mine.storage, mine.readers, mine.settings)


@blp.get("/<uuid:report_id>", needs=VIEWER)
@blp.response(200, ReportSchema)
def get_report(report_id: UUID) -> Any:
    """One report: its state and, once it is made, its manifest."""
    with services() as s:
        return s.report_rows.get_own(report_id, owner_filter())


@blp.get("/<uuid:report_id>/download", needs=VIEWER)
@blp.arguments(DownloadQuery, location="query")
@blp.response(200, BINARY, content_type="*/*")
def download_report(query: dict[str, Any], report_id: UUID) -> Response:
    """The report as a file, in any of the formats."""
    with services() as s:
        report = s.report_rows.get_own(report_id, owner_filter())
        form = query.get("format") or report.format
        file, is_ready = s.reports.made_file(report, form)
    note_export("report", report.id, form)
    content_type = WRITERS[form][1]
    answer = Response(
        stream_with_context(_content(report, file.storage_key, form, is_ready=is_ready)),
        content_type=content_type,
    )
    if is_ready:
        answer.content_length = file.size
    answer.headers["Content-Disposition"] = attachment(f"{report.name}.{form}")
    return answer


@blp.post("/<uuid:report_id>/rerun", needs=OPERATOR, takes_key=True)
@blp.arguments(RerunSchema)
@blp.response(202, ReportSchema)
def rerun_report(body: dict[str, Any], report_id: UUID) -> Response:
    """The same report once more, of the same files by the same rules: the same bytes, or another format."""
    with services() as s:
        report = s.report_rows.get_own(report_id, owner_filter())
        answer = once(s, body_fingerprint(), lambda: _accepted(s.reports.rerun(report, body.get("format"))))
    return respond(answer)


def _accepted(report: Report) -> Answer:
    return Answer(202, REPORT.dump(report), {"Location": f"/api/v1/reports/{report.id}"})


def _content(report: Report, key: str, form: str, *, is_ready: bool) -> Iterator[bytes]:
    """What is stored, or what is made of it on the way; the first piece is made before the answer begins."""
    stack = ExitStack()
    path = stack.enter_context(adapters().storage.local_path(key))
    sheet = Sheet(Path(path), report.name, report.manifest["columns"])
    pieces = WRITERS["csv" if is_ready else form][0](sheet)
    first = next(pieces, b"")
    return _rest(first, pieces, stack)


def _rest(first: bytes, pieces: Iterator[bytes], stack: ExitStack) -> Iterator[bytes]:
    with stack:
        yield first
        yield from pieces

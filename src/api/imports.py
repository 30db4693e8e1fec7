"""Imports: look at a file, map it, validate, load, mend what was refused, take it back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from flask import Response, stream_with_context

from src.api.authentication import actor, owner_filter
from src.api.blueprint import OPERATOR, VIEWER, Blueprint, body_fingerprint
from src.api.conditional import check_if_match, with_etag
from src.api.exports import note_export
from src.api.idempotency import once, respond
from src.api.importing import accepted, begin, changed_terms, described, given_file, terms_of
from src.api.lists import XLSX, attachment, listing, page_answer
from src.api.schemas.imports import (
    IMPORT,
    CommitQuery,
    CorrectionSchema,
    ImportFormSchema,
    ImportList,
    ImportQuery,
    ImportStartQuery,
    ImportStartSchema,
    OneImportSchema,
    RejectList,
    RejectsQuery,
    TermsSchema,
    UndoQuery,
)
from src.api.schemas.jobs import JOB, JobSchema
from src.engine.export import csv_lines, xlsx_file
from src.engine.imports.rejects import read_rejects, rejected_rows, table_columns
from src.models import File
from src.services.idempotency import Answer
from src.services.import_terms import dataset_of
from src.services.preparing import look_into
from src.wiring import Services, adapters, services

blp = Blueprint(
    "imports", url_prefix="/api/v1/imports", description="Files into datasets, and back.", for_keys=True
)
SAME = "The same file was loaded in the same way before."
JSON_OR_FORM = {
    "content": {
        "application/json": {"schema": ImportStartSchema},
        "multipart/form-data": {"schema": ImportFormSchema},
    }
}


@blp.get("", needs=VIEWER)
@blp.arguments(ImportQuery, location="query")
@blp.lists(ImportList)
def list_imports(query: dict[str, Any]) -> Response:
    """My imports, newest first; for administrators, everybody's."""
    filters = {name: query.get(name) for name in ("dataset", "parent_id")} | {"owner_id": owner_filter()}
    return listing(query, IMPORT, lambda s, page: s.import_rows.search(page, **filters), "imports")


@blp.post("", needs=OPERATOR, takes_key=True)
@blp.arguments(ImportStartQuery, location="query")
@blp.doc(requestBody=JSON_OR_FORM)
@blp.response(202, OneImportSchema)
@blp.alt_response(200, schema=OneImportSchema, description=SAME)
@blp.alt_response(201, schema=OneImportSchema, description="A draft, to look at, map, validate and commit.")
def start_import(query: dict[str, Any]) -> Response:
    """Load a file into a dataset; or with `draft=true`, see how that would be done."""
    with given_file(ImportFormSchema) as (given, form):
        answer = begin(
            given, form["dataset"], terms_of(form), is_draft=query["draft"], is_forced=query["force"]
        )
        return respond(answer)


@blp.get("/<uuid:import_id>", needs=VIEWER)
@blp.response(200, OneImportSchema)
def get_import(import_id: UUID) -> Response:
    """One import: its state, its counts, and what was wrong by column and kind."""
    with services() as s:
        imported = s.import_rows.get_own(import_id, owner_filter())
        return with_etag(imported, IMPORT, more=described(s, imported))


@blp.patch("/<uuid:import_id>", needs=OPERATOR)
@blp.arguments(TermsSchema(partial=True))
@blp.response(200, OneImportSchema)
def change_import(form: dict[str, Any], import_id: UUID) -> Response:
    """Map a draft anew, or change how it is loaded."""
    with services() as s:
        imported = s.import_rows.get_own(import_id, owner_filter())
        terms = changed_terms(imported, form)
        file, preparation = s.preparing.source_of(imported)
    mine, how = adapters(), (terms.options, preparation)
    dataset = dataset_of(imported.dataset)
    look = look_into(file, dataset, *how, mine.storage, mine.readers, mine.settings)
    with services() as s:
        imported = s.import_rows.get_own(import_id, owner_filter(), is_locked=True)
        check_if_match(imported, IMPORT)
        changed = s.imports.change(imported, look, terms)
        return with_etag(changed, IMPORT, more=described(s, changed))


@blp.post("/<uuid:import_id>/validate", needs=OPERATOR, takes_key=True)
@blp.response(202, OneImportSchema)
def validate_import(import_id: UUID) -> Response:
    """Do everything that loading does, and keep nothing of it but the report."""
    return _run(import_id, is_dry_run=True, is_forced=False)


@blp.post("/<uuid:import_id>/commit", needs=OPERATOR, takes_key=True)
@blp.arguments(CommitQuery, location="query")
@blp.response(202, OneImportSchema)
@blp.alt_response(200, schema=OneImportSchema, description=SAME)
def commit_import(query: dict[str, Any], import_id: UUID) -> Response:
    """Load a draft."""
    return _run(import_id, is_dry_run=False, is_forced=query["force"])


@blp.delete("/<uuid:import_id>", needs=OPERATOR)
@blp.arguments(UndoQuery, location="query")
@blp.response(202, JobSchema)
def undo_import(query: dict[str, Any], import_id: UUID) -> Response:
    """Take an import back: rows it made go, rows it changed are as before, what was changed since stays."""
    with services() as s:
        imported = s.import_rows.get_own(import_id, owner_filter())
        job = s.imports.undo(imported, actor(), is_dry_run=query["dry_run"])
        return respond(Answer(202, JOB.dump(job), {"Location": f"/api/v1/jobs/{job.id}"}))


@blp.get("/<uuid:import_id>/rejects", needs=VIEWER)
@blp.arguments(RejectsQuery, location="query")
@blp.lists(RejectList)
def get_rejects(query: dict[str, Any], import_id: UUID) -> Response:
    """The rows that were not loaded, whole, each with its line and what is wrong; as a table to mend."""
    with services() as s:
        imported = s.import_rows.get_own(import_id, owner_filter())
        file = s.file_rows.find(imported.rejects_file_id)
        headers = s.import_rows.headers(imported)
    if query["format"] == "json":
        return _page_of_rejects(file, query["page"], query["per_page"])
    note_export("rejects", imported.id, query["format"])
    has_rest = any("wrong_column_count" in codes for codes in imported.report.get("summary", {}).values())
    columns = table_columns(headers, has_rest=has_rest)
    rows = _table_of_rejects(file, len(headers), has_rest=has_rest)
    name = f"{Path(imported.file_name).stem}-rejects.{query['format']}"
    if query["format"] == "csv":
        answer = Response(stream_with_context(csv_lines(columns, rows)), mimetype="text/csv")
    else:
        answer = Response(stream_with_context(xlsx_file(columns, rows)), mimetype=XLSX)
    answer.headers["Content-Disposition"] = attachment(name)
    return answer


@blp.post("/<uuid:import_id>/corrections", needs=OPERATOR, takes_key=True)
@blp.doc(requestBody={"content": {"multipart/form-data": {"schema": CorrectionSchema}}})
@blp.response(202, OneImportSchema)
def correct_import(import_id: UUID) -> Response:
    """Send the mended rejects back; they are loaded into the same import, read as it was."""
    with services() as s:
        parent = s.import_rows.get_own(import_id, owner_filter())
    with given_file(CorrectionSchema) as (given, form):
        options = form["options"]
        table = given.table(options)

        def correct(s: Services, file: File) -> Answer:
            return accepted(s, s.corrections.start(parent, file, table, options, actor()))

        return respond(given.once(f"corrections {import_id} {options}", correct))


def _run(import_id: UUID, *, is_dry_run: bool, is_forced: bool) -> Response:
    with services() as s:

        def run() -> Answer:
            imported = s.import_rows.get_own(import_id, owner_filter())
            return accepted(s, *s.imports.run(imported, actor(), is_dry_run=is_dry_run, is_forced=is_forced))

        return respond(once(s, body_fingerprint(), run))


def _page_of_rejects(file: File | None, page: int, per_page: int) -> Response:
    rows = []
    if file is not None:
        with adapters().storage.local_path(file.storage_key) as path:
            rows = read_rejects(Path(path), (page - 1) * per_page, per_page + 1)
    shown = [row.as_json() for row in rows[:per_page]]
    return page_answer(shown, page + 1 if len(rows) > per_page else None, page - 1 or None)


def _table_of_rejects(file: File | None, width: int, *, has_rest: bool) -> Iterator[list[Any]]:
    if file is None:
        return
    with adapters().storage.local_path(file.storage_key) as path:
        for row in rejected_rows(Path(path)):
            yield row.as_cells(width, has_rest=has_rest)

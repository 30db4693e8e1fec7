"""Operations: steps over a file, tried on its first rows or run as a job that makes a new file."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import Response, url_for

from src.api.authentication import actor, owner_filter
from src.api.blueprint import OPERATOR, VIEWER, Blueprint, body_fingerprint
from src.api.idempotency import once, respond
from src.api.lists import listing
from src.api.schemas.operations import (
    OPERATION,
    RESULT,
    OneOperationSchema,
    OperationList,
    OperationQuery,
    OperationStartSchema,
    ShownRowsQuery,
    TrialSchema,
    WishSchema,
)
from src.domain.errors import DomainError, FieldError
from src.models import File, Operation
from src.services.files import preview_of
from src.services.idempotency import Answer
from src.services.links import Link, sign
from src.services.operations import Wish, joined_files
from src.services.trials import Trial, try_out
from src.wiring import Services, adapters, services

blp = Blueprint("operations", url_prefix="/api/v1/operations", description="Steps over files.", for_keys=True)


@blp.get("", needs=VIEWER)
@blp.arguments(OperationQuery, location="query")
@blp.lists(OperationList)
def list_operations(query: dict[str, Any]) -> Response:
    """My operations, newest first; for administrators, everybody's."""
    filters = {"file_id": query.get("file_id"), "owner_id": owner_filter()}
    return listing(query, OPERATION, lambda s, page: s.operation_rows.search(page, **filters), "operations")


@blp.post("", needs=OPERATOR, takes_key=True)
@blp.arguments(OperationStartSchema)
@blp.response(202, OneOperationSchema)
def start_operation(body: dict[str, Any]) -> Response:
    """Run steps over a file: they are checked at once, and done in the background."""
    with services() as s:

        def start() -> Answer:
            wish = _wish(s, body)
            file, others = _files(s, body["file_id"], wish)
            operation = s.operations.start(file, others, wish, actor())
            location = f"/api/v1/operations/{operation.id}"
            return Answer(202, _described(operation, None, 0), {"Location": location})

        answer = once(s, body_fingerprint(), start)
    return respond(answer)


@blp.post("/preview", needs=OPERATOR)
@blp.arguments(WishSchema)
@blp.response(200, TrialSchema)
def preview_operation(body: dict[str, Any]) -> Trial:
    """What the steps make of the first 1,000 rows, at once; nothing is kept."""
    with services() as s:
        wish = _wish(s, body)
        file, others = _files(s, body["file_id"], wish)
    mine = adapters()
    return try_out(file, others, wish, mine.storage, mine.readers, mine.settings)


@blp.get("/<uuid:operation_id>", needs=VIEWER)
@blp.arguments(ShownRowsQuery, location="query")
@blp.response(200, OneOperationSchema)
def get_operation(query: dict[str, Any], operation_id: UUID) -> Response:
    """One operation: its counts, where it comes from, the first rows of its result, a link to all of it."""
    with services() as s:
        operation = s.operation_rows.get_own(operation_id, owner_filter())
        result = s.file_rows.find(operation.result_file_id)
    return respond(Answer(200, _described(operation, result, query["rows"])))


def _wish(s: Services, body: dict[str, Any]) -> Wish:
    """The steps, those of a recipe first."""
    steps, version = body.get("steps", []), None
    if "recipe_id" in body:
        recipe = s.recipe_rows.get_own(body["recipe_id"], owner_filter())
        version = s.recipe_rows.get_version(recipe, body.get("recipe_version"))
        steps = [*version.steps, *steps]
    return Wish(
        steps=steps,
        output=body.get("output", "csv"),
        types=body["types"],
        recipe_id=version.recipe_id if version else None,
        recipe_version=version.version if version else None,
    )


def _files(s: Services, file_id: UUID, wish: Wish) -> tuple[File, dict[str, File]]:
    """The file, and those that steps join to it."""
    file = s.file_rows.get_own(file_id, owner_filter())
    others = {}
    for id_ in joined_files(wish.steps):
        try:
            others[id_] = s.file_rows.get_own(UUID(id_), owner_filter())
        except DomainError as error:
            place = next(place for place, step in enumerate(wish.steps) if step.get("file_id") == id_)
            error.errors = [FieldError(f"/steps/{place}/file_id", "file_not_found", error.detail)]
            raise
    return file, others


def _described(operation: Operation, result: File | None, rows: int) -> dict[str, Any]:
    shown = link = None
    if result is not None:
        mine = adapters()
        if rows:
            shown = preview_of(mine.storage, mine.readers, result, rows, None)
        token, until = sign(Link(result.id, actor().account_id), mine.settings)
        link = {
            "url": url_for("downloads.download", token=token, _external=True),
            "expires_at": datetime.fromtimestamp(until, UTC),
        }
    members: dict[str, Any] = OPERATION.dump(operation)
    error = operation.job.error if operation.job else None
    more: dict[str, Any] = RESULT.dump({"error": error, "result": shown, "download": link})
    return members | more

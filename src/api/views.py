"""Materialized views: how fresh they are, and a refresh on demand."""

from typing import Any

from flask import Response

from src.api.authentication import actor
from src.api.blueprint import ADMIN, VIEWER, Blueprint, body_fingerprint
from src.api.idempotency import once, respond
from src.api.lists import listing
from src.api.schemas.jobs import JOB, JobSchema
from src.api.schemas.lists import ListQuery
from src.api.schemas.views import REFRESH, RefreshList, ViewsSchema
from src.services.idempotency import Answer
from src.services.views import VIEWS, known_view
from src.wiring import services

blp = Blueprint("views", url_prefix="/api/v1/views", description="Figures that are kept ready.")


@blp.get("", needs=VIEWER)
@blp.response(200, ViewsSchema)
def list_views() -> Any:
    """The views, each with its last refresh."""
    with services() as s:
        return {"data": s.view_rows.overview(VIEWS)}


@blp.get("/<view>/refreshes", needs=VIEWER)
@blp.arguments(ListQuery, location="query")
@blp.lists(RefreshList)
def list_refreshes(query: dict[str, Any], view: str) -> Response:
    """The refreshes of a view, newest first: asked for, running, done and failed."""
    name = known_view(view)
    return listing(query, REFRESH, lambda s, page: s.view_rows.search(page, name), "refreshes")


@blp.post("/<view>/refresh", needs=ADMIN, takes_key=True)
@blp.response(202, JobSchema)
def refresh_view(view: str) -> Response:
    """Refresh a view now; one that waits already is as good."""
    with services() as s:

        def ask() -> Answer:
            job = s.views.ask(view, actor())
            return Answer(202, JOB.dump(job), {"Location": f"/api/v1/jobs/{job.id}"})

        answer = once(s, body_fingerprint(), ask)
    return respond(answer)

"""flask views: list, refresh."""

from typing import Any

import click
from flask.cli import AppGroup

from src.api.schemas.jobs import JOB
from src.api.schemas.views import ViewSchema
from src.cli.output import domain_errors_as_messages, json_option, show, tell
from src.services.views import VIEWS
from src.wiring import services

group = AppGroup("views", help="Figures that are kept ready.")


@group.command("list")
@json_option
@domain_errors_as_messages
def list_views(*, as_json: bool) -> None:
    """The views, each with its last refresh."""
    with services() as s:
        rows: list[dict[str, Any]] = ViewSchema(many=True).dump(s.view_rows.overview(VIEWS))
    show(rows, as_json=as_json)


@group.command("refresh")
@click.argument("view", default=VIEWS[0])
@json_option
@domain_errors_as_messages
def refresh(view: str, *, as_json: bool) -> None:
    """Refresh a view now; a worker does it."""
    with services() as s:
        job = s.views.ask(view, None)
    tell(f"{job.id} will refresh {view}", JOB.dump(job), as_json=as_json)

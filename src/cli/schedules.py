"""flask schedules: list, fire."""

from typing import Any
from uuid import UUID

import click
from flask.cli import AppGroup

from src.api.schemas.schedules import SCHEDULE
from src.cli.output import domain_errors_as_messages, json_option, show
from src.domain.paging import PageQuery
from src.wiring import services

group = AppGroup("schedules", help="Reports that are made by the clock.")
SHOWN = ("id", "name", "cron", "timezone", "is_paused", "next_due", "missed")


@group.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=20)
@json_option
@domain_errors_as_messages
def list_schedules(limit: int, *, as_json: bool) -> None:
    """The newest schedules, and when they are due."""
    with services() as s:
        page = s.schedule_rows.search(PageQuery(per_page=limit), owner_id=None, is_paused=None)
    rows: list[dict[str, Any]] = SCHEDULE.dump(page.rows, many=True)
    show([{name: row[name] for name in SHOWN} for row in rows] if not as_json else rows, as_json=as_json)


@group.command("fire")
@click.argument("schedule_id", type=click.UUID, required=False)
@json_option
@domain_errors_as_messages
def fire(schedule_id: UUID | None, *, as_json: bool) -> None:
    """Fire what is due now, or one schedule if it is; the scheduler does it each second."""
    with services() as s:
        due = [s.schedule_rows.get(schedule_id).id] if schedule_id else s.schedules.due()
    fired = []
    for id_ in due:
        with services() as s:
            fired += [
                {"schedule_id": str(id_), "due_at": run.due_at and run.due_at.isoformat(), "state": run.state}
                for run in s.schedules.fire(id_)
            ]
    show(fired, as_json=as_json)

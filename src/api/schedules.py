"""Schedules: made, changed, paused, resumed, run by hand, and their history."""

from typing import Any
from uuid import UUID

from flask import Response

from src.api.authentication import actor, owner_filter
from src.api.blueprint import OPERATOR, VIEWER, Blueprint, body_fingerprint
from src.api.conditional import check_if_match, with_etag
from src.api.idempotency import once, respond
from src.api.lists import listing
from src.api.scheduling import asked_schedule
from src.api.schemas.schedules import (
    RUN,
    SCHEDULE,
    OneScheduleSchema,
    RunList,
    RunQuery,
    RunSchema,
    ScheduleChangeSchema,
    ScheduleFormSchema,
    ScheduleList,
    ScheduleQuery,
    ScheduleStartSchema,
)
from src.models import Schedule
from src.services.idempotency import Answer
from src.wiring import Services, services

blp = Blueprint(
    "schedules",
    url_prefix="/api/v1/schedules",
    description="Reports that are made by the clock.",
    for_keys=True,
)
JSON_OR_FORM = {
    "content": {
        "application/json": {"schema": ScheduleStartSchema},
        "multipart/form-data": {"schema": ScheduleFormSchema},
    },
    "required": True,
}


@blp.get("", needs=VIEWER)
@blp.arguments(ScheduleQuery, location="query")
@blp.lists(ScheduleList)
def list_schedules(query: dict[str, Any]) -> Response:
    """My schedules, newest first; for administrators, everybody's."""
    filters: dict[str, Any] = {"is_paused": query.get("is_paused"), "owner_id": owner_filter()}
    return listing(query, SCHEDULE, lambda s, page: s.schedule_rows.search(page, **filters), "schedules")


@blp.post("", needs=OPERATOR, takes_key=True)
@blp.doc(requestBody=JSON_OR_FORM)
@blp.response(201, OneScheduleSchema)
def create_schedule() -> Response:
    """Make a schedule, of what is there or of files that come along; answers its next five due times."""
    with asked_schedule() as asked:
        with services() as s:

            def make() -> Answer:
                schedule = s.schedules.create(actor(), **asked.to_make(s))
                body = SCHEDULE.dump(schedule) | _due_times(s, schedule)
                return Answer(201, body, {"Location": f"{blp.url_prefix}/{schedule.id}"})

            answer = once(s, asked.fingerprint, make)
        if answer.is_replay:
            asked.discard()
    return respond(answer)


@blp.get("/<uuid:schedule_id>", needs=VIEWER)
@blp.response(200, OneScheduleSchema)
def get_schedule(schedule_id: UUID) -> Response:
    """One schedule, with its next five due times."""
    with services() as s:
        return _shown(s, s.schedule_rows.get_own(schedule_id, owner_filter()))


@blp.patch("/<uuid:schedule_id>", needs=OPERATOR)
@blp.arguments(ScheduleChangeSchema(partial=True))
@blp.response(200, OneScheduleSchema)
def change_schedule(members: dict[str, Any], schedule_id: UUID) -> Response:
    """Change what is given; what was due before is past."""
    with services() as s:
        schedule = s.schedule_rows.get_own(schedule_id, owner_filter(), is_locked=True)
        check_if_match(schedule, SCHEDULE)
        return _shown(s, s.schedules.change(schedule, actor(), members))


@blp.delete("/<uuid:schedule_id>", needs=OPERATOR)
@blp.response(204)
def delete_schedule(schedule_id: UUID) -> Response:
    """Delete it with its history; the reports it made stay."""
    with services() as s:
        schedule = s.schedule_rows.get_own(schedule_id, owner_filter(), is_locked=True)
        check_if_match(schedule, SCHEDULE)
        s.schedules.delete(schedule, actor())
    return Response(status=204)


@blp.post("/<uuid:schedule_id>/pause", needs=OPERATOR)
@blp.response(200, OneScheduleSchema)
def pause_schedule(schedule_id: UUID) -> Response:
    """Nothing is due until it is resumed."""
    with services() as s:
        schedule = s.schedule_rows.get_own(schedule_id, owner_filter(), is_locked=True)
        return _shown(s, s.schedules.pause(schedule, actor()))


@blp.post("/<uuid:schedule_id>/resume", needs=OPERATOR)
@blp.response(200, OneScheduleSchema)
def resume_schedule(schedule_id: UUID) -> Response:
    """Go on with the next due time; those of the pause were not missed."""
    with services() as s:
        schedule = s.schedule_rows.get_own(schedule_id, owner_filter(), is_locked=True)
        return _shown(s, s.schedules.resume(schedule, actor()))


@blp.post("/<uuid:schedule_id>/run", needs=OPERATOR, takes_key=True)
@blp.response(202, RunSchema)
def run_schedule(schedule_id: UUID) -> Response:
    """Run it now, whenever it is due."""
    with services() as s:

        def run() -> Answer:
            schedule = s.schedule_rows.get_own(schedule_id, owner_filter(), is_locked=True)
            (started,) = s.schedule_run_rows.with_jobs([s.schedules.run_now(schedule, actor())])
            return Answer(202, RUN.dump(started), {"Location": f"/api/v1/jobs/{started.job_id}"})

        return respond(once(s, body_fingerprint(), run))


@blp.get("/<uuid:schedule_id>/runs", needs=VIEWER)
@blp.arguments(RunQuery, location="query")
@blp.lists(RunList)
def list_runs(query: dict[str, Any], schedule_id: UUID) -> Response:
    """What became of each due time, newest first, those included at which nothing happened."""
    with services() as s:
        s.schedule_rows.get_own(schedule_id, owner_filter())
    filters: dict[str, Any] = {"schedule_id": schedule_id, "state": query.get("state")}
    return listing(query, RUN, lambda s, page: s.schedule_run_rows.search(page, **filters), "runs")


def _shown(s: Services, schedule: Schedule) -> Response:
    return with_etag(schedule, SCHEDULE, more=_due_times(s, schedule))


def _due_times(s: Services, schedule: Schedule) -> dict[str, list[str]]:
    return {"next_due_times": [moment.isoformat() for moment in s.schedules.next_due_times(schedule)]}

"""flask jobs: list, show, retry, cancel, requeue-stale."""

from typing import Any
from uuid import UUID

import click
from flask.cli import AppGroup

from src.api.schemas.jobs import JOB
from src.cli.output import domain_errors_as_messages, json_option, show, show_one, tell
from src.domain.jobs import FIRST_WAIT, LONGEST_WAIT, Died, JobState, error_json
from src.domain.paging import PageQuery
from src.models import Job
from src.services.accounts import SYSTEM
from src.wiring import services

group = AppGroup("jobs", help="Background work.")
SHOWN = ("id", "kind", "state", "attempts", "created_at", "finished_at")


@group.command("list")
@click.option("--kind")
@click.option("--state", type=click.Choice([state.value for state in JobState]))
@click.option("--limit", type=click.IntRange(1, 500), default=20)
@json_option
@domain_errors_as_messages
def list_jobs(kind: str | None, state: str | None, limit: int, *, as_json: bool) -> None:
    """The newest jobs."""
    with services() as s:
        page = s.job_rows.search(PageQuery(per_page=limit), owner_id=None, kind=kind, state=state)
    rows = [_members(job) for job in page.rows]
    show([{name: row[name] for name in SHOWN} for row in rows] if not as_json else rows, as_json=as_json)


@group.command("show")
@click.argument("job_id", type=click.UUID)
@json_option
@domain_errors_as_messages
def show_job(job_id: UUID, *, as_json: bool) -> None:
    """Everything about one job."""
    with services() as s:
        job = s.job_rows.get(job_id)
    show_one(_members(job), as_json=as_json)


@group.command("retry")
@click.argument("job_id", type=click.UUID)
@json_option
@domain_errors_as_messages
def retry(job_id: UUID, *, as_json: bool) -> None:
    """Try a job again that failed, died or was cancelled."""
    with services() as s:
        job = s.jobs.retry(s.job_rows.get(job_id), SYSTEM)
    tell(f"{job_id} is queued", _members(job), as_json=as_json)


@group.command("cancel")
@click.argument("job_id", type=click.UUID)
@json_option
@domain_errors_as_messages
def cancel(job_id: UUID, *, as_json: bool) -> None:
    """Cancel a job: at once while it is queued, at its next look while it runs."""
    with services() as s:
        job = s.jobs.cancel(s.job_rows.get(job_id), SYSTEM)
    done = f"is {job.state}" if JobState(job.state).is_over else "was asked to stop"
    tell(f"{job_id} {done}", _members(job), as_json=as_json)


@group.command("requeue-stale")
@json_option
@domain_errors_as_messages
def requeue_stale(*, as_json: bool) -> None:
    """Take back the jobs of workers that died, now; the scheduler does it each second."""
    died = error_json(Died("Its workers ended without a word, several times."))
    with services() as s:
        s.job_leases.end_expired_session()
        swept = s.job_leases.sweep(died=died, first=FIRST_WAIT, longest=LONGEST_WAIT)
    show([{"id": str(job_id), "state": state} for job_id, state in swept], as_json=as_json)


def _members(job: Job) -> dict[str, Any]:
    members: dict[str, Any] = JOB.dump(job)
    return members

"""flask jobs."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, text

from src.models import Job
from src.wiring import services
from tests.cli.conftest import Run
from tests.factories.accounts import Caller

Json = Callable[..., Any]


@pytest.fixture
def job(operator: Caller) -> Job:
    with services() as s:
        return s.jobs.enqueue("housekeeping", {}, owner_id=operator.id)


def test_jobs_are_listed_shown_cancelled_and_retried(run: Run, run_json: Json, job: Job) -> None:
    assert str(job.id) in run("jobs", "list", "--kind", "housekeeping", "--state", "queued").stdout
    assert run_json("jobs", "show", str(job.id))["state"] == "queued"
    assert "is cancelled" in run("jobs", "cancel", str(job.id)).output
    assert "is queued" in run("jobs", "retry", str(job.id)).output
    assert [row["state"] for row in run_json("jobs", "list") if row["id"] == str(job.id)] == ["queued"]


def test_what_cannot_be_done_is_exit_code_1(run: Run, job: Job) -> None:
    assert "queued" in run("jobs", "retry", str(job.id), code=1).stderr
    run("jobs", "cancel", str(job.id))
    run("jobs", "cancel", str(job.id), code=1)
    run("jobs", "show", "01a1fbb9-d3d2-716b-bf41-df3a54a91899", code=1)
    run("jobs", "list", "--state", "nonsense", code=2)


def test_a_running_job_is_asked_to_stop(run: Run, job: Job, connection: Connection) -> None:
    start(connection, job, "1 hour")
    assert "asked to stop" in run("jobs", "cancel", str(job.id)).output


def test_requeue_stale_takes_back_what_nobody_holds(run: Run, job: Job, connection: Connection) -> None:
    start(connection, job, "-1 second")
    assert f"{job.id}\tqueued" in run("jobs", "requeue-stale").output
    assert run("jobs", "requeue-stale").output == ""


def start(connection: Connection, job: Job, lease: str) -> None:
    """Let a worker hold the job until then."""
    connection.execute(
        text(
            "UPDATE job SET state = 'running', attempts = 1, "
            "lease_until = clock_timestamp() + CAST(:lease AS interval) WHERE id = :id"
        ),
        {"id": job.id, "lease": lease},
    )

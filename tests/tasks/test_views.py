"""The job that refreshes a view: waits its turn without holding a worker, and leaves a row behind."""

from typing import cast
from uuid import UUID

import pytest
from sqlalchemy import select, text

from src.domain.jobs import JobState
from src.models import ViewRefresh
from src.services.views import Turn
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import services
from tests.committing import Workshop
from tests.factories.clients import a_client, a_transaction

VIEW = "transaction_statistics"


def change() -> UUID:
    with services() as s:
        s.views.changed(VIEW)
        newest = select(ViewRefresh.job_id).order_by(ViewRefresh.id.desc()).limit(1)
        return cast("UUID", s.session.scalar(newest))


def request_of(job_id: UUID) -> ViewRefresh:
    with services() as s:
        found = s.view_rows.find_of_job(job_id)
    assert found is not None
    return found


def test_it_refreshes_and_tells_how_many_rows_there_are(workshop: Workshop) -> None:
    for _ in range(3):
        a_transaction(a_client())
    job_id = change()
    assert run_job(job_id, HANDLERS) is JobState.DONE
    result = workshop.jobs.read(job_id).result
    assert result == {"view": VIEW, "views": "/api/v1/views", "turn": "go", "rows": 3}
    assert (request_of(job_id).rows, request_of(job_id).error) == (3, None)


def test_what_another_has_done_meanwhile_is_not_done_again(workshop: Workshop) -> None:
    first, second = change(), change()
    assert run_job(second, HANDLERS) is JobState.DONE
    assert run_job(first, HANDLERS) is JobState.DONE
    result = workshop.jobs.read(first).result
    assert result is not None
    assert result["turn"] == "served"
    assert request_of(first).served_by == request_of(second).id


def test_while_another_runs_it_gives_its_worker_back_as_often_as_it_takes(workshop: Workshop) -> None:
    first, second = change(), change()
    with services() as s:
        s.session.execute(
            text("""UPDATE job SET state = 'running',
            lease_until = clock_timestamp() + interval '1 min' WHERE id = :id"""),
            {"id": first},
        )
        assert s.views.begin(first, VIEW) is Turn.GO
    for _ in range(7):
        with services() as s:
            s.session.execute(text("UPDATE job SET run_after = now() WHERE id = :id"), {"id": second})
        assert run_job(second, HANDLERS) is JobState.QUEUED
    waiting = workshop.jobs.read(second)
    assert (waiting.attempts, waiting.error, waiting.hinted_at) == (0, None, None)
    with services() as s:
        assert waiting.run_after > s.session.scalars(text("SELECT clock_timestamp()")).one()
        s.views.refresh(first)
        s.session.execute(text("UPDATE job SET run_after = now() WHERE id = :id"), {"id": second})
    assert run_job(second, HANDLERS) is JobState.DONE


def test_a_refresh_that_fails_leaves_its_error_and_is_tried_again(
    workshop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    with services() as s:
        s.session.execute(text("DROP INDEX uq_transaction_statistics"))  # it cannot be concurrent without
    job_id = change()
    assert run_job(job_id, HANDLERS) is JobState.QUEUED
    error = request_of(job_id).error
    assert error is not None
    assert "concurrently" in error
    with services() as s:
        s.session.execute(
            text(
                "CREATE UNIQUE INDEX uq_transaction_statistics ON transaction_statistics (client_id, currency)"
            )
        )
        s.session.execute(text("UPDATE job SET run_after = now() WHERE id = :id"), {"id": job_id})
    assert run_job(job_id, HANDLERS) is JobState.DONE
    assert request_of(job_id).error is None

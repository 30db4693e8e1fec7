"""One attempt of a job: every way in which it can end, and that a zombie's end comes to nothing."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from src.database import DatabaseUnavailable
from src.domain.errors import Invalid
from src.domain.jobs import JobState
from src.engine.sandbox import Stopped
from src.models import Job
from src.tasks import lease as lease_module
from src.tasks.lease import LeaseLost
from src.tasks.running import Handler, JobRun, Outcome, run_job
from src.wiring import EXTENSION, Services
from tests.committing import Workshop

ADD = text("INSERT INTO login_throttle (login_name, network, failures) VALUES (:name, '', 1)")


@pytest.fixture
def job(workshop: Workshop) -> Job:
    return workshop.jobs.add()


def run(job: Job, handler: Handler) -> JobState | None:
    return run_job(job.id, {"test": handler})


def writing(name: str) -> Callable[[Services], None]:
    def write(s: Services) -> None:
        s.session.execute(ADD, {"name": name})

    return write


def written(workshop: Workshop) -> list[str]:
    with workshop.database.unit_of_work() as session:
        return list(session.scalars(text("SELECT login_name FROM login_throttle ORDER BY 1")))


def until_interrupted(run: JobRun) -> Outcome:
    """A handler that looks up often and would go on for a long time."""
    for _ in range(2000):
        run.check()
        time.sleep(0.01)
    return Outcome({"was": "never interrupted"})


def take_over(workshop: Workshop, job_id: UUID) -> None:
    """What happens when the lease runs out: another worker has the job."""
    with workshop.another_database().unit_of_work() as session:
        session.execute(text("UPDATE job SET lease_until = clock_timestamp()"))
        leases = Services(session, workshop.adapters).job_leases
        assert leases.claim(job_id, worker="another", lease=timedelta(seconds=30)) is not None


def set_times(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, *, lease: int, heartbeat: int) -> None:
    monkeypatch.setattr(lease_module, "REPORT_EVERY", 0.05)
    settings = replace(workshop.settings)
    object.__setattr__(
        settings, "lease_seconds", lease
    )  # times that make no sense, which no operator can set
    object.__setattr__(settings, "heartbeat_seconds", heartbeat)
    workshop.app.extensions[EXTENSION] = replace(workshop.adapters, settings=settings)


class TestGoodEnds:
    def test_the_result_the_writes_and_the_last_progress_are_there_together(
        self, workshop: Workshop, job: Job
    ) -> None:
        def handler(run: JobRun) -> Outcome:
            run.progress(3, 4, "rows")
            return Outcome({"rows": 3}, save=writing("row"))

        assert run(job, handler) is JobState.DONE
        done = workshop.jobs.read(job.id)
        assert (done.state, done.result, done.error) == ("done", {"rows": 3}, None)
        assert done.progress is not None
        assert (done.progress["done"], done.progress["total"], done.progress["unit"]) == (3, 4, "rows")
        assert written(workshop) == ["row"]

    def test_a_second_hint_does_nothing(self, job: Job) -> None:
        assert run(job, lambda _: Outcome()) is JobState.DONE
        assert run(job, lambda _: pytest.fail("it ran twice")) is None

    def test_a_job_cancelled_while_it_runs_stops_at_its_next_look(
        self, workshop: Workshop, job: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        set_times(workshop, monkeypatch, lease=30, heartbeat=0)

        def handler(run: JobRun) -> Outcome:
            with run.services() as s:
                s.job_rows.request_cancel(job.id)
            return until_interrupted(run)

        assert run(job, handler) is JobState.CANCELLED
        assert workshop.jobs.read(job.id).state == "cancelled"

    def test_a_job_whose_worker_goes_down_is_handed_back_without_counting_the_attempt(
        self, workshop: Workshop, job: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lease_module, "_stopping", bytearray(1))

        def handler(run: JobRun) -> Outcome:
            lease_module.ask_to_stop()
            assert run.should_stop()
            return until_interrupted(run)

        assert run(job, handler) is JobState.QUEUED
        back = workshop.jobs.read(job.id)
        assert (back.state, back.attempts, back.error, back.lease_until) == ("queued", 0, None, None)

    def test_work_that_stopped_over_a_lease_that_was_renewed_late_is_begun_anew_at_once(
        self, workshop: Workshop, job: Job, caplog: pytest.LogCaptureFixture
    ) -> None:
        def handler(run: JobRun) -> Outcome:
            run.lease._renewed -= 1_000  # for so long nobody could reach the database
            assert run.should_stop()
            run.lease._beat()
            run.check()
            raise Stopped

        assert run(job, handler) is JobState.QUEUED
        back = workshop.jobs.read(job.id)
        assert (back.state, back.attempts, back.error) == ("queued", 0, None)
        assert "crashed" not in caplog.text


class TestFailures:
    def test_a_fault_of_the_input_fails_the_job_for_good_with_its_reason(
        self, workshop: Workshop, job: Job
    ) -> None:
        def handler(_: JobRun) -> Outcome:
            raise Invalid("Line 3 has no end.")

        assert run(job, handler) is JobState.FAILED
        failed = workshop.jobs.read(job.id)
        assert failed.error == {"slug": "invalid", "title": Invalid.title, "detail": "Line 3 has no end."}

    @pytest.mark.parametrize("error", [DatabaseUnavailable("away"), KeyError("a secret of ours")])
    def test_what_may_be_better_later_is_tried_again_after_a_while(
        self, workshop: Workshop, job: Job, error: Exception
    ) -> None:
        def handler(_: JobRun) -> Outcome:
            raise error

        assert run(job, handler) is JobState.QUEUED
        later = workshop.jobs.read(job.id)
        assert (later.state, later.attempts, later.hinted_at) == ("queued", 1, None)
        assert later.run_after > later.started_at + timedelta(seconds=1)  # type: ignore[operator]  # it was started
        assert later.error is not None
        assert "secret" not in str(later.error)

    def test_after_the_fifth_attempt_it_is_dead(self, workshop: Workshop) -> None:
        job = workshop.jobs.add(attempts=4)

        def handler(_: JobRun) -> Outcome:
            raise KeyError

        assert run(job, handler) is JobState.DEAD
        assert workshop.jobs.read(job.id).state == "dead"

    def test_a_kind_that_nobody_handles_is_tried_again_by_a_worker_that_may_know_it(
        self, workshop: Workshop
    ) -> None:
        job = workshop.jobs.add(kind="newer")
        assert run_job(job.id, {}) is JobState.QUEUED

    def test_writes_of_a_save_that_fails_are_rolled_back(self, workshop: Workshop, job: Job) -> None:
        def save(s: Services) -> None:
            writing("half")(s)
            raise Invalid("no")

        assert run(job, lambda _: Outcome(save=save)) is JobState.FAILED
        assert written(workshop) == []

    def test_a_session_that_was_ended_costs_an_attempt_and_nothing_else(
        self, workshop: Workshop, job: Job
    ) -> None:
        def save(s: Services) -> None:
            writing("half")(s)
            pid = s.job_leases.own_session().pid
            with workshop.another_database().unit_of_work() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})

        assert run(job, lambda _: Outcome(save=save)) is JobState.QUEUED
        assert written(workshop) == []

    def test_with_the_database_away_a_hint_is_dropped_quietly(
        self, workshop: Workshop, job: Job, caplog: pytest.LogCaptureFixture
    ) -> None:
        with workshop.another_database().unit_of_work() as other:
            other.execute(text("LOCK TABLE job"))
            with caplog.at_level(logging.WARNING):
                assert run(job, lambda _: pytest.fail("it ran")) is None
        assert "will repeat its hint" in caplog.text
        assert run(job, lambda _: Outcome()) is JobState.DONE


class TestZombies:
    """A worker that lost its lease changes nothing, however it ends."""

    def raise_unavailable(self) -> None:
        raise DatabaseUnavailable

    def raise_invalid(self) -> None:
        raise Invalid

    def crash(self) -> None:
        raise KeyError

    def stop(self) -> None:
        lease_module.ask_to_stop()

    @pytest.mark.parametrize("how", ["return", "raise_unavailable", "raise_invalid", "crash", "stop"])
    def test_its_end_is_rolled_back_with_its_writes(
        self, workshop: Workshop, job: Job, monkeypatch: pytest.MonkeyPatch, how: str
    ) -> None:
        monkeypatch.setattr(lease_module, "_stopping", bytearray(1))

        def handler(run: JobRun) -> Outcome:
            take_over(workshop, job.id)
            if how != "return":
                getattr(self, how)()
            return Outcome({"by": "zombie"}, save=writing("zombie"))

        assert run(job, handler) is None
        after = workshop.jobs.read(job.id)
        assert (after.state, after.fence, after.attempts, after.worker) == ("running", 2, 2, "another")
        assert (after.result, after.error) == (None, None)
        assert written(workshop) == []

    def test_it_hears_of_its_loss_from_its_next_heartbeat(
        self, workshop: Workshop, job: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        set_times(workshop, monkeypatch, lease=30, heartbeat=0)
        heard: list[Exception] = []

        def handler(run: JobRun) -> Outcome:
            take_over(workshop, job.id)
            try:
                return until_interrupted(run)
            except LeaseLost as lost:
                heard.append(lost)
                raise

        assert run(job, handler) is None
        assert heard

    def test_it_stops_by_itself_when_it_could_not_renew_its_lease_in_time(
        self, workshop: Workshop, job: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        set_times(workshop, monkeypatch, lease=1, heartbeat=600)
        assert run(job, until_interrupted) is None
        assert workshop.jobs.read(job.id).state == "running"

    def test_a_transaction_that_it_left_open_is_ended_by_who_takes_over(
        self, workshop: Workshop, job: Job
    ) -> None:
        is_frozen, is_thawed = threading.Event(), threading.Event()

        def freeze(s: Services) -> None:
            writing("row")(s)
            is_frozen.set()
            is_thawed.wait(30)

        frozen = workshop.in_thread(lambda: run(job, lambda _: Outcome(save=freeze)))
        is_frozen.wait(10)
        with workshop.another_database().unit_of_work() as session:
            session.execute(text("UPDATE job SET lease_until = clock_timestamp()"))
        assert run(job, lambda _: Outcome({"by": "second"}, save=writing("row"))) is JobState.DONE
        is_thawed.set()
        assert frozen.result(timeout=20) is None
        assert written(workshop) == ["row"]
        assert workshop.jobs.read(job.id).result == {"by": "second"}


class TestHeartbeat:
    def test_it_keeps_the_lease_for_as_long_as_the_job_takes(
        self, workshop: Workshop, job: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        set_times(workshop, monkeypatch, lease=1, heartbeat=0)

        def handler(run: JobRun) -> Outcome:
            first = workshop.jobs.read(job.id).lease_until
            assert first is not None
            latest = time.monotonic() + 60
            while time.monotonic() < latest:
                run.check()
                renewed = workshop.jobs.read(job.id).lease_until
                assert renewed is not None
                if renewed > first + timedelta(seconds=2):
                    return Outcome()
            raise AssertionError("the lease was not renewed")

        assert run(job, handler) is JobState.DONE

    def test_progress_is_told_while_the_job_runs(
        self, workshop: Workshop, job: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        set_times(workshop, monkeypatch, lease=30, heartbeat=600)

        def handler(run: JobRun) -> Outcome:
            run.progress(1, None, "rows")
            latest = time.monotonic() + 60
            while time.monotonic() < latest:
                progress = workshop.jobs.read(job.id).progress
                if progress is not None:
                    return Outcome({"seen": progress["done"]})
            raise AssertionError("no progress was told")

        assert run(job, handler) is JobState.DONE
        assert workshop.jobs.read(job.id).result == {"seen": 1}

    def test_a_beat_that_fails_does_not_end_the_job(
        self, workshop: Workshop, job: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        set_times(workshop, monkeypatch, lease=30, heartbeat=0)

        def handler(run: JobRun) -> Outcome:
            with workshop.another_database().unit_of_work() as other:
                other.execute(text("SELECT 1 FROM job FOR UPDATE"))
                for _ in range(2000):
                    if "could not be renewed" in caplog.text:
                        return Outcome()
                    time.sleep(0.01)
            raise AssertionError("every beat came through")

        with caplog.at_level(logging.WARNING):
            assert run(job, handler) is JobState.DONE

    def test_the_row_names_the_session_that_works_for_the_job_now(self, workshop: Workshop, job: Job) -> None:
        def handler(run: JobRun) -> Outcome:
            workshop.database.bind.engine.dispose()
            with run.services() as s:
                mine = s.job_leases.own_session()
                named = workshop.another_database()
                with named.unit_of_work() as other:
                    row = other.get_one(Job, job.id)
                assert (row.session_pid, row.session_started) == mine
                assert mine.pid != run.job.session_pid
            return Outcome()

        assert run(job, handler) is JobState.DONE

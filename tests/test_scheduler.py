"""The scheduler: repeats hints, sweeps, plans the day; any number at once, and no part holds up another."""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from src import scheduler as module
from src.models import Job
from src.scheduler import HINTS_PER_SLOT, Scheduler, hint, plan_housekeeping, sweep
from src.services import housekeeping
from src.wiring import EXTENSION, services
from tests.committing import Workshop, own_settings, workshop

__all__ = ["own_settings", "workshop"]


@pytest.fixture
def scheduler(workshop: Workshop) -> Scheduler:
    return Scheduler(workshop.app, workshop.settings)


def planned(workshop: Workshop) -> int:
    with workshop.database.unit_of_work() as session:
        return session.scalars(select(func.count()).where(Job.kind == housekeeping.KIND)).one()


def eventually(is_so: Callable[[], bool]) -> bool:
    return any(is_so() or threading.Event().wait(0.02) for _ in range(500))


class TestHints:
    def test_a_few_hints_per_slot_wait_in_redis_and_no_more(self, workshop: Workshop) -> None:
        for _ in range(20):
            workshop.jobs.add()
        workshop.hints.waiting = 3
        hint(replace(workshop.settings, worker_processes=2), depth=3)
        assert len(workshop.hints.sent) == 2 * HINTS_PER_SLOT - 3

    def test_more_workers_make_more_room(self, workshop: Workshop) -> None:
        for _ in range(20):
            workshop.jobs.add()
        insert = "INSERT INTO process (id, kind, host, pid) VALUES (gen_random_uuid(), 'worker', 'h', 1)"
        with workshop.database.unit_of_work() as session:
            for _ in range(3):
                session.execute(text(insert))
        hint(replace(workshop.settings, worker_processes=1), depth=0)
        assert len(workshop.hints.sent) == 3 * HINTS_PER_SLOT

    def test_with_redis_full_of_hints_none_is_added(self, workshop: Workshop) -> None:
        workshop.jobs.add()
        hint(workshop.settings, depth=10_000)
        assert workshop.hints.sent == []

    def test_with_redis_away_a_job_is_kept_and_hinted_at_when_it_is_back(
        self, workshop: Workshop, scheduler: Scheduler
    ) -> None:
        workshop.hints.is_away = True
        with services() as s:
            job = s.jobs.enqueue("test", {}, owner_id=None)
        scheduler.tick()
        assert workshop.jobs.read(job.id).hinted_at is not None
        workshop.hints.is_away = False
        scheduler.tick()
        assert job.id in workshop.hints.sent

    def test_a_redis_that_was_away_gets_all_hints_anew_once(
        self, workshop: Workshop, scheduler: Scheduler
    ) -> None:
        plan_housekeeping()
        jobs = {workshop.jobs.add().id for _ in range(3)}
        scheduler.tick()
        workshop.hints.is_away = True
        scheduler.tick()
        workshop.hints.is_away = False
        workshop.hints.sent.clear()
        scheduler.tick()
        scheduler.tick()
        assert jobs <= set(workshop.hints.sent)
        assert len(workshop.hints.sent) == len(set(workshop.hints.sent))

    def test_hints_that_redis_did_not_take_are_sent_at_the_next_tick(self, workshop: Workshop) -> None:
        job = workshop.jobs.add()
        workshop.hints.is_away = True
        hint(workshop.settings, depth=0)
        assert workshop.jobs.read(job.id).hinted_at is None
        workshop.hints.is_away = False
        hint(workshop.settings, depth=0)
        assert workshop.hints.sent == [job.id]


class TestSweep:
    def test_the_job_of_a_dead_worker_is_queued_again_and_a_warning_says_so(
        self, workshop: Workshop, caplog: pytest.LogCaptureFixture
    ) -> None:
        job = workshop.jobs.add_running(lease_left=-1)
        with caplog.at_level(logging.WARNING):
            sweep()
        assert workshop.jobs.read(job.id).state == "queued"
        assert "a worker lost its job" in caplog.text

    def test_the_session_that_a_frozen_worker_holds_is_ended_first(self, workshop: Workshop) -> None:
        frozen = workshop.another_database().bind.engine.connect()
        frozen.execute(text("LOCK TABLE file"))
        row = frozen.execute(
            text("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        )
        pid, started = row.one()
        workshop.jobs.add_running(lease_left=-1, session_pid=pid, session_started=started)
        sweep()
        with services() as s:
            s.session.execute(text("LOCK TABLE file NOWAIT"))
        frozen.invalidate()
        frozen.close()

    def test_a_job_that_lost_its_worker_five_times_is_dead_and_says_so(self, workshop: Workshop) -> None:
        job = workshop.jobs.add_running(lease_left=-1, attempts=5)
        sweep()
        error = workshop.jobs.read(job.id).error
        assert error is not None
        assert error["slug"] == "job-died"


class TestDailyWork:
    def test_it_is_planned_once_however_often_it_is_looked_at(self, workshop: Workshop) -> None:
        plan_housekeeping()
        plan_housekeeping()
        assert planned(workshop) == 1

    def test_of_many_schedulers_at_the_same_moment_one_plans_it(self, workshop: Workshop) -> None:
        workshop.together(lambda _: plan_housekeeping(), 8)
        assert planned(workshop) == 1

    def test_a_scheduler_that_dies_in_between_leaves_it_to_another(self, workshop: Workshop) -> None:
        with pytest.raises(SystemExit), services() as s:
            assert not s.job_rows.has_since(housekeeping.KIND, "1 day")
            s.jobs.enqueue(housekeeping.KIND, {}, owner_id=None)
            raise SystemExit
        plan_housekeeping()
        assert planned(workshop) == 1

    def test_it_is_planned_again_on_the_next_day(self, workshop: Workshop) -> None:
        plan_housekeeping()
        with workshop.database.unit_of_work() as session:
            session.execute(text("UPDATE job SET created_at = created_at - interval '1 day'"))
        plan_housekeeping()
        assert planned(workshop) == 2


class TestTick:
    def test_a_part_that_fails_holds_up_none_of_the_others(
        self, workshop: Workshop, scheduler: Scheduler, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings = replace(workshop.settings, max_queued_jobs=1)
        workshop.app.extensions[EXTENSION] = replace(workshop.adapters, settings=settings)
        job = workshop.jobs.add()
        with caplog.at_level(logging.WARNING):
            scheduler.tick()
        assert planned(workshop) == 0
        assert workshop.hints.sent == [job.id]
        assert "will try again" in caplog.text

    def test_an_error_of_ours_is_logged_and_the_next_tick_comes(
        self, workshop: Workshop, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        def fail() -> None:
            raise KeyError("sweep")

        monkeypatch.setattr(module, "sweep", fail)
        job = workshop.jobs.add()
        scheduler.tick()
        assert job.id in workshop.hints.sent
        assert "KeyError" in caplog.text

    def test_what_was_not_planned_is_planned_at_the_next_tick(
        self, workshop: Workshop, scheduler: Scheduler
    ) -> None:
        with workshop.another_database().unit_of_work() as other:
            other.execute(text("LOCK TABLE job"))
            scheduler.tick()
        assert planned(workshop) == 0
        scheduler.tick()
        assert planned(workshop) == 1


class TestLoop:
    @pytest.fixture
    def running(self, workshop: Workshop, scheduler: Scheduler) -> Iterator[Scheduler]:
        plan_housekeeping()
        thread = threading.Thread(target=scheduler.run)
        thread.start()
        yield scheduler
        scheduler.stop()
        thread.join(timeout=20)
        assert not thread.is_alive()
        if scheduler.listener is not None:
            scheduler.listener.close()

    def is_listening(self, workshop: Workshop) -> bool:
        asked = text("SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN job'")
        with workshop.database.unit_of_work() as session:
            return session.scalars(asked).one() > 0

    def test_a_job_that_is_announced_is_hinted_at_without_waiting_for_the_next_second(
        self, workshop: Workshop, running: Scheduler, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert eventually(lambda: self.is_listening(workshop))
        monkeypatch.setattr(module, "TICK", 3600.0)
        jobs = [self.announce(workshop) for _ in range(3)]
        assert eventually(lambda: set(jobs) <= set(workshop.hints.sent))
        monkeypatch.undo()
        self.announce(workshop)

    def announce(self, workshop: Workshop) -> UUID:
        with services() as s:
            return s.job_rows.add(Job(kind="test", args={})).id

    def test_a_connection_that_is_lost_is_made_anew(self, workshop: Workshop, running: Scheduler) -> None:
        assert eventually(lambda: self.is_listening(workshop))
        lost = running.listener
        with workshop.database.unit_of_work() as session:
            session.execute(
                text("""SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()""")
            )
        assert eventually(lambda: running.listener is not lost and self.is_listening(workshop))
        job = self.announce(workshop)
        assert eventually(lambda: job in workshop.hints.sent)

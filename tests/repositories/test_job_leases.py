"""The queue of record: claim, beat, end, hand back and sweep, with real commits on several connections."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from src.database import Database, DatabaseUnavailable
from src.models import Job
from src.repositories.job_leases import DatabaseSession, JobLeaseRepository
from tests.committing import Workshop

LEASE = timedelta(seconds=30)
FIRST, LONGEST = timedelta(seconds=2), timedelta(minutes=5)
NOBODY = DatabaseSession(None, None)


def claim(database: Database, job_id: UUID, worker: str = "w") -> Job | None:
    with database.unit_of_work() as session:
        return JobLeaseRepository(session).claim(job_id, worker=worker, lease=LEASE)


def sweep(database: Database) -> dict[UUID, str]:
    with database.unit_of_work() as session:
        swept = JobLeaseRepository(session).sweep(died="{}", first=FIRST, longest=LONGEST)
    return dict(swept)


def beat(database: Database, job: Job, progress: str | None = None) -> bool | None:
    with database.unit_of_work() as session:
        return JobLeaseRepository(session).beat(job, lease=LEASE, session=NOBODY, progress=progress)


def end(database: Database, job: Job, state: str = "done") -> bool:
    with database.unit_of_work() as session:
        return JobLeaseRepository(session).end(job, state)


def seconds_left(database: Database, moment: datetime | None) -> float:
    """How far away a moment is by the database's clock."""
    with database.unit_of_work() as session:
        now: datetime = session.scalars(text("SELECT clock_timestamp()")).one()
    assert moment is not None
    return (moment - now).total_seconds()


class TestClaim:
    def test_a_claimed_job_runs_with_a_lease_a_fence_and_one_attempt_more(self, workshop: Workshop) -> None:
        job = workshop.jobs.add()
        claimed = claim(workshop.database, job.id, worker="host:1")
        assert claimed is not None
        assert (claimed.state, claimed.fence, claimed.attempts, claimed.worker) == ("running", 1, 1, "host:1")
        assert 25 < seconds_left(workshop.database, claimed.lease_until) <= 30

    def test_a_claim_notes_the_database_session_that_it_was_made_in(self, workshop: Workshop) -> None:
        job = workshop.jobs.add()
        with workshop.database.unit_of_work() as session:
            leases = JobLeaseRepository(session)
            claimed = leases.claim(job.id, worker="w", lease=LEASE)
            mine = leases.own_session()
        assert claimed is not None
        assert (claimed.session_pid, claimed.session_started) == mine

    def test_a_duplicate_hint_finds_nothing_to_claim(self, workshop: Workshop) -> None:
        job = workshop.jobs.add()
        assert claim(workshop.database, job.id) is not None
        assert claim(workshop.database, job.id) is None
        assert workshop.jobs.read(job.id).attempts == 1

    @pytest.mark.parametrize("state", ["done", "failed", "cancelled", "dead"])
    def test_a_job_that_is_over_is_not_to_be_had(self, workshop: Workshop, state: str) -> None:
        assert claim(workshop.database, workshop.jobs.add_over(state=state).id) is None

    def test_a_job_that_has_to_wait_is_not_to_be_had(self, workshop: Workshop) -> None:
        assert claim(workshop.database, workshop.jobs.add(due_in=60).id) is None

    def test_a_job_that_was_tried_often_enough_is_not_to_be_had(self, workshop: Workshop) -> None:
        assert claim(workshop.database, workshop.jobs.add(attempts=5).id) is None
        assert claim(workshop.database, workshop.jobs.add_running(lease_left=-1, attempts=5).id) is None

    def test_an_expired_lease_is_taken_over_with_a_higher_fence(self, workshop: Workshop) -> None:
        job = workshop.jobs.add_running(lease_left=-1, fence=7, attempts=2)
        claimed = claim(workshop.database, job.id)
        assert claimed is not None
        assert (claimed.fence, claimed.attempts) == (8, 3)

    def test_a_lease_that_still_runs_is_not_taken_over(self, workshop: Workshop) -> None:
        assert claim(workshop.database, workshop.jobs.add_running(lease_left=5).id) is None

    def test_of_twenty_workers_with_the_same_hint_one_gets_the_job(self, workshop: Workshop) -> None:
        job = workshop.jobs.add()
        databases = [workshop.another_database() for _ in range(20)]
        claimed = workshop.together(lambda number: claim(databases[number], job.id, str(number)), 20)
        assert [one.fence for one in claimed if one is not None] == [1]

    @pytest.mark.parametrize("is_first_kept", [True, False])
    def test_a_second_claim_waits_for_the_first_and_gets_the_job_only_if_that_is_rolled_back(
        self, workshop: Workshop, is_first_kept: bool
    ) -> None:
        job = workshop.jobs.add()
        with workshop.database.bind.engine.connect() as first:
            first.execute(text("UPDATE job SET state = 'running', lease_until = 'infinity'"))
            second = workshop.in_thread(lambda: claim(workshop.database, job.id))
            workshop.await_lock_waiters(1)
            first.commit() if is_first_kept else first.rollback()
        assert (second.result(timeout=10) is None) == is_first_kept


class TestBeat:
    def test_a_beat_gives_the_lease_its_full_length_again(self, workshop: Workshop) -> None:
        job = workshop.jobs.add_running(lease_left=3)
        assert beat(workshop.database, job) is False
        assert 25 < seconds_left(workshop.database, workshop.jobs.read(job.id).lease_until) <= 30

    def test_a_beat_hears_that_a_cancel_is_wanted(self, workshop: Workshop) -> None:
        assert beat(workshop.database, workshop.jobs.add_running(is_cancel_requested=True)) is True

    def test_a_beat_writes_progress_and_one_without_leaves_it(self, workshop: Workshop) -> None:
        job = workshop.jobs.add_running()
        beat(workshop.database, job, progress='{"done": 3}')
        beat(workshop.database, job)
        assert workshop.jobs.read(job.id).progress == {"done": 3}

    def test_a_beat_of_a_zombie_hears_that_the_lease_is_lost_and_changes_nothing(
        self, workshop: Workshop
    ) -> None:
        job = workshop.jobs.add_running(lease_left=-1)
        claim(workshop.database, job.id)
        before = workshop.jobs.read(job.id)
        assert beat(workshop.database, job, progress='{"done": 9}') is None
        after = workshop.jobs.read(job.id)
        assert (after.lease_until, after.progress) == (before.lease_until, None)

    def test_a_beat_after_the_end_of_the_job_does_not_wake_it(self, workshop: Workshop) -> None:
        job = workshop.jobs.add_running()
        assert end(workshop.database, job)
        assert beat(workshop.database, job) is None
        assert workshop.jobs.read(job.id).lease_until is None


class TestEnd:
    def test_the_holder_ends_the_job(self, workshop: Workshop) -> None:
        job = workshop.jobs.add_running()
        assert end(workshop.database, job)
        ended = workshop.jobs.read(job.id)
        assert (ended.state, ended.lease_until) == ("done", None)
        assert abs(seconds_left(workshop.database, ended.finished_at)) < 5

    def test_a_zombie_does_not(self, workshop: Workshop) -> None:
        job = workshop.jobs.add_running(lease_left=-1)
        claim(workshop.database, job.id)
        assert not end(workshop.database, job)
        assert workshop.jobs.read(job.id).state == "running"

    def test_a_zombie_does_not_end_a_job_that_was_swept_and_waits_again(self, workshop: Workshop) -> None:
        job = workshop.jobs.add_running(lease_left=-1)
        sweep(workshop.database)
        assert not end(workshop.database, job)
        assert workshop.jobs.read(job.id).state == "queued"


class TestHandBack:
    def hand_back(self, workshop: Workshop, job: Job, wait: float = 0, forgiven: int = 0) -> bool:
        with workshop.database.unit_of_work() as session:
            return JobLeaseRepository(session).hand_back(job, wait=timedelta(seconds=wait), forgiven=forgiven)

    def test_a_job_handed_back_is_for_the_next_worker_at_once(self, workshop: Workshop) -> None:
        job = workshop.jobs.add_running()
        assert self.hand_back(workshop, job, forgiven=1)
        back = workshop.jobs.read(job.id)
        assert (back.state, back.attempts, back.hinted_at, back.lease_until) == ("queued", 0, None, None)
        assert claim(workshop.database, job.id) is not None

    def test_a_job_handed_back_with_a_wait_is_not_to_be_had_before(self, workshop: Workshop) -> None:
        job = workshop.jobs.add_running()
        assert self.hand_back(workshop, job, wait=8)
        assert 5 < seconds_left(workshop.database, workshop.jobs.read(job.id).run_after) <= 8
        assert claim(workshop.database, job.id) is None

    def test_a_job_that_was_to_be_cancelled_is_cancelled_instead(self, workshop: Workshop) -> None:
        job = workshop.jobs.add_running(is_cancel_requested=True)
        assert self.hand_back(workshop, job)
        back = workshop.jobs.read(job.id)
        assert back.state == "cancelled"
        assert back.finished_at is not None

    def test_a_zombie_hands_nothing_back(self, workshop: Workshop) -> None:
        job = workshop.jobs.add_running(lease_left=-1)
        claim(workshop.database, job.id)
        assert not self.hand_back(workshop, job)
        assert workshop.jobs.read(job.id).state == "running"


class TestSweep:
    @pytest.mark.parametrize(("attempts", "wait"), [(1, 2), (2, 4), (3, 8), (4, 16)])
    def test_an_expired_job_waits_twice_as_long_each_time(
        self, workshop: Workshop, attempts: int, wait: int
    ) -> None:
        job = workshop.jobs.add_running(lease_left=-1, attempts=attempts)
        assert sweep(workshop.database) == {job.id: "queued"}
        swept = workshop.jobs.read(job.id)
        assert wait - 2 < seconds_left(workshop.database, swept.run_after) <= wait
        assert (swept.lease_until, swept.hinted_at) == (None, None)

    def test_no_wait_is_longer_than_the_longest(self, workshop: Workshop) -> None:
        job = workshop.jobs.add_running(lease_left=-1, attempts=40, max_attempts=50)
        sweep(workshop.database)
        assert 290 < seconds_left(workshop.database, workshop.jobs.read(job.id).run_after) <= 300

    def test_after_the_fifth_attempt_a_job_is_dead_and_says_why(self, workshop: Workshop) -> None:
        job = workshop.jobs.add_running(lease_left=-1, attempts=5)
        with workshop.database.unit_of_work() as session:
            died = '{"slug": "job-died"}'
            JobLeaseRepository(session).sweep(died=died, first=FIRST, longest=LONGEST)
        dead = workshop.jobs.read(job.id)
        assert (dead.state, dead.error) == ("dead", {"slug": "job-died"})
        assert dead.finished_at is not None

    def test_an_expired_job_that_was_to_be_cancelled_is_cancelled(self, workshop: Workshop) -> None:
        job = workshop.jobs.add_running(lease_left=-1, is_cancel_requested=True)
        assert sweep(workshop.database) == {job.id: "cancelled"}

    def test_who_is_alive_keeps_its_job(self, workshop: Workshop) -> None:
        job = workshop.jobs.add_running(lease_left=5)
        assert sweep(workshop.database) == {}
        assert workshop.jobs.read(job.id).state == "running"

    def test_what_another_scheduler_sweeps_just_now_is_passed_by(self, workshop: Workshop) -> None:
        job = workshop.jobs.add_running(lease_left=-1)
        with workshop.database.unit_of_work() as session:
            leases = JobLeaseRepository(session)
            assert leases.sweep(died="{}", first=FIRST, longest=LONGEST) == [(job.id, "queued")]
            assert sweep(workshop.another_database()) == {}

    def test_a_lease_renewed_while_the_sweep_looks_is_left_alone(self, workshop: Workshop) -> None:
        job = workshop.jobs.add_running(lease_left=-1)
        with workshop.database.bind.engine.connect() as worker:
            worker.execute(text("SELECT 1 FROM job WHERE id = :id FOR UPDATE"), {"id": job.id})
            assert sweep(workshop.database) == {}
            worker.execute(text("UPDATE job SET lease_until = clock_timestamp() + interval '1 minute'"))
            worker.commit()
        assert sweep(workshop.database) == {}


class TestEndingTheSessionOfTheFrozen:
    def ended(self, workshop: Workshop, job_id: UUID | None = None) -> int:
        with workshop.database.unit_of_work() as session:
            return JobLeaseRepository(session).end_expired_session(job_id)

    @pytest.fixture
    def frozen(self, workshop: Workshop) -> Iterator[DatabaseSession]:
        """A session that holds a transaction open and says nothing more."""
        database = workshop.another_database()
        with suppress(DatabaseUnavailable), database.unit_of_work() as session:
            yield JobLeaseRepository(session).own_session()

    def is_alive(self, workshop: Workshop, one: DatabaseSession) -> bool:
        with workshop.database.unit_of_work() as session:
            found = session.execute(
                text("SELECT 1 FROM pg_stat_activity WHERE pid = :pid AND backend_start = :started"),
                {"pid": one.pid, "started": one.started},
            )
            return found.first() is not None

    def test_it_ends_when_the_lease_has_run_out(self, workshop: Workshop, frozen: DatabaseSession) -> None:
        job = workshop.jobs.add_running(lease_left=-1, session_pid=frozen.pid, session_started=frozen.started)
        assert self.ended(workshop, job.id) == 1
        assert not self.is_alive(workshop, frozen)

    def test_all_of_them_end_when_no_job_is_named(self, workshop: Workshop, frozen: DatabaseSession) -> None:
        workshop.jobs.add_running(lease_left=-1, session_pid=frozen.pid, session_started=frozen.started)
        assert self.ended(workshop) == 1
        assert not self.is_alive(workshop, frozen)

    def test_it_lives_while_the_lease_runs(self, workshop: Workshop, frozen: DatabaseSession) -> None:
        job = workshop.jobs.add_running(session_pid=frozen.pid, session_started=frozen.started)
        assert self.ended(workshop, job.id) == 0
        assert self.is_alive(workshop, frozen)

    def test_one_that_began_later_under_the_same_process_id_lives(
        self, workshop: Workshop, frozen: DatabaseSession
    ) -> None:
        assert frozen.started is not None
        earlier = frozen.started - timedelta(minutes=1)
        job = workshop.jobs.add_running(lease_left=-1, session_pid=frozen.pid, session_started=earlier)
        assert self.ended(workshop, job.id) == 0
        assert self.is_alive(workshop, frozen)

    def test_the_session_of_another_job_lives(self, workshop: Workshop, frozen: DatabaseSession) -> None:
        workshop.jobs.add_running(lease_left=-1, session_pid=frozen.pid, session_started=frozen.started)
        other = workshop.jobs.add_running(lease_left=-1)
        assert self.ended(workshop, other.id) == 0
        assert self.is_alive(workshop, frozen)

"""Which jobs a scheduler hints at: fairly between owners, each once, beside any number of schedulers."""

from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, text, update

from src.database import Database
from src.domain.ids import uuid7
from src.models import Job
from src.repositories.job_leases import JobLeaseRepository
from tests.committing import Workshop

AGAIN = 30
RECENTLY = func.clock_timestamp() - timedelta(seconds=5)
LONG_AGO = func.clock_timestamp() - timedelta(seconds=AGAIN + 1)
SLOW_CLOCK = """
    CREATE SCHEMA slow;
    CREATE FUNCTION slow.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_advisory_xact_lock_shared(1);
        RETURN pg_catalog.clock_timestamp();
    END $$;
"""


def hint(database: Database, room: int = 100) -> list[UUID]:
    with database.unit_of_work() as session:
        return JobLeaseRepository(session).hint(room=room, again_after=AGAIN)


def line_up(database: Database, counts: dict[UUID, int]) -> dict[UUID, UUID]:
    """Empty the queue and give each owner so many jobs; answers the owner of each, oldest first."""
    owners = {uuid7(): owner for owner, count in counts.items() for _ in range(count)}
    with database.unit_of_work() as session:
        session.execute(text("DELETE FROM job"))
        rows = [{"id": id_, "owner_id": owner, "kind": "test", "args": {}} for id_, owner in owners.items()]
        if rows:
            session.execute(insert(Job), rows)
    return owners


@pytest.fixture
def owners(workshop: Workshop) -> list[UUID]:
    return [workshop.jobs.owner() for _ in range(4)]


class TestFairness:
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(counts=st.lists(st.integers(0, 6), min_size=4, max_size=4), room=st.integers(1, 12))
    def test_everybodys_first_comes_before_anybodys_second_and_the_room_is_kept(
        self, workshop: Workshop, owners: list[UUID], counts: list[int], room: int
    ) -> None:
        wanted = dict(zip(owners, counts, strict=True))
        owner_of = line_up(workshop.database, wanted)
        chosen = hint(workshop.database, room)
        assert len(chosen) == min(room, sum(counts))
        turns: Counter[UUID] = Counter()
        order = []
        for job_id in chosen:
            turns[owner_of[job_id]] += 1
            order.append(turns[owner_of[job_id]])
        assert order == sorted(order)
        left_out = [turns[owner] for owner in owners if turns[owner] < wanted[owner]]
        assert max(turns.values(), default=0) <= min(left_out, default=room) + 1
        for owner in owners:
            own = [job_id for job_id in owner_of if owner_of[job_id] == owner]
            assert [job_id for job_id in chosen if owner_of[job_id] == owner] == own[: turns[owner]]

    def test_the_jobs_of_nobody_have_their_turn_too(self, workshop: Workshop, owners: list[UUID]) -> None:
        for _ in range(5):
            workshop.jobs.add(owner_id=owners[0])
        nobodys = workshop.jobs.add()
        assert nobodys.id in hint(workshop.database, room=2)


class TestWhichOnes:
    def test_a_job_that_was_hinted_at_lately_is_left_alone(self, workshop: Workshop) -> None:
        workshop.jobs.add(hinted_at=RECENTLY)
        assert hint(workshop.database) == []

    def test_a_job_that_nobody_took_in_time_is_hinted_at_again(self, workshop: Workshop) -> None:
        job = workshop.jobs.add(hinted_at=LONG_AGO)
        assert hint(workshop.database) == [job.id]
        assert hint(workshop.database) == []

    def test_jobs_that_have_to_wait_or_run_or_are_over_get_no_hint(self, workshop: Workshop) -> None:
        workshop.jobs.add(due_in=5)
        workshop.jobs.add_running(lease_left=-1)
        workshop.jobs.add_over()
        assert hint(workshop.database) == []

    def test_a_forgotten_hint_is_given_anew(self, workshop: Workshop) -> None:
        first, second = workshop.jobs.add(hinted_at=RECENTLY), workshop.jobs.add(hinted_at=RECENTLY)
        with workshop.database.unit_of_work() as session:
            JobLeaseRepository(session).forget_hints([second.id])
        assert hint(workshop.database) == [second.id]
        with workshop.database.unit_of_work() as session:
            JobLeaseRepository(session).forget_hints()
        assert hint(workshop.database) == [first.id, second.id]


class TestSeveralSchedulers:
    def test_what_one_holds_the_other_passes_by(self, workshop: Workshop) -> None:
        jobs = [workshop.jobs.add().id for _ in range(4)]
        with workshop.database.unit_of_work() as session:
            assert JobLeaseRepository(session).hint(room=2, again_after=AGAIN) == jobs[:2]
            assert hint(workshop.another_database()) == jobs[2:]

    def test_what_one_committed_while_the_other_was_choosing_is_not_hinted_at_twice(
        self, workshop: Workshop
    ) -> None:
        jobs = [workshop.jobs.add().id for _ in range(6)]
        slow = workshop.another_database()
        with workshop.database.bind.engine.begin() as connection:
            connection.execute(text(SLOW_CLOCK))

        def choose_slowly() -> list[UUID]:
            with slow.unit_of_work() as session:
                session.execute(text("SET LOCAL search_path = slow, pg_catalog, public"))
                return JobLeaseRepository(session).hint(room=10, again_after=AGAIN)

        with workshop.another_database().bind.engine.begin() as gate:
            gate.execute(text("SELECT pg_advisory_xact_lock(1)"))
            second = workshop.in_thread(choose_slowly)
            workshop.await_lock_waiters(1)
            assert hint(workshop.database, room=4) == jobs[:4]
        assert second.result(timeout=10) == jobs[4:]

    def test_four_at_once_give_each_job_once(self, workshop: Workshop, owners: list[UUID]) -> None:
        owner_of = line_up(workshop.database, dict.fromkeys(owners, 50))
        databases = [workshop.another_database() for _ in range(4)]

        def until_none_is_left(number: int) -> list[UUID]:
            mine: list[UUID] = []
            while some := hint(databases[number], room=3):
                mine += some
            return mine

        hinted = [job_id for ids in workshop.together(until_none_is_left, 4) for job_id in ids]
        assert sorted(hinted) == sorted(owner_of)


def test_a_hint_is_noted_with_the_clock_of_the_database(workshop: Workshop) -> None:
    job = workshop.jobs.add()
    hint(workshop.database)
    with workshop.database.unit_of_work() as session:
        session.execute(update(Job).values(started_at=func.clock_timestamp()))
    hinted = workshop.jobs.read(job.id)
    assert hinted.hinted_at is not None
    assert hinted.started_at is not None
    assert timedelta(0) <= hinted.started_at - hinted.hinted_at < timedelta(seconds=10)

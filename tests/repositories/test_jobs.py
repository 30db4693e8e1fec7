"""Jobs as their owners and operators see them: found, counted, and only theirs."""

from uuid import UUID

import pytest
from sqlalchemy import text

from src.domain.ids import uuid7
from src.domain.paging import PageQuery
from src.repositories.jobs import JobNotFound
from src.wiring import services
from tests.committing import Workshop


@pytest.fixture
def owner(workshop: Workshop) -> UUID:
    return workshop.jobs.owner()


class TestOwners:
    def test_a_job_is_given_to_its_owner_and_to_who_may_see_all(
        self, workshop: Workshop, owner: UUID
    ) -> None:
        job = workshop.jobs.add(owner_id=owner)
        with services() as s:
            assert s.job_rows.get_own(job.id, owner).id == job.id
            assert s.job_rows.get_own(job.id, None).id == job.id

    def test_for_anyone_else_there_is_no_such_job(self, workshop: Workshop, owner: UUID) -> None:
        job = workshop.jobs.add(owner_id=owner)
        with services() as s:
            for id_, asker in ((job.id, workshop.jobs.owner()), (uuid7(), owner)):
                with pytest.raises(JobNotFound):
                    s.job_rows.get_own(id_, asker)

    def test_a_list_holds_the_owner_s_jobs_of_the_kind_and_state(
        self, workshop: Workshop, owner: UUID
    ) -> None:
        wanted = workshop.jobs.add(owner_id=owner, kind="a")
        workshop.jobs.add(owner_id=owner, kind="b")
        workshop.jobs.add_over(owner_id=owner, kind="a")
        workshop.jobs.add(kind="a")
        query = PageQuery(per_page=10)
        with services() as s:
            mine = s.job_rows.search(query, owner_id=owner, kind="a", state="queued")
            all_ = s.job_rows.search(query, owner_id=None, kind=None, state=None)
        assert [job.id for job in mine.rows] == [wanted.id]
        assert len(all_.rows) == 4


class TestCounts:
    def test_waiting_jobs_are_counted_of_everybody_and_of_one(self, workshop: Workshop, owner: UUID) -> None:
        for _ in range(2):
            workshop.jobs.add(owner_id=owner)
        workshop.jobs.add(owner_id=workshop.jobs.owner())
        workshop.jobs.add()
        workshop.jobs.add_running(owner_id=owner)
        with services() as s:
            assert s.job_rows.waiting(owner) == (4, 2)
            assert s.job_rows.waiting(None) == (4, 1)

    def test_jobs_are_counted_by_kind_and_state(self, workshop: Workshop) -> None:
        workshop.jobs.add(kind="a")
        workshop.jobs.add(kind="a")
        workshop.jobs.add_over(kind="b", state="dead")
        with services() as s:
            assert s.job_rows.counts() == {("a", "queued"): 2, ("b", "dead"): 1}

    def test_the_oldest_wait_is_that_of_a_job_that_is_due(self, workshop: Workshop) -> None:
        with services() as s:
            assert s.job_rows.oldest_wait_seconds() == 0
        workshop.jobs.add(due_in=-100)
        workshop.jobs.add(due_in=-50)
        workshop.jobs.add(due_in=1000)
        workshop.jobs.add_running(lease_left=-5000)
        with services() as s:
            assert 100 <= s.job_rows.oldest_wait_seconds() < 200


def test_of_the_jobs_that_may_be_retried_the_oldest_come_first_up_to_the_limit(workshop: Workshop) -> None:
    dead = [workshop.jobs.add_over(kind="a", state="dead").id for _ in range(3)]
    failed = workshop.jobs.add_over(kind="a", state="failed").id
    workshop.jobs.add_over(kind="a", state="done")
    workshop.jobs.add_over(kind="b", state="dead")
    with services() as s:
        assert s.job_rows.retryable(kind="a", state=None, limit=10) == [*dead, failed]
        assert s.job_rows.retryable(kind="a", state="dead", limit=2) == dead[:2]


def test_a_daily_job_counts_for_a_day_by_the_clock_of_the_database(workshop: Workshop) -> None:
    workshop.jobs.add_over(kind="daily")
    with services() as s:
        assert s.job_rows.has_since("daily", "1 day")
        assert not s.job_rows.has_since("daily", "0 seconds")
        assert not s.job_rows.has_since("other", "1 day")


def test_the_latest_job_of_a_kind_is_found_among_very_many(workshop: Workshop) -> None:
    workshop.jobs.add_over(kind="daily")
    many = """INSERT INTO job (id, kind, args, state, attempts, max_attempts, fence, is_cancel_requested)
        SELECT gen_random_uuid(), 'other', '{}', 'done', 1, 5, 1, false FROM generate_series(1, 5000)"""
    read = text("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'job'")
    with services() as s:
        s.session.execute(text(many))
        s.session.execute(text("ANALYZE job"))
        before = s.session.scalars(read).one()
        assert s.job_rows.has_since("daily", "1 day")
        assert s.session.scalars(read).one() - before <= 1

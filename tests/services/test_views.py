"""Refreshes: asked for in the transaction that makes them necessary, one at a time, none lost."""

from dataclasses import replace
from typing import cast
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from src.domain.roles import Actor
from src.models import Client, Job, ViewRefresh
from src.repositories.views import ViewNotFound
from src.services.views import KIND, Turn
from src.wiring import EXTENSION, services
from tests.committing import Workshop
from tests.factories.clients import a_client, a_transaction

VIEW = "transaction_statistics"


@pytest.fixture
def client(workshop: Workshop) -> Client:
    return a_client("7")


@pytest.fixture
def admin(workshop: Workshop) -> Actor:
    return workshop.files.owner()


def change() -> UUID:
    """A change that asks for a refresh; its job."""
    with services() as s:
        s.views.changed(VIEW)
        newest = select(ViewRefresh.job_id).order_by(ViewRefresh.id.desc()).limit(1)
        return cast("UUID", s.session.scalar(newest))


def started(job_id: UUID) -> UUID:
    """As a worker has it that claimed it."""
    with services() as s:
        s.session.execute(
            text("""UPDATE job SET state = 'running', fence = fence + 1,
            lease_until = clock_timestamp() + interval '1 min' WHERE id = :id"""),
            {"id": job_id},
        )
    return job_id


def begun(job_id: UUID) -> Turn:
    with services() as s:
        return s.views.begin(job_id, VIEW)


def refreshed(job_id: UUID) -> int:
    with services() as s:
        return s.views.refresh(job_id)


def ended(job_id: UUID, state: str = "done") -> None:
    with services() as s:
        s.session.execute(
            text("UPDATE job SET state = :state, lease_until = NULL WHERE id = :id"),
            {"id": job_id, "state": state},
        )


def counted(client: Client) -> int:
    """The transactions of the client, as the view knows them."""
    with services() as s:
        found, _ = s.view_rows.statistics_of(client.id)
    return sum(one.transactions for one in found)


def request_of(job_id: UUID) -> ViewRefresh:
    with services() as s:
        found = s.view_rows.find_of_job(job_id)
    assert found is not None
    return found


class TestChanged:
    def test_the_request_and_its_job_come_with_the_change_or_not_at_all(self, workshop: Workshop) -> None:
        with pytest.raises(RuntimeError), services() as s:
            s.views.changed(VIEW)
            raise RuntimeError
        with services() as s:
            assert s.session.scalar(select(func.count()).select_from(Job)) == 0
        job_id = change()
        with services() as s:
            job = s.job_rows.get(job_id)
        assert (job.kind, job.args, job.owner_id, job.state) == (KIND, {"view": VIEW}, None, "queued")
        assert workshop.hints.sent == [job_id]

    def test_a_full_queue_does_not_undo_the_change_and_the_scheduler_asks_again(
        self, workshop: Workshop
    ) -> None:
        full = replace(workshop.settings, max_queued_jobs=0)
        workshop.app.extensions[EXTENSION] = replace(workshop.adapters, settings=full)
        assert change() is None
        workshop.app.extensions[EXTENSION] = workshop.adapters
        with services() as s:
            assert s.views.enqueue_jobless() == 1
        with services() as s:
            assert s.views.enqueue_jobless() == 0
            (job,) = s.session.scalars(select(Job))
        assert begun(started(job.id)) is Turn.GO

    def test_an_unknown_view_is_an_error_of_the_caller(self, workshop: Workshop) -> None:
        with pytest.raises(ViewNotFound), services() as s:
            s.views.changed("pg_class")


class TestAsk:
    def test_one_that_waits_already_is_as_good(self, admin: Actor) -> None:
        waiting = change()
        with services() as s:
            assert s.views.ask(VIEW, admin).id == waiting

    def test_one_that_has_begun_is_not(self, admin: Actor) -> None:
        first = change()
        begun(started(first))
        with services() as s:
            job = s.views.ask(VIEW, admin)
        assert job.id != first
        assert request_of(job.id).requested_by == admin.account_id

    def test_nor_is_one_that_is_to_be_cancelled(self, workshop: Workshop, admin: Actor) -> None:
        first = change()
        with services() as s:
            s.jobs.cancel(s.job_rows.get(first), admin)
        with services() as s:
            assert s.views.ask(VIEW, admin).id != first


class TestTurns:
    def test_those_who_wait_are_served_by_the_one_that_runs_after_them(self, client: Client) -> None:
        first, second, third = (change() for _ in range(3))
        a_transaction(client)
        assert begun(started(second)) is Turn.GO
        assert refreshed(second) == 1
        ended(second)
        served = request_of(second)
        assert (served.rows, served.error, served.served_by) == (1, None, None)
        assert served.duration is not None
        for other in (first, third):
            assert request_of(other).served_by == served.id
            assert begun(started(other)) is Turn.SERVED
        assert counted(client) == 1

    def test_while_one_runs_no_other_begins(self, workshop: Workshop) -> None:
        first, second = change(), change()
        assert begun(started(first)) is Turn.GO
        assert begun(started(second)) is Turn.BUSY
        refreshed(first)
        ended(first)
        assert begun(second) is Turn.SERVED, "it was asked for before the first one looked"

    def test_of_many_that_begin_at_once_one_goes(self, workshop: Workshop) -> None:
        jobs = [started(change()) for _ in range(6)]
        turns = workshop.together(lambda number: begun(jobs[number]), len(jobs))
        assert sorted(turns) == [Turn.BUSY] * 5 + [Turn.GO]

    def test_a_change_that_comes_while_a_refresh_runs_is_not_lost(
        self, workshop: Workshop, client: Client
    ) -> None:
        first = started(change())
        assert begun(first) is Turn.GO
        a_transaction(client)
        with services() as s:
            s.views.refreshes.take_waiting(request := s.views._of(first))
            s.views.refreshes.renew(VIEW)
            # It has looked; now, before it is done, rows and a request come with another connection.
            late = workshop.in_thread(lambda: (a_transaction(client), change())[1]).result(timeout=30)
            s.views.refreshes.finish([request.id], rows=1)
        ended(first)
        assert counted(client) == 1
        assert begun(started(late)) is Turn.GO
        refreshed(late)
        assert counted(client) == 2

    def test_a_request_that_is_not_committed_when_a_refresh_looks_is_not_served_by_it(
        self, workshop: Workshop, client: Client
    ) -> None:
        first = started(change())
        with workshop.another_database().unit_of_work() as session:
            session.execute(
                text("""INSERT INTO transaction (transaction_id, client_id, transaction_type, transaction_date,
                currency, amount) VALUES ('t', :id, 'buy', '2020-01-01', 'EUR', 1)"""),
                {"id": client.id},
            )
            job = Job(kind=KIND, args={"view": VIEW})
            session.add(job)
            session.flush()
            session.add(ViewRefresh(view=VIEW, job_id=job.id))
            session.flush()
            assert begun(first) is Turn.GO
            refreshed(first)
            ended(first)
            assert counted(client) == 0
        assert begun(started(job.id)) is Turn.GO
        refreshed(job.id)
        assert counted(client) == 1

    @pytest.mark.parametrize("state", ["queued", "dead", "cancelled"])
    def test_one_whose_worker_died_holds_up_nobody_and_is_served_too(
        self, workshop: Workshop, state: str
    ) -> None:
        first, second = started(change()), change()
        assert begun(first) is Turn.GO
        ended(first, state)
        assert begun(started(second)) is Turn.GO
        refreshed(second)
        assert request_of(first).served_by == request_of(second).id

    def test_one_that_died_after_its_work_was_kept_does_not_work_again(self, workshop: Workshop) -> None:
        first = started(change())
        begun(first)
        refreshed(first)
        assert begun(first) is Turn.SERVED

    def test_one_that_failed_tells_why_and_may_try_again(self, workshop: Workshop) -> None:
        first, second = started(change()), change()
        begun(first)
        with services() as s:
            s.views.fail(first, RuntimeError("no room"))
            (shown,) = s.view_rows.overview([VIEW])
        assert (request_of(first).error, request_of(second).started_at) == ("RuntimeError: no room", None)
        assert (shown["last_error"], shown["waiting"], shown["is_running"]) == (
            "RuntimeError: no room",
            1,
            False,
        )
        assert begun(first) is Turn.GO
        refreshed(first)
        assert request_of(first).error is None
        assert request_of(second).served_by == request_of(first).id

    def test_a_job_whose_request_is_gone_has_nothing_to_do(self, workshop: Workshop) -> None:
        job_id = started(change())
        with services() as s:
            s.session.execute(text("DELETE FROM view_refresh"))
        assert begun(job_id) is Turn.SERVED
        with pytest.raises(ViewNotFound):
            refreshed(job_id)


class TestReading:
    def test_readers_go_on_while_it_is_refreshed_and_see_what_was(
        self, workshop: Workshop, client: Client
    ) -> None:
        a_transaction(client)
        job = started(change())
        begun(job)
        with services() as s:
            s.views.refresh(job)  # done, but not committed: its locks are held
            reader = workshop.in_thread(lambda: counted(client))
            assert reader.result(timeout=15) == 0
        assert counted(client) == 1

    def test_a_refresh_does_not_wait_for_those_who_read(self, workshop: Workshop, client: Client) -> None:
        a_transaction(client)
        job = started(change())
        with services() as s:
            s.view_rows.statistics_of(client.id)  # and the reader's transaction stays open
            begun(job)
            assert workshop.in_thread(lambda: refreshed(job)).result(timeout=15) == 1

    def test_a_refresh_that_is_not_concurrent_would_block_them(
        self, workshop: Workshop, client: Client
    ) -> None:
        with services() as s:
            s.session.execute(text(f"REFRESH MATERIALIZED VIEW {VIEW}"))
            reader = workshop.in_thread(lambda: counted(client))
            workshop.await_lock_waiters(1)
        assert reader.result(timeout=15) == 0

    def test_figures_never_come_with_a_time_that_is_later_than_theirs(
        self, workshop: Workshop, client: Client
    ) -> None:
        job = started(change())
        begun(job)
        a_transaction(client)
        with services() as s:
            _, before = s.view_rows.statistics_of(client.id)
            s.views.refresh(job)
        with services() as s:
            _, after = s.view_rows.statistics_of(client.id)
        assert before is not None
        assert after is not None
        assert after == request_of(job).started_at
        assert after > before

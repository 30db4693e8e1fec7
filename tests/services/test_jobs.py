"""Putting jobs in line, and steering them: limits, hints that wait for the commit, cancel and retry."""

from dataclasses import replace

import pytest

from src.domain.jobs import NotCancellable, NotRetryable, OwnerQueueFull, QueueFull
from src.domain.roles import Actor
from src.models import AuditEntry, Job
from src.services.jobs import DIRECT_HINTS
from src.wiring import EXTENSION, services
from tests.committing import Workshop


def limit(workshop: Workshop, **limits: int) -> None:
    settings = replace(workshop.settings, **limits)
    workshop.app.extensions[EXTENSION] = replace(workshop.adapters, settings=settings)


@pytest.fixture
def owner(workshop: Workshop) -> Actor:
    return workshop.files.owner()


class TestEnqueue:
    def test_the_job_is_seen_and_hinted_at_after_the_commit_and_not_before(
        self, workshop: Workshop, owner: Actor
    ) -> None:
        with services() as s:
            job = s.jobs.enqueue("test", {"n": 1}, owner_id=owner.account_id)
            assert workshop.hints.sent == []
        assert workshop.hints.sent == [job.id]
        kept = workshop.jobs.read(job.id)
        assert (kept.state, kept.args, kept.owner_id) == ("queued", {"n": 1}, owner.account_id)
        assert kept.hinted_at is not None

    def test_a_rollback_drops_the_job_and_its_hint(self, workshop: Workshop) -> None:
        with pytest.raises(KeyError), services() as s:
            job = s.jobs.enqueue("test", {}, owner_id=None)
            raise KeyError
        assert workshop.hints.sent == []
        with services() as s:
            assert s.job_rows.find(job.id) is None

    def test_with_redis_away_the_job_is_kept(self, workshop: Workshop) -> None:
        workshop.hints.is_away = True
        with services() as s:
            job = s.jobs.enqueue("test", {}, owner_id=None)
        assert workshop.jobs.read(job.id).state == "queued"

    def test_more_than_a_few_jobs_of_one_owner_are_left_to_the_scheduler_to_hint_at(
        self, workshop: Workshop, owner: Actor
    ) -> None:
        jobs = []
        for _ in range(DIRECT_HINTS + 2):
            with services() as s:
                jobs.append(s.jobs.enqueue("test", {}, owner_id=owner.account_id))
        assert workshop.hints.sent == [job.id for job in jobs[:DIRECT_HINTS]]
        assert workshop.jobs.read(jobs[-1].id).hinted_at is None

    def test_a_job_wakes_the_schedulers_when_it_is_committed(self, workshop: Workshop) -> None:
        with workshop.another_database().bind.engine.connect() as connection:
            listener = connection.execution_options(isolation_level="AUTOCOMMIT")
            listener.exec_driver_sql("LISTEN job")
            with services() as s:
                s.jobs.enqueue("test", {}, owner_id=None)
            raw = listener.connection.driver_connection
            assert raw is not None
            assert [heard.channel for heard in raw.notifies(timeout=10, stop_after=1)] == ["job"]


class TestLimits:
    def test_an_owner_with_too_many_waiting_jobs_is_told_to_wait(
        self, workshop: Workshop, owner: Actor
    ) -> None:
        limit(workshop, max_queued_jobs_per_owner=2)
        for _ in range(2):
            workshop.jobs.add(owner_id=owner.account_id)
        with pytest.raises(OwnerQueueFull) as full, services() as s:
            s.jobs.enqueue("test", {}, owner_id=owner.account_id)
        assert full.value.retry_after

    def test_jobs_that_run_or_are_over_do_not_count(self, workshop: Workshop, owner: Actor) -> None:
        limit(workshop, max_queued_jobs_per_owner=1, max_queued_jobs=1)
        workshop.jobs.add_running(owner_id=owner.account_id)
        workshop.jobs.add_over(owner_id=owner.account_id)
        with services() as s:
            s.jobs.enqueue("test", {}, owner_id=owner.account_id)

    def test_one_owner_s_crowd_does_not_keep_others_out(self, workshop: Workshop, owner: Actor) -> None:
        limit(workshop, max_queued_jobs_per_owner=1)
        workshop.jobs.add(owner_id=owner.account_id)
        with services() as s:
            s.jobs.enqueue("test", {}, owner_id=workshop.jobs.owner())
            s.jobs.enqueue("test", {}, owner_id=None)

    def test_with_too_much_waiting_altogether_nothing_is_added(self, workshop: Workshop) -> None:
        limit(workshop, max_queued_jobs=1)
        workshop.jobs.add()
        with pytest.raises(QueueFull) as full, services() as s:
            s.jobs.enqueue("test", {}, owner_id=workshop.jobs.owner())
        assert full.value.retry_after

    @pytest.mark.parametrize(
        ("limits", "status"),
        [({"max_queued_jobs_per_owner": 0}, 429), ({"max_queued_jobs": 0}, 503)],
        ids=["of the owner", "of all"],
    )
    def test_over_http_it_is_429_for_the_owner_and_503_for_all(
        self, workshop: Workshop, limits: dict[str, int], status: int
    ) -> None:
        caller = workshop.accounts.caller()
        upload = caller.post("/api/v1/files?filename=a.csv", data=b"a,b\n1,2\n")
        limit(workshop, **limits)
        answer = caller.post(f"/api/v1/files/{upload.json['id']}/profile")
        assert answer.status_code == status
        assert answer.mimetype == "application/problem+json"
        assert int(answer.headers["Retry-After"]) > 0


class TestCancel:
    def cancel(self, job: Job, by: Actor) -> Job:
        with services() as s:
            return s.jobs.cancel(s.job_rows.get(job.id), by)

    def test_a_waiting_job_is_cancelled_at_once(self, workshop: Workshop, owner: Actor) -> None:
        job = self.cancel(workshop.jobs.add(), owner)
        assert job.state == "cancelled"
        assert job.finished_at is not None

    def test_a_running_job_is_asked_to_stop(self, workshop: Workshop, owner: Actor) -> None:
        job = self.cancel(workshop.jobs.add_running(), owner)
        assert (job.state, job.is_cancel_requested) == ("running", True)

    @pytest.mark.parametrize("state", ["done", "failed", "cancelled", "dead"])
    def test_a_job_that_is_over_is_not_cancelled(self, workshop: Workshop, owner: Actor, state: str) -> None:
        with pytest.raises(NotCancellable):
            self.cancel(workshop.jobs.add_over(state=state), owner)

    def test_a_job_that_a_worker_takes_meanwhile_is_asked_to_stop(
        self, workshop: Workshop, owner: Actor
    ) -> None:
        job = workshop.jobs.add()
        with workshop.another_database().unit_of_work() as worker:
            worker.get_one(Job, job.id, with_for_update=True)
            cancelled = workshop.in_thread(lambda: self.cancel(job, owner))
            workshop.await_lock_waiters(1)
            claimed = worker.get_one(Job, job.id)
            claimed.state, claimed.fence = "running", 1
            claimed.lease_until = claimed.created_at.replace(year=claimed.created_at.year + 1)
        after = cancelled.result(timeout=10)
        assert (after.state, after.is_cancel_requested) == ("running", True)


class TestRetry:
    @pytest.mark.parametrize("state", ["failed", "cancelled", "dead"])
    def test_a_job_that_failed_starts_from_the_beginning(
        self, workshop: Workshop, owner: Actor, state: str
    ) -> None:
        job = workshop.jobs.add_over(
            state=state, attempts=5, fence=7, error={"slug": "x"}, is_cancel_requested=state == "cancelled"
        )
        with services() as s:
            s.jobs.retry(s.job_rows.get(job.id), owner)
            assert workshop.hints.sent == []
        again = workshop.jobs.read(job.id)
        assert (again.state, again.attempts, again.error, again.is_cancel_requested) == (
            "queued",
            0,
            None,
            False,
        )
        assert again.fence == 7
        assert workshop.hints.sent == [job.id]

    def test_a_job_that_is_done_or_under_way_is_not_tried_again(
        self, workshop: Workshop, owner: Actor
    ) -> None:
        for job in (workshop.jobs.add(), workshop.jobs.add_running(), workshop.jobs.add_over()):
            with pytest.raises(NotRetryable), services() as s:
                s.jobs.retry(s.job_rows.get(job.id), owner)
        assert workshop.hints.sent == []

    def test_many_are_retried_by_kind_and_state_and_each_is_in_the_audit_trail(
        self, workshop: Workshop, owner: Actor
    ) -> None:
        wanted = [workshop.jobs.add_over(state="dead", kind="a").id for _ in range(2)]
        others = [
            workshop.jobs.add_over(state="failed", kind="a"),
            workshop.jobs.add_over(state="dead", kind="b"),
        ]
        with services() as s:
            assert sorted(s.jobs.retry_many(owner, kind="a", state="dead")) == wanted
        assert [workshop.jobs.read(job.id).state for job in others] == ["failed", "dead"]
        with services() as s:
            noted = s.session.query(AuditEntry.object_id).filter(AuditEntry.action == "job.retried").all()
        assert sorted(id_ for (id_,) in noted) == [str(id_) for id_ in wanted]


def test_a_job_carries_the_id_of_the_request_that_asked_for_it(workshop: Workshop) -> None:
    caller = workshop.accounts.caller()
    upload = caller.post("/api/v1/files?filename=a.csv", data=b"a,b\n1,2\n")
    job = caller.post(
        f"/api/v1/files/{upload.json['id']}/profile", headers={"X-Request-ID": "request-number-1"}
    )
    assert workshop.jobs.read(job.json["id"]).request_id == "request-number-1"

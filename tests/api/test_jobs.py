"""Jobs, as their owners see them: listed, waited for, cancelled, tried again."""

from concurrent.futures import wait
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, text, update
from werkzeug.test import TestResponse

from src.domain.jobs import JobState
from src.models import Job
from src.wiring import EXTENSION, Adapters, services
from tests.api.conftest import Change
from tests.api.nouns import JOBS, a_file, a_job
from tests.committing import TEST, Workshop, own_settings, workshop
from tests.factories.accounts import Accounts, Caller

__all__ = ["own_settings", "workshop"]
each = pytest.mark.parametrize
LEASE: dict[str, Any] = {"lease_until": func.clock_timestamp() + text("interval '1 hour'")}
OVER = ("done", "failed", "cancelled", "dead")


def in_state(owner: Caller | None, state: str) -> UUID:
    return a_job(owner, state, **(LEASE if state == "running" else {}))


def states(answer: TestResponse) -> list[str]:
    return [job["state"] for job in answer.json["data"]]


class TestList:
    def test_owners_see_their_own_and_administrators_all(
        self, operator: Caller, accounts: Accounts, admin: Caller
    ) -> None:
        mine, theirs, nobodys = a_job(operator), a_job(accounts.caller()), a_job(None)
        assert [job["id"] for job in operator.get(JOBS).json["data"]] == [str(mine)]
        all_ids = [job["id"] for job in admin.get(JOBS).json["data"]]
        assert all_ids == [str(nobodys), str(theirs), str(mine)]

    def test_it_is_filtered_by_kind_and_state(self, operator: Caller) -> None:
        for state in JobState:
            in_state(operator, state)
        a_job(operator, "done", kind="housekeeping")
        assert states(operator.get(JOBS, query_string={"state": "dead"})) == ["dead"]
        both = {"state": "done", "kind": "housekeeping"}
        assert len(operator.get(JOBS, query_string=both).json["data"]) == 1
        assert operator.get(JOBS, query_string={"kind": "unknown"}).json["data"] == []

    @each("filters", [{"state": "finished"}, {"kind": "a\x00b"}])
    def test_a_value_that_no_job_can_have_is_400(self, operator: Caller, filters: dict[str, str]) -> None:
        assert operator.get(JOBS, query_string=filters).status_code == 400


class TestOne:
    def test_it_tells_state_progress_times_result_and_error(self, operator: Caller) -> None:
        members: dict[str, Any] = {
            "progress": {"done": 3, "total": None, "unit": "rows", "rate": 1.5},
            "result": {"rows": 3},
            "error": {"slug": "invalid", "title": "t", "detail": "d"},
            "finished_at": func.clock_timestamp(),
        }
        job = operator.get(f"{JOBS}/{a_job(operator, 'failed', **members)}").json
        assert {name: job[name] for name in ("progress", "result", "error")} == {
            name: members[name] for name in ("progress", "result", "error")
        }
        assert job["owner_id"] == str(operator.id)
        assert job["finished_at"].endswith("Z") or job["finished_at"].endswith("+00:00")


class TestCancel:
    def test_a_queued_one_is_over_at_once(self, operator: Caller) -> None:
        answer = operator.post(f"{JOBS}/{a_job(operator)}/cancel")
        assert (answer.json["state"], answer.json["is_cancel_requested"]) == ("cancelled", True)
        assert answer.json["finished_at"] is not None

    def test_a_running_one_is_asked_to_stop(self, operator: Caller) -> None:
        answer = operator.post(f"{JOBS}/{in_state(operator, 'running')}/cancel")
        assert (answer.json["state"], answer.json["is_cancel_requested"]) == ("running", True)

    @each("state", OVER)
    def test_one_that_is_over_is_409(self, operator: Caller, state: str) -> None:
        answer = operator.post(f"{JOBS}/{a_job(operator, state)}/cancel")
        assert (answer.status_code, answer.json["type"]) == (409, "/problems/job-is-over")


class TestRetry:
    @each("state", ["failed", "dead", "cancelled"])
    def test_it_starts_from_the_beginning(self, operator: Caller, state: str) -> None:
        job = a_job(operator, state, attempts=5, error={"slug": "x"}, is_cancel_requested=True)
        answer = operator.post(f"{JOBS}/{job}/retry")
        assert (answer.status_code, answer.headers["Location"]) == (202, f"{JOBS}/{job}")
        found = {name: answer.json[name] for name in ("state", "attempts", "error", "is_cancel_requested")}
        assert found == {"state": "queued", "attempts": 0, "error": None, "is_cancel_requested": False}

    @each("state", ["queued", "running", "done"])
    def test_one_that_did_not_fail_is_409(self, operator: Caller, state: str) -> None:
        answer = operator.post(f"{JOBS}/{in_state(operator, state)}/retry")
        assert (answer.status_code, answer.json["type"]) == (409, "/problems/job-not-retryable")


class TestRetryMany:
    def test_all_that_failed_of_everybody(self, operator: Caller, admin: Caller) -> None:
        made = {state: in_state(operator, state) for state in JobState}
        answer = admin.post(f"{JOBS}/retry")
        assert answer.status_code == 202
        wanted = {str(made[JobState(state)]) for state in ("failed", "dead", "cancelled")}
        assert set(answer.json["retried"]) == wanted
        assert admin.post(f"{JOBS}/retry").json["retried"] == []

    @each(
        ("filters", "count"),
        [({"state": "dead"}, 1), ({"kind": "housekeeping"}, 1), ({"kind": "profile", "state": "failed"}, 0)],
    )
    def test_only_those_that_match(self, admin: Caller, filters: dict[str, str], count: int) -> None:
        a_job(None, "dead", kind="profile")
        a_job(None, "failed", kind="housekeeping")
        assert len(admin.post(f"{JOBS}/retry", query_string=filters).json["retried"]) == count

    def test_a_state_that_cannot_be_retried_is_400(self, admin: Caller) -> None:
        assert admin.post(f"{JOBS}/retry", query_string={"state": "done"}).status_code == 400


class TestQueueLimits:
    def test_too_many_of_one_owner_are_429_and_others_go_on(
        self, operator: Caller, accounts: Accounts, change: Change
    ) -> None:
        change(max_queued_jobs_per_owner=2)
        for _ in range(2):
            a_job(operator)
        answer = operator.post(f"/api/v1/files/{a_file(operator)['id']}/profile")
        assert (answer.status_code, answer.json["type"]) == (429, "/problems/owner-queue-full")
        other = accounts.caller()
        assert other.post(f"/api/v1/files/{a_file(other)['id']}/profile").status_code == 202

    def test_too_many_of_all_are_503(self, operator: Caller, change: Change) -> None:
        change(max_queued_jobs=1)
        a_job(None)
        answer = operator.post(f"/api/v1/files/{a_file(operator)['id']}/profile")
        assert (answer.status_code, answer.json["type"]) == (503, "/problems/queue-full")
        assert answer.headers["Retry-After"] == "30"

    def test_jobs_that_are_over_do_not_count(self, operator: Caller, change: Change) -> None:
        change(max_queued_jobs_per_owner=1, max_queued_jobs=1)
        a_job(operator, "done")
        assert operator.post(f"/api/v1/files/{a_file(operator)['id']}/profile").status_code == 202


class TestWait:
    @each("state", OVER)
    def test_for_one_that_is_over_the_answer_comes_at_once(self, operator: Caller, state: str) -> None:
        answer = operator.get(f"{JOBS}/{a_job(operator, state)}", query_string={"wait": 30})
        assert answer.json["state"] == state

    def test_it_ends_after_so_many_seconds(self, operator: Caller) -> None:
        answer = operator.get(f"{JOBS}/{a_job(operator)}", query_string={"wait": 1})
        assert answer.json["state"] == "queued"

    @each("wait", ["-1", "31", "soon", "1.5"])
    def test_more_than_thirty_seconds_or_none_is_400(self, operator: Caller, wait: str) -> None:
        answer = operator.get(f"{JOBS}/{uuid4()}", query_string={"wait": wait})
        assert answer.status_code == 400
        assert answer.json["errors"][0]["pointer"] == "/wait"

    def test_with_too_many_waiters_the_answer_comes_at_once(self, operator: Caller, change: Change) -> None:
        change(max_waiters=0)
        answer = operator.get(f"{JOBS}/{a_job(operator)}", query_string={"wait": 30})
        assert (answer.status_code, answer.json["state"]) == (200, "queued")


class TestWaitingForAChange:
    """With real commits: someone else ends the job while the request waits."""

    def end(self, workshop: Workshop, job: UUID) -> None:
        with services() as s:
            s.session.execute(update(Job).where(Job.id == job).values(state="done"))

    def test_the_answer_comes_when_the_job_is_over(self, workshop: Workshop) -> None:
        caller = workshop.accounts.caller()
        job = a_job(caller)
        path = f"{JOBS}/{job}"
        waiter = workshop.in_thread(lambda: caller.get(path, query_string={"wait": 30}))
        assert not wait([waiter], timeout=0.5).done
        self.end(workshop, job)
        assert waiter.result(timeout=30).json["state"] == "done"

    def test_a_waiter_s_place_is_free_again_when_it_is_answered(self, workshop: Workshop) -> None:
        use(workshop, max_waiters=1)
        caller = workshop.accounts.caller()
        job = a_job(caller)
        assert caller.get(f"{JOBS}/{job}", query_string={"wait": 1}).json["state"] == "queued"
        waiter = workshop.in_thread(lambda: caller.get(f"{JOBS}/{job}", query_string={"wait": 30}))
        assert not wait([waiter], timeout=0.5).done
        self.end(workshop, job)
        assert waiter.result(timeout=30).json["state"] == "done"

    def test_waiters_hold_no_connections(self, workshop: Workshop) -> None:
        """Two connections are enough for six waiters and whoever else comes."""
        database = workshop.another_database(replace(TEST, pool_size=2, pool_wait_s=5))
        use(workshop, database=database)
        caller = workshop.accounts.caller()
        job = a_job(caller)
        path = f"{JOBS}/{job}"
        waiters = [workshop.in_thread(lambda: caller.get(path, query_string={"wait": 30})) for _ in range(6)]
        assert not wait(waiters, timeout=0.5).done
        assert caller.get("/api/v1/auth/me").status_code == 200
        self.end(workshop, job)
        assert [waiter.result(timeout=30).json["state"] for waiter in waiters] == ["done"] * 6


def use(workshop: Workshop, **changes: Any) -> None:
    """Change the settings or the database of the running application."""
    present: Adapters = workshop.app.extensions[EXTENSION]
    database = changes.pop("database", present.database)
    changed = replace(present, settings=replace(present.settings, **changes), database=database)
    workshop.app.extensions[EXTENSION] = changed

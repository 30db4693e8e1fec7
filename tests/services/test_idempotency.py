"""One effect and one answer per Idempotency-Key, also for twins that come at the same moment."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import func, select, text
from werkzeug.test import TestResponse

from src.domain.roles import Actor
from src.models import File, IdempotencyKey, Job
from src.repositories.idempotency import StillRunning
from src.services.idempotency import LONGEST_KEY, Answer, BadKey, KeyReused
from src.wiring import adapters, services
from tests.committing import Workshop
from tests.factories.accounts import Caller

TABLE = b"name,amount\nAna,10\n"


@pytest.fixture
def owner(workshop: Workshop) -> Actor:
    return workshop.files.owner()


def once(owner: Actor, key: str | None, make: Callable[[], Answer], fingerprint: str = "POST /x") -> Answer:
    with services() as s:
        return s.idempotency.once(owner.account_id, key, fingerprint, make)


def number(value: int) -> Callable[[], Answer]:
    return lambda: Answer(201, {"n": value}, {"Location": f"/x/{value}"})


class TestOnce:
    def test_the_first_answer_is_given_again(self, owner: Actor) -> None:
        assert once(owner, "key", number(1)) == Answer(201, {"n": 1}, {"Location": "/x/1"})
        again = once(owner, "key", number(2))
        assert again == Answer(201, {"n": 1}, {"Location": "/x/1"}, is_replay=True)

    def test_without_a_key_every_request_counts(self, owner: Actor) -> None:
        assert [once(owner, None, number(n)).body["n"] for n in (1, 2)] == [1, 2]

    def test_another_account_may_use_the_same_key(self, workshop: Workshop, owner: Actor) -> None:
        once(owner, "key", number(1))
        assert once(workshop.files.owner(), "key", number(2)).body == {"n": 2}

    def test_the_key_of_another_request_is_refused(self, owner: Actor) -> None:
        once(owner, "key", number(1))
        with pytest.raises(KeyReused):
            once(owner, "key", number(2), fingerprint="POST /y")

    @pytest.mark.parametrize("key", ["", "k" * (LONGEST_KEY + 1), "line\nbreak"])
    def test_a_key_that_makes_no_sense_is_refused(self, owner: Actor, key: str) -> None:
        with pytest.raises(BadKey):
            once(owner, key, number(1))

    def test_a_failure_is_not_kept(self, owner: Actor) -> None:
        def fail() -> Answer:
            raise KeyError

        with pytest.raises(KeyError):
            once(owner, "key", fail)
        assert once(owner, "key", number(2)).body == {"n": 2}

    def test_a_key_past_its_time_is_free_again(self, workshop: Workshop, owner: Actor) -> None:
        once(owner, "key", number(1))
        with workshop.database.unit_of_work() as session:
            session.execute(text("UPDATE idempotency_key SET expires_at = clock_timestamp()"))
        assert once(owner, "key", number(2)) == Answer(201, {"n": 2}, {"Location": "/x/2"})


class TestTwins:
    def test_of_ten_at_the_same_moment_one_has_an_effect_and_all_have_its_answer(
        self, workshop: Workshop, owner: Actor
    ) -> None:
        made: list[int] = []

        def make(value: int) -> Answer:
            made.append(value)
            return Answer(201, {"n": value})

        answers = workshop.together(lambda n: once(owner, "key", lambda: make(n)), 10)
        assert len(made) == 1
        assert [answer.body for answer in answers] == [{"n": made[0]}] * 10
        assert sorted(answer.is_replay for answer in answers) == [False] + [True] * 9

    def test_a_twin_takes_over_when_the_first_is_rolled_back(self, workshop: Workshop, owner: Actor) -> None:
        is_to_fail = threading.Event()

        def fail_later() -> Answer:
            is_to_fail.wait(10)
            raise KeyError

        first = workshop.in_thread(lambda: once(owner, "key", fail_later))
        second = workshop.in_thread(lambda: self.once_after(workshop, owner))
        workshop.await_lock_waiters(1)
        is_to_fail.set()
        assert second.result(timeout=10) == Answer(201, {"n": 2}, {"Location": "/x/2"})
        with pytest.raises(KeyError):
            first.result(timeout=10)

    def once_after(self, workshop: Workshop, owner: Actor) -> Answer:
        """As the second of two: the key is taken already, but not committed."""
        self.await_claim(workshop)
        return once(owner, "key", number(2))

    def await_claim(self, workshop: Workshop) -> None:
        asked = text("""SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND state = 'idle in transaction' AND query LIKE 'INSERT INTO idempotency_key%'""")
        for _ in range(1000):
            with workshop.database.unit_of_work() as session:
                if session.scalars(asked).one():
                    return
        raise AssertionError("nobody took the key")

    def test_a_twin_does_not_wait_long_for_a_first_that_takes_its_time(
        self, workshop: Workshop, owner: Actor
    ) -> None:
        is_done = threading.Event()

        def make_slowly() -> Answer:
            is_done.wait(30)
            return Answer(201, {"n": 1})

        first = workshop.in_thread(lambda: once(owner, "key", make_slowly))
        self.await_claim(workshop)
        with pytest.raises(StillRunning) as running:
            once(owner, "key", number(2))
        assert running.value.retry_after == 2
        is_done.set()
        assert first.result(timeout=10).body == {"n": 1}
        assert once(owner, "key", number(2)).body == {"n": 1}


class TestOverHttp:
    @pytest.fixture
    def caller(self, workshop: Workshop) -> Caller:
        return workshop.accounts.caller()

    def upload(self, caller: Caller, key: str, content: bytes = TABLE) -> TestResponse:
        return caller.post("/api/v1/files?filename=a.csv", data=content, headers={"Idempotency-Key": key})

    def count(self, workshop: Workshop, model: type) -> int:
        with workshop.database.unit_of_work() as session:
            return session.scalars(select(func.count()).select_from(model)).one()

    def stored(self) -> list[str]:
        with services() as s:
            now = s.session.scalars(select(func.clock_timestamp())).one()
        return [stored.key for stored in adapters().storage.keys(now.replace(year=now.year + 1))]

    def test_twin_uploads_make_one_file_with_one_answer_and_leave_no_bytes_behind(
        self, workshop: Workshop, caller: Caller
    ) -> None:
        before = set(self.stored())
        answers = workshop.together(lambda _: self.upload(caller, "key"), 6)
        assert {answer.status_code for answer in answers} == {201}
        assert all(answer.json == answers[0].json for answer in answers)
        assert len({answer.headers["Location"] for answer in answers}) == 1
        assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 5
        assert self.count(workshop, File) == 1
        with services() as s:
            kept = s.file_rows.get(answers[0].json["id"])
        assert set(self.stored()) - before == {kept.storage_key}

    def test_a_profile_asked_for_by_twins_is_one_job(self, workshop: Workshop, caller: Caller) -> None:
        path = f"/api/v1/files/{self.upload(caller, 'first').json['id']}/profile"
        key = {"Idempotency-Key": "key"}
        answers = workshop.together(lambda _: caller.post(path, headers=key), 6)
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json["id"] for answer in answers}) == 1
        assert self.count(workshop, Job) == 1
        assert len(workshop.hints.sent) == 1
        assert self.count(workshop, IdempotencyKey) == 2

"""Idempotency-Key: the same request again gets the first answer again, and has its effect once."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select, text
from werkzeug.test import TestResponse

from src.integrations.storage_disk import DiskStorage
from src.models import File, IdempotencyKey, Job
from src.wiring import EXTENSION, Services
from tests.api.conftest import Change, stored
from tests.api.nouns import CSV, FILES, JOBS, a_file, a_job
from tests.committing import TEST, Workshop, own_settings, workshop
from tests.factories.accounts import Accounts, Caller

__all__ = ["own_settings", "workshop"]
each = pytest.mark.parametrize


def upload(caller: Caller, key: str, content: bytes = CSV, name: str = "a.csv") -> TestResponse:
    headers = {"Idempotency-Key": key}
    return caller.post(FILES, query_string={"filename": name}, data=content, headers=headers)


def count(services: Services, model: Any = File) -> int:
    return services.session.scalars(select(func.count()).select_from(model)).one()


def told(answer: TestResponse) -> tuple[Any, ...]:
    return answer.status_code, answer.json, answer.headers["Location"]


class TestReplay:
    def test_a_repeated_upload_is_one_file(
        self, operator: Caller, store: DiskStorage, services: Services
    ) -> None:
        first, again = upload(operator, "k1"), upload(operator, "k1")
        assert told(first) == told(again)
        assert "Idempotency-Replayed" not in first.headers
        assert again.headers["Idempotency-Replayed"] == "true"
        assert count(services) == 1
        assert [path.read_bytes() for path in stored(store)] == [CSV]
        assert services.account_rows.get(operator.id).stored_bytes == len(CSV)

    def test_a_repeated_start_of_a_job_is_one_job(self, operator: Caller, services: Services) -> None:
        path, headers = f"{FILES}/{a_file(operator)['id']}/profile", {"Idempotency-Key": "k1"}
        first, again = (operator.post(path, headers=headers) for _ in range(2))
        assert told(first) == told(again)
        assert count(services, Job) == 1

    def test_it_is_the_first_answer_even_if_things_have_changed(self, operator: Caller) -> None:
        job = a_job(operator, "failed")
        path, headers = f"{JOBS}/{job}/retry", {"Idempotency-Key": "k1"}
        first = operator.post(path, headers=headers)
        operator.post(f"{JOBS}/{job}/cancel")
        again = operator.post(path, headers=headers)
        assert told(first) == told(again)
        assert operator.get(f"{JOBS}/{job}").json["state"] == "cancelled"

    def test_a_repeated_bulk_retry_names_the_same_jobs(self, admin: Caller) -> None:
        a_job(None, "dead")
        first, again = (admin.post(f"{JOBS}/retry", headers={"Idempotency-Key": "k"}) for _ in range(2))
        assert len(first.json["retried"]) == 1
        assert first.json == again.json

    def test_quotes_around_a_key_make_no_other_key(self, operator: Caller) -> None:
        assert upload(operator, "k1").json == upload(operator, '"k1"').json

    def test_without_a_key_twice_is_two(self, operator: Caller, services: Services) -> None:
        a_file(operator)
        a_file(operator)
        assert count(services) == 2

    def test_the_keys_of_accounts_are_apart(
        self, operator: Caller, accounts: Accounts, services: Services
    ) -> None:
        assert upload(operator, "k1").json["id"] != upload(accounts.caller(), "k1").json["id"]
        assert count(services) == 2

    def test_a_day_later_the_key_is_new(self, operator: Caller, services: Services) -> None:
        first = upload(operator, "k1")
        services.session.execute(text("UPDATE idempotency_key SET expires_at = now() - interval '1 s'"))
        again = upload(operator, "k1")
        assert again.status_code == 201
        assert again.json["id"] != first.json["id"]

    def test_it_is_kept_for_a_day(self, operator: Caller, services: Services) -> None:
        upload(operator, "k1")
        left = services.session.scalar(text("SELECT expires_at - created_at FROM idempotency_key"))
        assert left is not None
        assert round(left.total_seconds()) == 86_400


class TestAnotherRequest:
    @each(
        "other",
        [{"content": CSV + b"3,Carla,1.00\n"}, {"name": "b.csv"}],
        ids=["other bytes", "other name"],
    )
    def test_with_the_same_key_is_422_and_keeps_nothing(
        self, operator: Caller, store: DiskStorage, services: Services, other: dict[str, Any]
    ) -> None:
        upload(operator, "k1")
        answer = upload(operator, "k1", **other)
        assert (answer.status_code, answer.json["type"]) == (422, "/problems/idempotency-key-reused")
        assert (count(services), len(stored(store))) == (1, 1)

    def test_to_another_address_is_422(self, operator: Caller) -> None:
        file = upload(operator, "k1").json
        answer = operator.post(f"{FILES}/{file['id']}/profile", headers={"Idempotency-Key": "k1"})
        assert answer.status_code == 422

    def test_with_another_filter_is_422(self, admin: Caller) -> None:
        headers = {"Idempotency-Key": "k1"}
        assert admin.post(f"{JOBS}/retry", headers=headers).status_code == 202
        answer = admin.post(f"{JOBS}/retry", query_string={"state": "dead"}, headers=headers)
        assert answer.status_code == 422


class TestFailure:
    def test_a_failed_request_does_not_use_up_its_key(
        self, operator: Caller, services: Services, change: Change
    ) -> None:
        change(quota_bytes=1)
        assert upload(operator, "k1").status_code == 507
        assert count(services, IdempotencyKey) == 0
        change(quota_bytes=1_000)
        assert upload(operator, "k1").status_code == 201

    @each("key", ["", '""', " ", "x" * 201, "a\x07b", "a\u0085b"])
    def test_a_key_that_cannot_be_used_is_400_and_keeps_nothing(
        self, operator: Caller, store: DiskStorage, services: Services, key: str
    ) -> None:
        answer = upload(operator, key)
        assert (answer.status_code, answer.json["type"]) == (400, "/problems/bad-idempotency-key")
        assert (count(services), stored(store)) == (0, [])

    @each("key", ["x" * 200, "a b", "9f0c1c1e-6a5e-4b52-8b0a-0f2b8c6d3e11"])
    def test_any_printable_key_of_200_characters_will_do(self, operator: Caller, key: str) -> None:
        assert upload(operator, key).status_code == 201


class TestTwins:
    """With real commits: the same request several times at once."""

    def test_all_get_one_answer_and_there_is_one_effect(self, workshop: Workshop) -> None:
        caller = workshop.accounts.caller()
        patient = workshop.another_database(replace(TEST, lock_ms=60_000, statement_ms=60_000))
        workshop.app.extensions[EXTENSION] = replace(workshop.adapters, database=patient)
        answers = workshop.together(lambda _: upload(caller, "k1"), 6)
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json["id"] for answer in answers}) == 1
        assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 5
        assert len(caller.get(FILES).json["data"]) == 1

    def test_who_waits_too_long_for_the_first_is_told_to_ask_again(self, workshop: Workshop) -> None:
        caller = workshop.accounts.caller()
        with workshop.another_database().unit_of_work() as first:
            first.add(IdempotencyKey(owner_id=caller.id, key="k1", fingerprint="f", expires_at=func.now()))
            first.flush()
            answer = upload(caller, "k1")
        assert (answer.status_code, answer.json["type"]) == (409, "/problems/idempotency-key-running")
        assert answer.headers["Retry-After"] == "2"

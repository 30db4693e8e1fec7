"""Events over HTTP: the published interface, what is refused and how, batches, and lists."""

import time
from decimal import Decimal
from typing import Any

import orjson
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from src.domain.events import LAST_T
from src.wiring import Services
from tests.api.conftest import Change, MakeApp
from tests.api.nouns import an_api_key
from tests.factories.accounts import Caller
from tests.factories.clients import a_client
from tests.factories.events import a_body, alerts, stored

EVENTS, BATCH = "/api/v1/events", "/api/v1/events/batch"
each = pytest.mark.parametrize


@pytest.fixture(autouse=True)
def known(app: Flask) -> None:
    """Two clients."""
    a_client("1")
    a_client("2")


def send(caller: Caller, *values: Any, path: str = EVENTS, **more: Any) -> TestResponse:
    return caller.post(path, json=a_body(*values, **more))


def codes(caller: Caller, *events: tuple[Any, ...]) -> list[list[int]]:
    """The alert codes of each of these events (type, amount, user_id, t)."""
    answers = [send(caller, *event) for event in events]
    assert [answer.status_code for answer in answers] == [200] * len(events)
    return [answer.json["alert_codes"] for answer in answers]


@each("path", [EVENTS, "/event", "/event/"])
def test_an_event_is_answered_as_published(operator: Caller, path: str) -> None:
    answer = operator.post(path, json={"type": "deposit", "amount": "42.00", "user_id": 1, "t": 10})
    assert answer.status_code == 200
    assert answer.json == {"alert": False, "alert_codes": [], "user_id": 1}


def test_amounts_are_exact_decimals(operator: Caller, services: Services) -> None:
    amounts = ["42", "42.0", "42.10", "042.00", 42, 42.1, "99999999.99", "0.01", "1.500"]
    for t, amount in enumerate(amounts):
        assert send(operator, "deposit", amount, t=t).status_code == 200, amount
    kept = [amount for _, _, _, amount in stored(services.session)]
    assert kept == [f"{Decimal(str(amount)):.2f}" for amount in amounts]


def test_the_user_id_comes_back_as_it_was_sent_and_means_the_same_client(operator: Caller) -> None:
    assert send(operator, user_id="1", t=1).json["user_id"] == "1"
    assert send(operator, user_id=1, t=2).json["user_id"] == 1
    listed = operator.get("/api/v1/clients/1/events").json["data"]
    assert [row["t"] for row in listed] == [2, 1]


def test_alerts_come_in_ascending_order_and_are_rows_that_name_their_causes(
    operator: Caller, services: Services
) -> None:
    events = [("deposit", "50", 1, 10), ("deposit", "70", 1, 20), ("deposit", "90", 1, 40)]
    assert codes(operator, *events) == [[], [], [123, 300]]
    assert alerts(services.session) == [("1", 40, 123, [10, 20, 40]), ("1", 40, 300, [10, 20, 40])]


def test_a_withdraw_of_exactly_100_is_silent_and_a_cent_more_is_not(operator: Caller) -> None:
    assert codes(operator, ("withdraw", "100.00", 1, 1), ("withdraw", "100.01", 2, 2)) == [[], [1100]]


def test_deposits_of_exactly_200_are_silent_and_a_cent_more_is_not(operator: Caller) -> None:
    assert codes(operator, ("deposit", "200.00", 1, 1), ("deposit", "0.01", 1, 2)) == [[], [123]]


def test_thirty_seconds_ago_counts_and_thirty_one_does_not(operator: Caller) -> None:
    first, second = ("deposit", "150", 1, 100), ("deposit", "150", 2, 101)
    assert codes(operator, first, second, ("deposit", "100", 1, 130), ("deposit", "100", 2, 132)) == [
        [],
        [],
        [123],
        [],
    ]


def test_equal_deposits_do_not_increase_and_withdraws_between_them_do_not_matter(operator: Caller) -> None:
    equal = [("deposit", "5", 1, 100), ("deposit", "5", 1, 200), ("deposit", "6", 1, 300)]
    rising = [("deposit", "7", 1, 400), ("withdraw", "1", 1, 450), ("deposit", "8", 1, 500)]
    assert codes(operator, *equal, *rising) == [[], [], [], [300], [], [300]]


def test_three_withdraws_of_one_client_alert_and_others_between_them_do_not_matter(operator: Caller) -> None:
    events = [("withdraw", "1", 1 + n % 2, n) for n in range(5)]
    assert codes(operator, *events) == [[], [], [], [], [30]]
    assert codes(operator, ("deposit", "1", 2, 5), ("withdraw", "1", 2, 6)) == [[], []]


def test_a_rule_in_the_shadow_is_kept_as_an_alert_but_answers_nobody(
    operator: Caller, services: Services
) -> None:
    services.session.connection().exec_driver_sql("UPDATE alert_rule SET state = 'shadow' WHERE code = 1100")
    services.session.connection().exec_driver_sql("UPDATE alert_rule_revision SET revision = revision + 1")
    assert codes(operator, ("withdraw", "101", 1, 1)) == [[]]
    assert alerts(services.session) == [("1", 1, 1100, [1])]


def test_a_changed_rule_holds_from_the_next_event_on(operator: Caller, services: Services) -> None:
    assert codes(operator, ("withdraw", "101", 1, 1)) == [[1100]]
    services.session.connection().exec_driver_sql(
        "UPDATE alert_rule SET state = 'disabled' WHERE code = 1100"
    )
    services.session.connection().exec_driver_sql("UPDATE alert_rule_revision SET revision = revision + 1")
    assert codes(operator, ("withdraw", "101", 1, 2)) == [[]]


def test_a_t_that_exists_is_a_duplicate_and_one_below_the_latest_is_told_the_latest(operator: Caller) -> None:
    send(operator, t=10)
    send(operator, t=20)
    for t, user in ((10, 1), (20, 2)):
        answer = send(operator, t=t, user_id=user)
        assert (answer.status_code, answer.json["error"]) == (409, "Duplicate timestamp")
        assert answer.json["message"] == answer.json["detail"] == f"There is an event at t = {t} already."
        assert answer.json["user_id"] == user
    answer = send(operator, t=15, user_id=2)
    assert (answer.status_code, answer.json["latest_t"], answer.json["user_id"]) == (400, 20, 2)
    assert "20" in answer.json["message"]
    assert answer.json["errors"][0]["pointer"] == "/t"


def test_the_last_t_there_is_can_be_stored(operator: Caller) -> None:
    assert send(operator, t=LAST_T).status_code == 200
    assert send(operator, t=LAST_T).status_code == 409
    assert send(operator, t=LAST_T + 1).status_code == 400


FAULTY: dict[str, list[Any]] = {
    "type": ["withdrawal", "Deposit", 1, None],
    "amount": ["0", "-1", "1.001", "1e2", "1,5", "NaN", "", None, True, 0.001, 1e8, "1_0", "\u0661"],
    "user_id": [0, -1, 1.0, True, "", " ", "x" * 51, "a\x00", None, LAST_T + 1],
    "t": [-1, 1.0, "10", True, None, LAST_T + 1, 1e300],
    "event_id": ["", "x" * 101, 7, None],
}


@each("member", FAULTY)
def test_a_faulty_member_is_refused_with_its_pointer(operator: Caller, member: str) -> None:
    for value in FAULTY[member]:
        answer = operator.post(EVENTS, json=a_body() | {member: value})
        assert answer.status_code == 400, value
        assert [fault["pointer"] for fault in answer.json["errors"]] == [f"/{member}"]
        assert answer.json["error"] == "Invalid payload"
        assert list(answer.json["details"]) == [member]


def test_all_faults_of_a_body_are_told_at_once(operator: Caller) -> None:
    answer = operator.post("/event", json={"type": "x", "amount": "y", "user_id": 7, "t/~": 1})
    faults = {fault["pointer"]: fault["code"] for fault in answer.json["errors"]}
    assert faults == {"/t~1~0": "unknown_field", "/t": "required", "/type": "invalid", "/amount": "invalid"}
    assert answer.json["user_id"] == 7


def test_what_is_no_event_at_all_is_refused(operator: Caller) -> None:
    for body in (b"", b"[]", b"1", b'{"t":1,"t":2}', b"{", b'{"t":NaN}', b"[" * 10_000):
        answer = operator.post("/event", data=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json["error"]) == (400, "Invalid payload"), body
        assert answer.json["user_id"] is None


def test_an_event_of_an_unknown_or_deleted_client_is_refused(operator: Caller, services: Services) -> None:
    operator.delete("/api/v1/clients/2")
    for user_id in (2, "nobody"):
        answer = send(operator, user_id=user_id)
        assert (answer.status_code, answer.json["user_id"]) == (400, user_id)
        assert answer.json["errors"][0] | {"message": ""} == {
            "pointer": "/user_id",
            "code": "unknown_client",
            "message": "",
        }
    assert stored(services.session) == []


def test_who_may_not_is_told_so_in_the_published_words_too(client: Any, viewer: Caller) -> None:
    answer = client.post("/event", json=a_body())
    assert (answer.status_code, answer.json["error"]) == (401, "Log in first")
    assert send(viewer, path="/event").status_code == 403


def test_a_key_with_the_scope_may_send_events(operator: Caller, app: Flask) -> None:
    key = an_api_key(operator, "events:write")["key"]
    client = app.test_client()
    assert client.post("/event", json=a_body(), headers={"X-API-Key": key}).status_code == 200
    assert client.get(EVENTS, headers={"X-API-Key": key}).status_code == 403


def test_the_same_event_id_gets_the_first_answer_byte_for_byte(operator: Caller, services: Services) -> None:
    first = send(operator, "withdraw", "101.00", "1", 10, event_id="abc")
    send(operator, t=20)
    again = send(operator, "withdraw", "101.000", 1, 10, event_id="abc")
    assert (again.status_code, again.data) == (200, first.data)
    assert again.json == {"alert": True, "alert_codes": [1100], "user_id": "1"}
    assert len(stored(services.session)) == 2


def test_an_event_id_belongs_to_one_event(operator: Caller) -> None:
    values: dict[str, Any] = {"type_": "withdraw", "amount": "101", "user_id": 1, "t": 10, "event_id": "abc"}
    send(operator, **values)
    others: list[dict[str, Any]] = [{"amount": "102"}, {"t": 11}, {"type_": "deposit"}, {"user_id": 2}]
    for other in others:
        answer = send(operator, **values | other)
        assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (409, "/event_id"), other


def test_what_was_refused_is_judged_anew_under_the_same_event_id(operator: Caller) -> None:
    assert send(operator, user_id="new", event_id="e").status_code == 400
    a_client("new")
    assert send(operator, user_id="new", event_id="e").status_code == 200


def test_how_far_t_may_lie_in_the_future_can_be_bounded(operator: Caller, change: Change) -> None:
    change(event_max_ahead_seconds=60, event_time_unit="ms")
    now = int(time.time() * 1_000)
    assert send(operator, t=now).status_code == 200
    answer = send(operator, t=now + 3_600_000)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "in_the_future")


def test_a_batch_gets_for_each_event_the_answer_that_it_would_get_alone(
    operator: Caller, services: Services
) -> None:
    batch = [
        a_body("withdraw", "101", 1, 10),
        a_body("deposit", "1", "nobody", 11),
        a_body("deposit", "1", 2, 10),
        a_body("deposit", "1", 2, 9),
        {"type": "deposit"},
        [],
        a_body("withdraw", "1", 1, 12, event_id="e"),
        a_body("withdraw", "1", 1, 12, event_id="e"),
        a_body("withdraw", "1", 1, 13),
    ]
    answer = operator.post(BATCH, json=batch)
    assert answer.status_code == 200
    answers = answer.json["answers"]
    assert [one["status"] for one in answers] == [200, 400, 409, 400, 400, 400, 200, 200, 200]
    assert answers[0] == {"status": 200, "alert": True, "alert_codes": [1100], "user_id": 1}
    assert answers[6] == answers[7] == {"status": 200, "alert": False, "alert_codes": [], "user_id": 1}
    assert answers[8]["alert_codes"] == [30]
    assert [answers[n]["user_id"] for n in (1, 2, 3, 4)] == ["nobody", 2, 2, None]
    assert (answers[2]["error"], answers[3]["latest_t"]) == ("Duplicate timestamp", 10)
    assert (answer.json["accepted"], answer.json["refused"]) == (4, 5)
    assert [t for _, t, _, _ in stored(services.session)] == [10, 12, 13]


@each("kind", ["application/x-ndjson", "application/jsonl"])
def test_a_batch_can_come_one_on_each_line(operator: Caller, kind: str) -> None:
    lines = [orjson.dumps(a_body(t=1)), b"", b"no json", orjson.dumps(a_body(t=2))]
    answer = operator.post(BATCH, data=b"\r\n".join(lines), headers={"Content-Type": kind})
    assert [one["status"] for one in answer.json["answers"]] == [200, 400, 200]


def test_a_batch_has_one_to_a_thousand_events(operator: Caller) -> None:
    assert operator.post(BATCH, json=[{}, {}]).json["refused"] == 2
    batches: list[Any] = [[], [{}] * 1_001, {}, 1]
    for batch in batches:
        answer = operator.post(BATCH, json=batch)
        assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "batch_size")


def test_lists_are_filtered_and_followed_by_their_links(operator: Caller) -> None:
    operator.post(
        BATCH, json=[a_body(("deposit", "withdraw")[t % 2], "5", 1 + t % 3 % 2, t) for t in range(9)]
    )
    page = operator.get(f"{EVENTS}?per_page=4").json
    assert [row["t"] for row in page["data"]] == [8, 7, 6, 5]
    page = operator.get(page["next"]).json
    assert [row["t"] for row in page["data"]] == [4, 3, 2, 1]
    assert [row["t"] for row in operator.get(page["prev"]).json["data"]] == [8, 7, 6, 5]
    assert found(operator, "order_by=t&from_t=2&to_t=5") == [2, 3, 4, 5]
    assert found(operator, "type=withdraw") == [7, 5, 3, 1]
    assert found(operator, "client=2&order_by=t") == [1, 4, 7]
    assert found(operator, "client=nobody") == []
    listed = operator.get("/api/v1/clients/2/events?type=deposit").json["data"]
    assert [(row["t"], row["user_id"], row["amount"]) for row in listed] == [(4, "2", "5.00")]
    assert "4,deposit,5.00,2," in operator.get(f"{EVENTS}?client=2&format=csv").text


def found(caller: Caller, query: str) -> list[int]:
    return [row["t"] for row in caller.get(f"{EVENTS}?{query}").json["data"]]


def test_a_list_of_an_unknown_client_or_of_a_range_that_ends_first_is_refused(operator: Caller) -> None:
    assert operator.get("/api/v1/clients/nobody/events").status_code == 404
    answer = operator.get(f"{EVENTS}?from_t=2&to_t=1")
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "bad_range")
    assert operator.get(f"{EVENTS}?order_by=id").status_code == 400


def test_keys_that_send_events_have_a_budget_of_their_own(make_app: MakeApp, operator: Caller) -> None:
    app = make_app(rate_limits=True, rate_limit_default="2 per minute", rate_limit_events="3 per minute")
    key = an_api_key(operator, "events:write", "events:read")["key"]
    client = app.test_client()
    sent = [client.post("/event", json=a_body(t=t), headers={"X-API-Key": key}).status_code for t in range(4)]
    assert sent == [200, 200, 200, 429]
    read = [client.get(EVENTS, headers={"X-API-Key": key}).status_code for _ in range(3)]
    assert read == [200, 200, 429]

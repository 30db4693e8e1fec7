"""Plain events go a short way, past Flask: nobody can tell by the answer, and a withdrawn credential ends it at once."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, request_started
from prometheus_client import REGISTRY
from sqlalchemy import text
from werkzeug.test import TestResponse

from src.database import COMMAND, Database, make_engine
from src.wiring import Services
from tests.api.conftest import Change, MakeApp
from tests.api.nouns import an_api_key
from tests.factories.accounts import Accounts, Caller
from tests.factories.clients import a_client
from tests.factories.events import a_body, stored

PATHS = ("/event", "/event/", "/api/v1/events")
SHORT, LONG = "application/json", "application/json; charset=utf-8"
each = pytest.mark.parametrize
Way = Callable[..., TestResponse]


@pytest.fixture(autouse=True)
def known(app: Flask) -> None:
    a_client("1")


@pytest.fixture
def long_ones() -> Iterator[list[Any]]:
    """A member for each request that Flask got to see."""
    seen: list[Any] = []

    def note(sender: Flask, **_: Any) -> None:
        seen.append(sender)

    with request_started.connected_to(note):
        yield seen


def send(
    app: Flask, body: Any, headers: dict[str, str], kind: str = SHORT, path: str = "/event"
) -> TestResponse:
    data = body if isinstance(body, bytes) else app.json.dumps(body).encode()
    return app.test_client().post(path, data=data, headers=headers | {"Content-Type": kind})


def shown(answer: TestResponse) -> Any:
    """All of an answer but for its request's id."""
    headers = {name: value for name, value in answer.headers.items() if name != "X-Request-ID"}
    return answer.status, headers, answer.text.replace(answer.headers["X-Request-ID"], "")


def key_of(caller: Caller, *scopes: str) -> dict[str, str]:
    return {"X-API-Key": an_api_key(caller, *(scopes or ("events:write",)))["key"]}


@each("path", PATHS)
def test_a_good_event_goes_the_short_way_and_its_answer_is_that_of_the_long_one(
    app: Flask, operator: Caller, long_ones: list[Any], path: str
) -> None:
    key = key_of(operator)
    for t, headers in enumerate((operator.headers, key, operator.headers, key)):
        seen = len(long_ones)
        short = send(app, a_body("withdraw", "100.01", t=2 * t), headers, path=path)
        assert len(long_ones) == seen
        long = send(
            app,
            a_body("deposit", "1", t=2 * t + 1) | {"type": "withdraw", "amount": 101},
            headers,
            LONG,
            path,
        )
        assert len(long_ones) == seen + 1
        assert shown(short)[0] == "200 OK"
        assert shown(short)[1] == shown(long)[1]
        assert short.json["alert_codes"][-1:] == long.json["alert_codes"][-1:] == [1100]


REFUSED = {
    "a t that exists": (a_body(t=10), 409),
    "a t below the latest": (a_body(t=9), 400),
    "an unknown client": (a_body(t=11, user_id="nobody"), 400),
    "an event with faults": (a_body("bet", "-1", t=11), 400),
    "no event": ([1], 400),
    "no JSON": (b"{", 400),
    "a member twice": (b'{"type":"deposit","type":"deposit","amount":"1","user_id":1,"t":11}', 400),
    "another's event_id": (a_body(t=11, event_id="e"), 409),
}


@each("name", REFUSED)
def test_what_is_refused_is_refused_in_the_same_words(
    app: Flask, operator: Caller, services: Services, name: str
) -> None:
    body, status = REFUSED[name]
    assert send(app, a_body(t=10, event_id="e"), operator.headers).status_code == 200
    short, long = (send(app, body, operator.headers, kind) for kind in (SHORT, LONG))
    assert shown(short) == shown(long)
    assert short.status_code == status
    assert len(stored(services.session)) == 1


def test_who_may_not_is_refused_in_the_same_words(app: Flask, operator: Caller, viewer: Caller) -> None:
    refused = {401: [{}, {"Authorization": "Bearer x"}, {"X-API-Key": "ind_x"}]}
    refused[403] = [viewer.headers, key_of(operator, "files:read")]
    for status, callers in refused.items():
        for headers in callers:
            short, long = (send(app, a_body(), headers, kind) for kind in (SHORT, LONG))
            assert shown(short) == shown(long)
            assert short.status_code == status


def test_a_revoked_key_sends_nothing_more(
    app: Flask, operator: Caller, services: Services, long_ones: list[Any]
) -> None:
    key = an_api_key(operator, "events:write")
    headers = {"X-API-Key": key["key"]}
    assert [send(app, a_body(t=t), headers).status_code for t in (1, 2)] == [200, 200]
    assert operator.delete(f"/api/v1/api-keys/{key['id']}").status_code == 204
    answer = send(app, a_body(t=3), headers)
    assert (answer.status_code, answer.json["type"]) == (401, "/problems/bad-api-key")
    assert len(stored(services.session)) == 2


@each(
    ("change", "status"),
    [
        ("UPDATE account SET is_disabled = true", 401),
        ("UPDATE account SET role = 'viewer'", 403),
        ("UPDATE api_key SET scopes = ARRAY['files:read']", 403),
        ("UPDATE api_key SET expires_at = clock_timestamp()", 401),
    ],
)
def test_what_changes_about_the_sender_counts_from_the_next_event_on(
    app: Flask, operator: Caller, services: Services, change: str, status: int
) -> None:
    key = key_of(operator)
    assert send(app, a_body(t=1), key).status_code == 200
    services.session.execute(text(change))
    assert [send(app, a_body(t=t), key).status_code for t in (2, 3)] == [status, status]
    services.session.execute(text("UPDATE account SET role = 'operator', is_disabled = false"))
    changed = text("UPDATE api_key SET scopes = ARRAY['events:write'], expires_at = NULL")
    services.session.execute(changed)
    assert send(app, a_body(t=4), key).status_code == 200


def test_who_logs_out_sends_nothing_more(app: Flask, accounts: Accounts) -> None:
    caller = accounts.caller()
    assert send(app, a_body(t=1), caller.headers).status_code == 200
    assert caller.post("/api/v1/auth/logout").status_code == 204
    assert send(app, a_body(t=2), caller.headers).status_code == 401


def test_of_senders_in_one_transaction_only_the_one_who_may_no_longer_is_refused(
    app: Flask, operator: Caller, services: Services
) -> None:
    """Keys are noted as used once a minute: what was read when it was is not what is read now."""
    keys = [key_of(operator) for _ in range(2)]
    assert [send(app, a_body(t=t), key).status_code for t, key in enumerate(keys)] == [200, 200]
    services.session.execute(text("UPDATE api_key SET last_used_at = now() - interval '1 hour'"))
    assert [send(app, a_body(t=2 + t), key).status_code for t, key in enumerate(keys)] == [200, 200]
    used = text("SELECT count(*) FROM api_key WHERE last_used_at > now() - interval '1 minute'")
    assert services.session.scalar(used) == 2


def test_both_ways_count_in_the_same_budget(make_app: MakeApp, operator: Caller) -> None:
    key = key_of(operator)
    app = make_app(rate_limits=True, rate_limit_events="4 per minute")
    answers = [send(app, a_body(t=t), key, kind) for t, kind in enumerate((SHORT, LONG, SHORT, LONG, SHORT))]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
    assert [answer.headers["RateLimit"].split(";")[1] for answer in answers] == [
        "r=3",
        "r=2",
        "r=1",
        "r=0",
        "r=0",
    ]
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"default";q=4;w=60'}


def test_without_redis_the_extension_counts(make_app: MakeApp, operator: Caller) -> None:
    app = make_app(rate_limits=True, rate_limit_default="2 per minute", redis_url="redis://127.0.0.1:1/0")
    sent = [send(app, a_body(t=t), operator.headers).status_code for t in range(3)]
    assert sent == [200, 200, 429]


def test_both_ways_are_logged_and_measured(
    app: Flask, operator: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    labels = {"method": "POST", "route": "/event", "status": "200"}
    name = "indicators_http_request_seconds_count"
    before = REGISTRY.get_sample_value(name, labels) or 0
    with caplog.at_level(logging.INFO, logger="src.access"):
        for t, kind in enumerate((SHORT, LONG)):
            send(app, a_body(t=t), operator.headers | {"X-Request-ID": "given-by-the-caller"}, kind)
    lines = [vars(record) for record in caplog.records if record.name == "src.access"]
    said = [{name: line[name] for name in ("method", "path", "status")} for line in lines]
    assert said == [{"method": "POST", "path": "/event", "status": 200}] * 2
    assert REGISTRY.get_sample_value(name, labels) == before + 2


def test_a_fault_of_ours_is_told_as_on_the_long_way(app: Flask, operator: Caller, services: Services) -> None:
    assert send(app, a_body(t=1), operator.headers).status_code == 200
    services.session.execute(text("ALTER TABLE event RENAME TO lost"))
    app.testing = False
    try:
        short, long = (send(app, a_body(t=2), operator.headers, kind) for kind in (SHORT, LONG))
    finally:
        app.testing = True
    assert shown(short) == shown(long)
    assert (short.status_code, short.json["type"]) == (500, "/problems/internal-error")


def test_without_a_database_it_says_so_itself_instead_of_waiting_twice(
    app: Flask, operator: Caller, change: Change, long_ones: list[Any]
) -> None:
    change(database=Database(make_engine("postgresql+psycopg://nobody@127.0.0.1:1/none", COMMAND)))
    short = send(app, a_body(), operator.headers)
    assert long_ones == []
    assert shown(short) == shown(send(app, a_body(), operator.headers, LONG))
    assert short.status_code == 503


@each("host", ["indicators.example.org", "elsewhere.example.org", "bad host"])
def test_only_our_hosts_are_answered_for(make_app: MakeApp, operator: Caller, host: str) -> None:
    app = make_app(allowed_hosts=("indicators.example.org",))
    short, long = (
        send(app, a_body(t=t), operator.headers | {"Host": host}, kind)
        for t, kind in enumerate((SHORT, LONG))
    )
    assert short.status_code == long.status_code == (200 if host == "indicators.example.org" else 400)


def test_over_https_it_says_so(app: Flask, operator: Caller) -> None:
    answer = app.test_client().post(
        "/event", json=a_body(), headers=operator.headers, base_url="https://localhost"
    )
    assert answer.status_code == 200
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")

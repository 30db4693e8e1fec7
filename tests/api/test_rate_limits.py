"""Rate limits: counted in Redis, or in the process when Redis is away; told in headers and as a 429."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from flask import Flask, Response
from redis import Redis
from werkzeug.test import TestResponse

from src.config import SettingsError
from src.wiring import Adapters
from tests.api.conftest import MakeApp
from tests.api.nouns import FILES, JOBS, an_api_key
from tests.factories.accounts import PASSWORD, Accounts, Caller
from tests.factories.clients import a_client
from tests.proxy import Proxy

AWAY = "redis://127.0.0.1:1/0"
LOGIN = "/api/v1/auth/login"
CLIENTS = "/api/v1/clients"
LIMITS = {"rate_limits": True, "rate_limit_default": "5 per minute", "rate_limit_login": "3 per minute"}


@pytest.fixture
def limited(make_app: MakeApp, own_redis: str) -> Flask:
    """An application with small limits."""
    return make_app(**LIMITS, redis_url=own_redis)


@pytest.fixture
def searched(make_app: MakeApp, own_redis: str) -> Flask:
    """The same, with room for one search a minute."""
    return make_app(**LIMITS, rate_limit_clients="1 per minute", redis_url=own_redis)


@pytest.fixture
def own_redis(adapters: Adapters) -> Iterator[str]:
    """A Redis database that nobody else counts in."""
    number = 8 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    url = adapters.settings.redis_url.replace("db=0", f"db={number}")
    with Redis.from_url(url) as redis:
        redis.flushdb()
        yield url
        redis.flushdb()


@pytest.fixture
def without_redis(make_app: MakeApp) -> Flask:
    """The same, with a Redis that does not answer."""
    return make_app(**LIMITS, redis_url=AWAY)


def in_it(caller: Caller, app: Flask) -> Caller:
    return replace(caller, app=app)


def statuses(caller: Caller, count: int, path: str = FILES) -> list[int]:
    return [caller.get(path).status_code for _ in range(count)]


def left(answer: TestResponse) -> str:
    return answer.headers["RateLimit"].partition(";t=")[0]


def test_the_headers_tell_the_policy_and_what_is_left(limited: Flask, operator: Caller) -> None:
    caller = in_it(operator, limited)
    first, second = caller.get(FILES), caller.get(FILES)
    assert first.headers["RateLimit-Policy"] == '"default";q=5;w=60'
    assert (left(first), left(second)) == ('"default";r=4', '"default";r=3')
    assert 0 < int(first.headers["RateLimit"].partition(";t=")[2]) <= 61


def test_above_the_limit_it_is_429_and_tells_when_to_come_back(limited: Flask, operator: Caller) -> None:
    caller = in_it(operator, limited)
    assert statuses(caller, 6) == [200] * 5 + [429]
    answer = caller.get(FILES)
    assert answer.json["type"] == "/problems/too-many-requests"
    assert "5 per 1 minute" in answer.json["detail"]
    assert 0 < int(answer.headers["Retry-After"]) <= 61
    assert left(answer) == '"default";r=0'


def test_all_addresses_of_the_service_share_an_account_s_budget(limited: Flask, operator: Caller) -> None:
    caller = in_it(operator, limited)
    assert statuses(caller, 5, FILES) == [200] * 5
    assert statuses(caller, 1, JOBS) == [429]


def test_each_account_and_each_key_has_a_budget_of_its_own(
    limited: Flask, accounts: Accounts, operator: Caller
) -> None:
    key = an_api_key(operator)["key"]
    assert statuses(in_it(operator, limited), 6) == [200] * 5 + [429]
    assert statuses(in_it(accounts.caller(), limited), 1) == [200]
    assert limited.test_client().get(FILES, headers={"X-API-Key": key}).status_code == 200


def test_strangers_are_counted_by_their_address(limited: Flask) -> None:
    client = limited.test_client()
    for address, expected in (("10.0.0.1", [200] * 5 + [429]), ("10.0.0.2", [200])):
        environ = {"REMOTE_ADDR": address}
        assert [client.get("/", environ_overrides=environ).status_code for _ in expected] == expected


def test_a_bad_token_is_counted_too(limited: Flask) -> None:
    client, headers = limited.test_client(), {"Authorization": "Bearer garbage"}
    assert [client.get(FILES, headers=headers).status_code for _ in range(6)] == [401] * 5 + [429]


def test_logging_in_and_registering_share_a_small_budget_per_address(
    limited: Flask, accounts: Accounts
) -> None:
    client, names = limited.test_client(), [accounts.caller().email for _ in range(3)]
    answers = [client.post(LOGIN, json={"email": name, "password": PASSWORD}).status_code for name in names]
    assert answers == [200] * 3
    body = {"email": "new@example.org", "password": PASSWORD}
    assert client.post("/api/v1/auth/register", json=body).status_code == 429
    assert client.post(LOGIN, json=body, environ_overrides={"REMOTE_ADDR": "10.0.0.9"}).status_code == 401


def test_health_is_never_limited(limited: Flask) -> None:
    client = limited.test_client()
    for path in ("/livez", "/readyz", "/metrics"):
        answers = [client.get(path) for _ in range(7)]
        assert {answer.status_code for answer in answers} == {200}
        assert "RateLimit" not in answers[0].headers


def test_without_redis_the_process_counts_by_itself(without_redis: Flask, operator: Caller) -> None:
    assert statuses(in_it(operator, without_redis), 6) == [200] * 5 + [429]


@pytest.fixture
def way(adapters: Adapters) -> Iterator[Proxy]:
    """To Redis, which may be cut off."""
    socket = Redis.from_url(adapters.settings.redis_url).connection_pool.connection_kwargs["path"]
    with Proxy(socket) as way:
        yield way


def test_whoever_asks_redis_while_it_goes_away_is_counted_by_the_process(
    make_app: MakeApp, way: Proxy
) -> None:
    app = make_app(rate_limits=True, redis_url=f"redis://127.0.0.1:{way.port}/15")
    assert app.test_client().get(FILES).status_code == 401
    way.silence()
    start = threading.Barrier(8)

    def ask(_: int) -> int:
        start.wait(timeout=20)
        return app.test_client().get(FILES).status_code

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(8))) == [401] * 8


def test_an_answer_is_given_also_if_redis_went_away_since_it_was_counted(
    make_app: MakeApp, way: Proxy
) -> None:
    app = make_app(rate_limits=True, redis_url=f"redis://127.0.0.1:{way.port}/15")

    @app.after_request
    def go_away(answer: Response) -> Response:
        way.silence()
        return answer

    answer = app.test_client().get(FILES)
    assert (answer.status_code, "RateLimit" in answer.headers) == (401, False)


def test_switched_off_there_is_no_limit_and_no_header(operator: Caller) -> None:
    answers = [operator.get(FILES) for _ in range(7)]
    assert {answer.status_code for answer in answers} == {200}
    assert "RateLimit" not in answers[0].headers


@pytest.mark.parametrize("path", [CLIENTS, f"{CLIENTS}/c-7/transactions"])
def test_searching_among_clients_has_a_small_budget_for_each_list(
    searched: Flask, accounts: Accounts, operator: Caller, path: str
) -> None:
    a_client("c-7")
    caller = in_it(operator, searched)
    assert statuses(caller, 1, path) == [200]
    answer = caller.get(path)
    assert answer.status_code == 429
    assert answer.headers["RateLimit-Policy"] == '"default";q=1;w=60'
    assert "1 per 1 minute" in answer.json["detail"]
    (other,) = {CLIENTS, f"{CLIENTS}/c-7/transactions"} - {path}
    assert statuses(caller, 1, other) == [200], "the other list has its own"
    assert statuses(caller, 1, f"{CLIENTS}/c-7") == [200], "and one client is not a search"
    assert statuses(in_it(accounts.caller(), searched), 1, path) == [200], "nor is it shared by accounts"


@pytest.mark.parametrize("name", ["rate_limit_default", "rate_limit_login", "rate_limit_clients"])
@pytest.mark.parametrize("text", ["nonsense", "many per minute", "5 per fortnight"])
def test_a_limit_that_makes_no_sense_is_told_at_the_start(make_app: MakeApp, name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=name.upper()):
        make_app(**{name: text})

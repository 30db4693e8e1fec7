"""Hints: published once, without ever holding up whoever sends them; a Redis in trouble costs a hint."""

import logging
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from src import queue
from src.queue import QUEUE, HintQueue
from tests.live import RedisServer
from tests.proxy import Proxy


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path).start()
    yield server
    server.kill()
    server.client.close()


def test_a_hint_names_the_task_and_the_job_in_json(redis: RedisServer) -> None:
    job_id = uuid4()
    hints = HintQueue(redis.url)
    assert hints.publish(job_id)
    assert hints.depth() == 1
    message = orjson.loads(redis.client.lindex(QUEUE, 0))
    assert message["headers"]["task"] == "run"
    assert message["content-type"] == "application/json"
    assert str(job_id) in message["headers"]["argsrepr"]


def test_a_redis_that_is_away_costs_a_hint_and_no_error(redis: RedisServer) -> None:
    hints = HintQueue(redis.url)
    redis.kill()
    assert not hints.publish(uuid4())
    assert hints.depth() is None
    assert not hints.is_alive()


def test_after_a_failure_it_pauses_and_then_tries_again(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hints = HintQueue(redis.url)
    redis.kill()
    with caplog.at_level(logging.WARNING):
        assert not hints.publish(uuid4())
        assert not hints.publish(uuid4())
    assert caplog.text.count("the scheduler will repeat it") == 1
    redis.start()
    assert not hints.publish(uuid4())
    monkeypatch.setattr(queue, "PAUSE_AFTER_FAILURE", 0.0)
    hints._quiet_until = 0.0
    assert hints.publish(uuid4())
    assert hints.is_alive()


def test_a_redis_that_is_full_costs_a_hint_and_no_error(redis: RedisServer) -> None:
    hints = HintQueue(redis.url)
    redis.client.config_set("maxmemory", "1")
    assert not hints.publish(uuid4())
    assert hints.depth() == 0


def test_a_redis_that_says_nothing_is_given_up_on(redis: RedisServer) -> None:
    with Proxy(("127.0.0.1", redis.port)) as proxy:
        hints = HintQueue(f"redis://127.0.0.1:{proxy.port}/0")
        assert hints.publish(uuid4())
        proxy.silence()
        assert not hints.publish(uuid4())
        assert hints.depth() is None
        proxy.resume()
        hints._quiet_until = 0.0
        assert hints.publish(uuid4())
        assert hints.depth() == 2

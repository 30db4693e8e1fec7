"""flask health."""

import os
import socket
from collections.abc import Callable
from typing import Any

from src.domain.ids import uuid7
from src.wiring import services
from tests.cli.conftest import Run

Json = Callable[..., Any]


def beat(kind: str, host: str) -> None:
    with services() as s:
        s.process_rows.beat(uuid7(), kind, host, os.getpid())


def test_without_a_worker_it_is_not_healthy(run: Run) -> None:
    assert "worker=0" in run("health", code=1).stdout


def test_with_worker_and_scheduler_it_is(run: Run, run_json: Json) -> None:
    beat("worker", "here")
    beat("scheduler", "there")
    run("health")
    assert run_json("health")["worker"] == 1


def test_a_container_asks_only_for_its_own(run: Run) -> None:
    beat("worker", "elsewhere")
    run("health", "worker", code=1)
    beat("worker", socket.gethostname())
    run("health", "worker")

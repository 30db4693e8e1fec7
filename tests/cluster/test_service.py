"""The service with a Spark cluster behind it and its files in a bucket: operations and reports over HTTP."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.cluster.machines import CONF, SparkCluster, spark_cluster
from tests.cluster.work import OPERATION, REFERENCE, RULES, input_of
from tests.factories.accounts import PASSWORD
from tests.live import Caller, Live, Program, eventually

WITHIN = 2_400.0  # seconds: much else may run on this machine
ROWS = 60_000
INPUT = input_of(ROWS)


class Service:
    """Web process, scheduler and workers; all that they share is a database, Redis and a bucket."""

    def __init__(self, live: Live, s3_endpoint: str, shared: Path) -> None:
        self.live = live
        self.settings = {
            "storage_url": f"s3://bucket/{uuid4().hex}",
            "s3_endpoint_url": s3_endpoint,
            "aws_access_key_id": "testing",
            "aws_secret_access_key": "testing",
            "aws_default_region": "us-east-1",
            "worker_processes": "1",
        }
        self.engine = {
            "engine_folder": str(shared),
            "engine_wait_seconds": str(int(WITHIN)),
            "java_home": os.environ.get("JAVA_HOME", ""),
            "spark_conf_dir": str(CONF),
        }
        live.start_web(**self.settings)
        live.start_scheduler(**self.settings)
        self.email = live.workshop.accounts.caller("operator").email

    @property
    def caller(self) -> Caller:
        """Logged in just now: a job on a cluster may take longer than a token is good for."""
        token = Caller(self.live.port).log_in(self.email, PASSWORD).json["token"]
        return Caller(self.live.port, {"Authorization": f"Bearer {token}"}, self.live.answers)

    def worker(self, master: str = "") -> Program:
        engine = {**self.engine, "engine_url": master} if master else {}
        return self.live.start_worker(**self.settings, **engine)

    def upload(self, content: str, name: str) -> str:
        answer = self.caller.upload(content.encode(), name)
        assert answer.status == 201, answer
        return str(answer.json["id"])

    def ask(self, path: str, body: Any, *, status: int = 202) -> Any:
        answer = self.caller.post(path, json.dumps(body).encode(), Content_Type="application/json")
        assert answer.status == status, answer
        return answer.json

    def content(self, file_id: str) -> bytes:
        answer = self.caller.get(f"/api/v1/files/{file_id}/content")
        assert answer.status == 200, answer
        return answer.body


@pytest.fixture
def service(live: Live, s3_endpoint: str, shared: Path) -> Service:
    return Service(live, s3_endpoint, shared)


def operated(
    service: Service, file: str, meanwhile: Callable[[], object] = lambda: None
) -> tuple[str, bytes]:
    """The engine and the bytes of an operation; something may happen in the middle of it."""
    started = service.ask("/api/v1/operations", {"file_id": file, "steps": OPERATION})
    meanwhile()
    service.live.await_state(started["job_id"], "done", within=WITHIN)
    made = service.caller.get(f"/api/v1/operations/{started['id']}").json
    return made["lineage"]["engine"]["name"], service.content(made["result_file_id"])


def reported(service: Service, file: str, reference: str) -> tuple[str, bytes]:
    rules = service.ask("/api/v1/rules", RULES, status=201)
    body = {"input_file_id": file, "reference_file_id": reference, "rules_id": rules["id"], "format": "csv"}
    started = service.ask("/api/v1/reports", body)
    service.live.await_state(started["task_id"], "done", within=WITHIN)
    made = service.caller.get(f"/api/v1/reports/{started['id']}").json
    return made["manifest"]["engine"]["name"], service.content(made["file_id"])


def test_an_operation_and_a_report_have_the_same_bytes_with_a_cluster_and_without(
    service: Service, cluster: SparkCluster, shared: Path
) -> None:
    file, reference = service.upload(INPUT, "input.csv"), service.upload(REFERENCE, "reference.csv")
    found = []
    for master in ("", cluster.url):
        worker = service.worker(master)
        found.append((operated(service, file), reported(service, file, reference)))
        worker.stop(signal.SIGTERM, within=120)
    (operation, report), (operation_there, report_there) = found
    assert (operation[0], operation_there[0], report[0], report_there[0]) == ("duckdb", "spark") * 2
    assert operation_there[1] == operation[1]
    assert report_there[1] == report[1]
    assert len(report[1].splitlines()) == ROWS + 1
    assert list(shared.iterdir()) == []


def test_a_machine_that_dies_in_the_middle_of_a_job_costs_nothing(
    service: Service, shared: Path, tmp_path: Path
) -> None:
    file = service.upload(INPUT, "input.csv")
    worker = service.worker()
    expected = operated(service, file)[1]
    worker.stop(signal.SIGTERM, within=120)
    (tmp_path / "machines").mkdir()
    with spark_cluster(tmp_path / "machines") as cluster:
        service.worker(cluster.url)

        def kill_one_that_computes() -> None:
            eventually(
                "tasks write", lambda: list(shared.glob("query-*/result*/_temporary/*")), within=WITHIN
            )
            busy = next(machine for machine in cluster.machines if machine.children())
            busy.kill()

        assert operated(service, file, kill_one_that_computes) == ("spark", expected)
        assert cluster.alive() >= 1

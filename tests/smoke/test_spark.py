"""The stack of `make up SPARK=1` before a Spark cluster: its results have the bytes of those that DuckDB makes."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cluster.work import OPERATION, REFERENCE, RULES, input_of
from tests.smoke.stack import Stack, run

WITHIN = 1_800.0
ROWS = 20_000
INPUT = input_of(ROWS)


def setting(name: str) -> str:
    lines = Path(os.environ["ENV_FILE"]).read_text().splitlines()
    return next(line.removeprefix(f"{name}=") for line in lines if line.startswith(f"{name}="))


def start(kind: str, *words: str) -> str:
    """One program of the cluster, reached as one on another machine would be; its container."""
    folder, gateway = setting("ENGINE_FOLDER"), urlsplit(setting("ENGINE_URL")).hostname or ""
    place = ["--network", "host", "--volume", f"{folder}:{folder}", "--tmpfs", "/tmp:exec"]
    program = [
        "--entrypoint",
        "/opt/venv/bin/spark-class",
        "indicators-spark:local",
        f"org.apache.spark.deploy.{kind}",
    ]
    return run("docker", "run", "--detach", "--init", *place, *program, "--host", gateway, *words).strip()


@pytest.fixture
def cluster(stack: Stack) -> Iterator[None]:
    """A master and two machines."""
    master = setting("ENGINE_URL")
    containers = [start("master.Master", "--port", str(urlsplit(master).port), "--webui-port", "0")]
    machine = ["--webui-port", "0", "--work-dir", "/tmp/work", "--cores", "1", "--memory", "700m", master]
    containers += [start("worker.Worker", *machine) for _ in range(2)]
    yield
    run("docker", "rm", "--force", *containers)


def operated(stack: Stack, file: str) -> tuple[str, bytes]:
    """The engine and the bytes of an operation."""
    asked = stack.request("POST", "/api/v1/operations", {"file_id": file, "steps": OPERATION})
    stack.finished(asked.json["job_id"], within=WITHIN)
    made = stack.get(f"/api/v1/operations/{asked.json['id']}")
    return made["lineage"]["engine"]["name"], content(
        stack, f"/api/v1/files/{made['result_file_id']}/content"
    )


def reported(stack: Stack, file: str, reference: str) -> tuple[str, bytes]:
    """The engine and the bytes of a report."""
    body = {"input_file_id": file, "reference_file_id": reference, "rules": RULES, "format": "csv"}
    asked = stack.request("POST", "/api/v1/reports", body)
    stack.finished(asked.json["task_id"], within=WITHIN)
    made: Any = stack.get(f"/api/v1/reports/{asked.json['id']}")
    return made["manifest"]["engine"]["name"], content(stack, f"/api/v1/reports/{asked.json['id']}/download")


def content(stack: Stack, path: str) -> bytes:
    answer = stack.request("GET", path)
    assert answer.status == 200, answer
    return answer.body


def test_an_operation_and_a_report_have_the_same_bytes_by_the_cluster_and_without_it(
    operator: Stack, cluster: None
) -> None:
    file = operator.uploaded("input.csv", INPUT.encode())
    reference = operator.uploaded("reference.csv", REFERENCE.encode())
    there = operated(operator, file), reported(operator, file, reference)
    assert list(Path(setting("ENGINE_FOLDER")).iterdir()) == []
    operator.make("up", "ENGINE_URL=")
    operator.wait_until_healthy()
    here = operated(operator, file), reported(operator, file, reference)
    assert [engine for engine, _ in (*there, *here)] == ["spark", "spark", "duckdb", "duckdb"]
    assert [made for _, made in there] == [made for _, made in here]
    assert len(here[1][1].splitlines()) == ROWS + 1

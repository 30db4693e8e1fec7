"""Stores to test against: a folder, a real S3 API server in its own process, and memory."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from src.integrations.storage import Storage
from src.integrations.storage_choice import open_storage

ROOT = Path(__file__).parents[2]
CHILDREN = Path(__file__).parent / "children.py"
AWS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
SERVER_START_SECONDS = 30


@dataclass(frozen=True)
class Store:
    """What opens one store, here and in a child process."""

    url: str
    endpoint_url: str = ""

    def open(self) -> Storage:
        return open_storage(self.url, reserve_bytes=0, s3_endpoint_url=self.endpoint_url)


@pytest.fixture
def soon() -> datetime:
    """Later than anything that a test writes."""
    return datetime.now(UTC) + timedelta(minutes=1)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """An S3 API server on a free port, with one bucket."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (
        pytest.MonkeyPatch.context() as environment,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server,
    ):
        for name, value in AWS.items():
            environment.setenv(name, value)
        environment.delenv("AWS_ENDPOINT_URL", raising=False)
        try:
            make_bucket(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@pytest.fixture
def disk(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


@pytest.fixture
def s3(s3_endpoint: str) -> Store:
    return Store(f"s3://bucket/{uuid4().hex}", s3_endpoint)


@pytest.fixture
def memory() -> Store:
    return Store(f"memory://{uuid4().hex}")


@pytest.fixture
def child() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a function of `children.py` in a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def start(function: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, str(CHILDREN), function, *map(str, arguments)]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def make_bucket(port: int) -> None:
    """Wait for the server, then make the bucket; this server asks for no signature."""
    deadline = time.monotonic() + SERVER_START_SECONDS
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("PUT", "/bucket")
            assert connection.getresponse().status == http.HTTPStatus.OK
        except ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()

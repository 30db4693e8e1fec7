"""The whole stack in containers: used, broken, backed up, destroyed and restored; in this order."""

import hashlib
import http.client
import random
import socket
import tarfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.smoke.stack import STAYING, Stack

EMAIL, PASSWORD = "smoke@example.org", "correct-horse-battery-7"
UPLOAD_BYTES = 50_000_000


@dataclass(frozen=True)
class Work:
    """What was done before anything was destroyed, and what was answered then."""

    file_id: str
    job_id: str
    rows: int
    content: bytes
    answers: dict[str, Any]


@pytest.fixture(scope="module")
def work(stack: Stack) -> Work:
    """Register, log in, upload, and profile while the worker's container is killed."""
    registered = stack.request("POST", "/api/v1/auth/register", {"email": EMAIL, "password": PASSWORD})
    assert registered.status == 201, registered
    log_in(stack)
    for seed in range(5):
        content, rows = some_csv(seed)
        uploaded = stack.request("POST", f"/api/v1/files?filename=smoke-{seed}.csv", content)
        assert uploaded.status == 201, uploaded
        file_id = uploaded.json["id"]
        started = stack.request("POST", f"/api/v1/files/{file_id}/profile")
        assert started.status == 202, started
        job = finish_despite_a_killed_worker(stack, started.json["id"])
        if job["attempts"] > 1:
            return Work(file_id, job["id"], rows, content, answers_about(stack, file_id, job["id"]))
    raise AssertionError("the worker was always done before it could be killed")


def log_in(stack: Stack) -> None:
    answer = stack.request("POST", "/api/v1/auth/login", {"email": EMAIL, "password": PASSWORD}, token="")
    assert answer.status == 200, answer
    stack.token = answer.json["access"]


def some_csv(seed: int) -> tuple[bytes, int]:
    """A file of 50 MB and its number of rows."""
    dice = random.Random(seed)
    lines = [
        f"{i},client {dice.randrange(10**6)},{dice.random() * 1000:.2f},2024-01-{i % 28 + 1:02}\n"
        for i in range(500_000)
    ]
    block = "".join(lines).encode()
    head, times = b"id,name,amount,day\n", UPLOAD_BYTES // len(block) + 1
    return head + block * times, len(lines) * times


def finish_despite_a_killed_worker(stack: Stack, job_id: str) -> Any:
    """Kill every process of the worker's container as soon as the job runs; Docker starts it again."""
    job = stack.get(f"/api/v1/jobs/{job_id}")
    while job["state"] == "queued":
        time.sleep(0.1)
        job = stack.get(f"/api/v1/jobs/{job_id}")
    stack.inside(stack.containers("worker")[0], "kill -9 -1")
    deadline = time.monotonic() + 120
    while job["state"] in ("queued", "running") and time.monotonic() < deadline:
        job = stack.get(f"/api/v1/jobs/{job_id}?wait=20")
    assert job["state"] == "done", job
    return job


def answers_about(stack: Stack, file_id: str, job_id: str) -> dict[str, Any]:
    paths = (
        f"/api/v1/files/{file_id}",
        f"/api/v1/files/{file_id}/profile",
        f"/api/v1/jobs/{job_id}",
        "/api/v1/auth/me",
    )
    answers = {path: stack.get(path) for path in paths}
    content = stack.request("GET", f"/api/v1/files/{file_id}/content")
    return answers | {"sha256": hashlib.sha256(content.body).hexdigest()}


def raw(stack: Stack, data: bytes) -> bytes:
    """Bytes that no HTTP library would send; the first line of the answer."""
    with socket.create_connection(("127.0.0.1", stack.port), timeout=30) as connection:
        connection.sendall(data)
        return connection.recv(65536).split(b"\r\n")[0]


def test_every_part_is_healthy_and_says_so(stack: Stack) -> None:
    told = stack.make("health")
    assert told.count("running healthy") == len(STAYING) + 1
    migrate = stack.compose("ps", "-aq", "migrate").strip()
    assert stack.inspect(migrate, "{{.State.Status}} {{.State.ExitCode}}") == "exited 0"


def test_only_nginx_is_published(stack: Stack) -> None:
    published = {
        stack.inspect(one, '{{index .Config.Labels "com.docker.compose.service"}}')
        for one in stack.containers()
        if stack.inspect(
            one, "{{range $port, $at := .NetworkSettings.Ports}}{{if $at}}{{$port}}{{end}}{{end}}"
        )
    }
    assert published == {"nginx"}


@pytest.mark.parametrize("service", STAYING)
def test_nothing_runs_as_root_has_a_capability_or_writes_its_root_file_system(
    stack: Stack, service: str
) -> None:
    for container in stack.containers(service):
        status = stack.inside(container, "cat /proc/[0-9]*/status")
        users = {line.split()[1] for line in status.splitlines() if line.startswith("Uid:")}
        rights = {line.split()[1] for line in status.splitlines() if line.startswith(("CapEff:", "CapBnd:"))}
        assert users
        assert "0" not in users
        assert rights == {"0" * 16}
        for folder in ("/", "/etc", "/usr", "/app", "/opt", "/var"):
            assert "touch" in stack.inside(container, f"touch {folder}/written && echo done")


def test_databases_are_out_of_reach_of_nginx_and_without_a_way_out(stack: Stack) -> None:
    (nginx,) = stack.containers("nginx")
    assert stack.inside(nginx, "curl -s -m 3 telnet://database:5432 </dev/null; echo $?") == "6"
    for service in ("database", "redis", "scheduler"):
        (container,) = stack.containers(service)
        networks = stack.inspect(
            container, "{{range .NetworkSettings.Networks}}{{.NetworkID}} {{end}}"
        ).split()
        assert [stack.inspect(network, "{{.Internal}}") for network in networks] == ["true"]


def test_what_no_honest_client_sends_is_refused_by_nginx(stack: Stack) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\n"
    assert b" 400 " in raw(stack, head + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert b" 400 " in raw(stack, head + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd")
    assert b" 405 " in raw(stack, b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b" 421 " in raw(stack, b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    assert b" 431 " in raw(
        stack, b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: " + b"a" * 65536 + b"\r\n\r\n"
    )
    assert b" 413 " in raw(
        stack, b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000000\r\n\r\n"
    )


def test_an_error_of_nginx_is_a_problem_document(stack: Stack) -> None:
    for path in ("/metrics", "/metrics/", "//metrics", "/%6detrics", "/a/../metrics"):
        answer = stack.request("GET", path)
        assert answer.status == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["status"] == 404


def test_a_job_survives_the_death_of_its_worker(stack: Stack, work: Work) -> None:
    profile = work.answers[f"/api/v1/files/{work.file_id}/profile"]
    assert profile["rows"] == work.rows
    assert int(stack.inspect(stack.containers("worker")[0], "{{.RestartCount}}")) >= 1


def test_what_was_uploaded_comes_back_byte_for_byte(work: Work) -> None:
    sha256 = hashlib.sha256(work.content).hexdigest()
    assert work.answers["sha256"] == sha256
    assert work.answers[f"/api/v1/files/{work.file_id}"]["sha256"] == sha256


def test_both_web_containers_answer(stack: Stack, work: Work) -> None:
    for _ in range(10):
        stack.get(f"/api/v1/files/{work.file_id}")
    addresses = {
        stack.inspect(one, "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}")
        for one in stack.containers("web")
    }
    logged = stack.compose("logs", "nginx")
    assert len(addresses) == 2
    assert all(any(f'"{address}:7012"' in logged for address in both.split()) for both in addresses)


def test_requests_go_on_while_the_web_containers_restart_one_after_the_other(
    stack: Stack, work: Work
) -> None:
    for container in stack.containers("web"):
        stack.inside(container, "kill -9 -1")
        for _ in range(10):
            assert stack.request("GET", f"/api/v1/files/{work.file_id}").status == 200
        stack.wait_until_healthy()


def test_an_address_that_a_client_invents_is_not_believed(stack: Stack, work: Work) -> None:
    statuses = [
        stack.request(
            "POST",
            "/api/v1/auth/login",
            {"email": f"nobody-{i}@example.org", "password": "wrong-password-7"},
            {
                "X-Forwarded-For": f"203.0.113.{i}",
                "Forwarded": f"for=203.0.113.{i}",
                "X-Real-IP": f"203.0.113.{i}",
            },
            token="",
        ).status
        for i in range(12)
    ]
    assert set(statuses) == {401, 429}


def test_a_slow_client_is_cut_off_and_holds_nobody_up(stack: Stack) -> None:
    with ExitStack() as open_until_here:
        slow = [
            open_until_here.enter_context(socket.create_connection(("127.0.0.1", stack.port), timeout=60))
            for _ in range(200)
        ]
        for connection in slow:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        assert stack.request("GET", "/livez").status == 200
        assert all(connection.recv(1) == b"" for connection in slow)


def test_a_backup_brings_everything_back_after_all_was_destroyed(stack: Stack, work: Work) -> None:
    archive = Path(stack.make("-s", "backup").strip().splitlines()[-1])
    assert archive.stat().st_mode & 0o077 == 0
    with tarfile.open(archive) as members:
        assert {"database.dump", "SHA256SUMS", "files"} <= set(members.getnames())

    stack.make("down", "DELETE_DATA=yes")
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        stack.request("GET", "/livez")

    stack.make("restore", f"FILE={archive}")
    stack.wait_until_healthy()
    log_in(stack)
    assert answers_about(stack, work.file_id, work.job_id) == work.answers


def test_a_damaged_backup_changes_nothing(stack: Stack, work: Work, tmp_path: Path) -> None:
    archive = Path(stack.make("-s", "backup").strip().splitlines()[-1])
    content = bytearray(archive.read_bytes())
    content[content.rindex(b"PGDMP") + 1000] ^= 1
    damaged = tmp_path / "damaged.tar"
    damaged.write_bytes(content)
    assert "Error" in stack.make("restore", f"FILE={damaged}", may_fail=True)
    assert answers_about(stack, work.file_id, work.job_id) == work.answers


def test_down_leaves_no_container_and_up_finds_the_data_again(stack: Stack, work: Work) -> None:
    stack.make("down")
    assert stack.compose("ps", "-aq").split() == []
    stack.make("up")
    stack.wait_until_healthy()
    log_in(stack)
    assert answers_about(stack, work.file_id, work.job_id) == work.answers

"""The running compose stack: make targets, containers, and requests through nginx."""

import http.client
import json
import os
import shlex
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
STAYING = ("nginx", "web", "worker", "scheduler", "database", "redis")


def run(*command: str, may_fail: bool = False) -> str:
    """Run a command in the repository; what it printed, or an error that shows it."""
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode and not may_fail:
        raise AssertionError(
            f"{shlex.join(command)} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}"
        )
    return ended.stdout + (ended.stderr if may_fail else "")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Stack:
    """`token` is sent with every request once it is set."""

    port: int = field(default_factory=lambda: int(os.environ["SMOKE_PORT"]))
    token: str = ""

    def make(self, *words: str, may_fail: bool = False) -> str:
        return run("make", *words, may_fail=may_fail)

    def compose(self, *words: str) -> str:
        return run(*shlex.split(os.environ["DOCKER_COMPOSE"]), "--env-file", os.environ["ENV_FILE"], *words)

    def containers(self, *services: str) -> list[str]:
        """The ids of running containers."""
        return self.compose("ps", "-q", *services).split()

    def inspect(self, container: str, template: str) -> str:
        return run("docker", "inspect", "-f", template, container).strip()

    def inside(self, container: str, script: str) -> str:
        """What a shell in the container prints, errors included."""
        return run("docker", "exec", container, "sh", "-c", script, may_fail=True).strip()

    def wait_until_healthy(self, seconds: float = 180) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            states = [self.inspect(one, "{{.State.Health.Status}}") for one in self.containers(*STAYING)]
            if len(states) >= len(STAYING) and set(states) == {"healthy"}:
                return
            time.sleep(1)
        raise AssertionError(self.make("health", may_fail=True))

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        token: str | None = None,
    ) -> Answer:
        """One request through nginx. Objects go as JSON, bytes as they are."""
        sent = {"Host": "localhost"} | (headers or {})
        token = self.token if token is None else token
        if token:
            sent.setdefault("Authorization", f"Bearer {token}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            connection.request(method, path, body, sent)
            got = connection.getresponse()
            return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """The JSON of a GET that must succeed."""
        answer = self.request("GET", path)
        assert answer.status == 200, answer
        return answer.json

    def finished(self, job_id: str, *, within: float = 180) -> Any:
        """The job once it is done; fails when it ends otherwise, or takes longer."""
        deadline = time.monotonic() + within
        while (job := self.get(f"/api/v1/jobs/{job_id}?wait=20"))["state"] in ("queued", "running"):
            assert time.monotonic() < deadline, job
        assert job["state"] == "done", job
        return job

    def uploaded(self, name: str, content: bytes) -> str:
        """The id of a file that was uploaded."""
        answer = self.request("POST", f"/api/v1/files?filename={name}", content)
        assert answer.status == 201, answer
        return str(answer.json["id"])

"""HTTP: the service beside a bare Flask hello-world, on the same web server with the same settings.

`python -m bench.http [--write]` needs only the installed packages; with DATABASE_URL it fills that database.
"""

import argparse
import json
import os
import platform
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from flask import Flask, Response, jsonify

from bench.loadgen import LoadError, Sample, client_name, load
from bench.page import write_section
from src.cli.processes import web_command
from src.config import Settings
from src.embedded import EmbeddedServers

ROOT = Path(__file__).resolve().parents[1]
HEADING = "## HTTP"
APP, HELLO = "src.app:create_web()", "bench.http:hello()"
FILES = 200
START_SECONDS, STOP_SECONDS = 60, 45
ACCOUNT = {"email": "bench@example.org", "password": "a long bench passphrase"}


@dataclass(frozen=True, slots=True)
class Case:
    """One address that is measured."""

    name: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """The medians of one case at one number of clients; `share` is of the hello-world's rate."""

    name: str
    clients: int
    sample: Sample
    share: float


def hello() -> Flask:
    """What Flask can do at best on this server."""
    app = Flask("hello")

    @app.get("/livez")
    def livez() -> Response:
        return jsonify(status="alive")

    return app


@contextmanager
def serving(target: str, env: dict[str, str], log: Path, processes: int = 1) -> Iterator[str]:
    """The production web server with this application; its address."""
    port = _free_port()
    folder = Path(env.get("VAR_DIR", log.parent))
    wanted = web_command(Settings(host="127.0.0.1", port=port, web_processes=processes, var_dir=folder))
    if APP not in wanted:
        raise LoadError(f"the web command names no {APP}: {wanted}")
    command = [target if part == APP else part for part in wanted]
    with log.open("wb") as out:
        server = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out)
    base = f"http://127.0.0.1:{port}"
    try:
        _await_answer(server, base, log)
        yield base
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _await_answer(server: subprocess.Popen[bytes], base: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urlopen(f"{base}/livez", timeout=2):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise LoadError(f"the server did not answer:\n{log.read_text()[-2000:]}")


def environment(stack: ExitStack, folder: Path) -> dict[str, str]:
    """A fresh service: embedded servers unless DATABASE_URL is set, its own folders, no rate limits."""
    env = dict(os.environ)
    if not env.get("DATABASE_URL"):
        servers = stack.enter_context(EmbeddedServers(folder / "var"))
        env |= {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
    return env | {
        "JWT_SECRET": secrets.token_hex(32),
        "VAR_DIR": str(folder / "var"),
        "STORAGE_URL": str(folder / "files"),
        "LOG_DIR": str(folder / "logs"),
        "RATE_LIMITS": "off",
        "REGISTRATION": "open",
        "ACCESS_MINUTES": "60",
    }


def migrate(env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "flask", "--app", "src.app", "db", "upgrade"]
    pipe = subprocess.PIPE
    done = subprocess.run(command, cwd=ROOT, env=env, stderr=pipe, text=True, timeout=120, check=False)
    if done.returncode:
        raise LoadError(f"the database could not be migrated:\n{done.stderr[-2000:]}")


def prepare(base: str) -> list[Case]:
    """Log in, upload the files, start a job; what is then asked for."""
    account = ACCOUNT | {"email": f"bench-{secrets.token_hex(4)}@example.org"}
    post_json(f"{base}/api/v1/auth/register", account)
    token = post_json(f"{base}/api/v1/auth/login", account)["access"]
    for number in range(FILES):
        rows = f"id;valor;data\n{number};1.234,50;31/12/2025\n".encode()
        kept = post_json(f"{base}/api/v1/files?filename=file-{number:03}.csv", rows, token)
    job = post_json(f"{base}/api/v1/files/{kept['id']}/profile", b"", token)
    headers = {"Authorization": f"Bearer {token}"}
    return [
        Case("`GET /livez`", f"{base}/livez"),
        Case("`GET /api/v1/files`", f"{base}/api/v1/files", headers),
        Case("`GET /api/v1/jobs/{id}`", f"{base}/api/v1/jobs/{job['id']}", headers),
    ]


def post_json(url: str, body: dict[str, Any] | bytes, token: str = "") -> dict[str, Any]:
    """POST JSON or bytes, and read the JSON that comes back; any problem ends the bench."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
    headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
    with urlopen(Request(url, data, headers, method="POST"), timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def measure(plain: Case, cases: list[Case], clients: int, rounds: int, seconds: int) -> Iterator[Row]:
    """Each case by turns with the hello-world, so that a busy moment of the machine hits both."""
    yardsticks: list[Sample] = []
    for case in cases:
        for warm in (plain, case):
            load(warm.url, warm.headers, clients, 1)
        pairs = []
        for number in range(rounds):
            order = (plain, case) if number % 2 else (case, plain)
            taken = {one.url: load(one.url, one.headers, clients, seconds) for one in order}
            pairs.append((taken[plain.url], taken[case.url]))
        yardsticks += [first for first, _ in pairs]
        share = statistics.median(second.rps / first.rps for first, second in pairs)
        yield Row(case.name, clients, _median([second for _, second in pairs]), share)
    yield Row(plain.name, clients, _median(yardsticks), 1.0)


def _median(samples: list[Sample]) -> Sample:
    fields = ("rps", "p50", "p99")
    return Sample(*(statistics.median(getattr(one, name) for one in samples) for name in fields))


def report(rows: list[Row], rounds: int, seconds: int, busy: float) -> str:
    """The section for the benchmarks page."""
    settings = Settings()
    lines = [
        HEADING,
        "",
        "The service beside a bare Flask hello-world, on the same web server with the same settings. "
        "Read the ratios; the absolute figures belong to the machine, whose cores the client and "
        "PostgreSQL use too.",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"gunicorn {version('gunicorn')}, {settings.web_processes} process of {settings.web_threads} "
        f"threads, {FILES} files in the database, lists of 10. Medians of {rounds} alternating runs of "
        f"{seconds} s with {client_name()}, keep-alive. The machine's load was {busy:.1f} before it began. "
        "Again: `python -m bench.http --write`.",
        "",
        "| request | clients | requests/s | p50 ms | p99 ms | of hello-world |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        figures = f"{row.sample.rps:,.0f} | {row.sample.p50:.1f} | {row.sample.p99:.1f} | {row.share:.2f}"
        lines.append(f"| {row.name} | {row.clients} | {figures} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    given = parser.parse_args()
    busy = os.getloadavg()[0]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-http-")))
        env = environment(stack, folder)
        migrate(env)
        plain = Case("hello-world", stack.enter_context(serving(HELLO, env, folder / "hello.log")) + "/livez")
        cases = prepare(stack.enter_context(serving(APP, env, folder / "web.log")))
        rows = [
            row
            for clients in given.clients
            for row in measure(plain, cases, clients, given.rounds, given.seconds)
        ]
    section = report(rows, given.rounds, given.seconds, busy)
    print(section)
    if given.write:
        write_section(HEADING, section)


if __name__ == "__main__":
    main()

"""Real processes for tests: Redis, web servers, workers and schedulers, started from a clean environment."""

import http.client
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import orjson
import pytest
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import select, text

from src.cli.processes import scheduler_command, web_command, worker_command
from src.config import Settings
from src.embedded.launch import die_with_parent
from src.embedded.redis import program
from src.models import Job, Process
from tests.committing import Workshop

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 60.0
KINDS = "tests.faults.kinds"


def eventually(what: str, is_so: Callable[[], Any], *, within: float) -> float:
    """Look until it is so; answers after how many seconds. Fails with `what` when it takes longer."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > within:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - began


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Program:
    """One program in a session of its own, with its output in a file; it dies with this process."""

    def __init__(self, name: str, command: list[str], folder: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.command = command
        self.env = env
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def children(self, pid: int | None = None) -> list[int]:
        """The processes that it started, oldest first."""
        listed = Path(f"/proc/{pid or self.pid}/task")
        tasks = [task / "children" for task in listed.iterdir()] if listed.exists() else []
        return sorted({int(child) for task in tasks if task.exists() for child in task.read_text().split()})

    def family(self) -> list[int]:
        """It, its children and theirs."""
        found, rest = [], [self.pid]
        while rest:
            found.append(rest.pop())
            rest += self.children(found[-1])
        return found

    def send(self, number: signal.Signals) -> None:
        """To the program alone, as a supervisor does it."""
        os.kill(self.pid, number)

    def send_all(self, number: signal.Signals) -> None:
        """To it and all that it started."""
        for pid in self.family():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """kill -9 for it and all that it started."""
        if self._process is not None and self.is_alive:
            self.send_all(signal.SIGKILL)
        self.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM, *, within: float = 60.0) -> float:
        """Ask it to end; answers how long it took."""
        began = time.monotonic()
        self.send(number)
        self.wait(within)
        return time.monotonic() - began

    def wait(self, within: float = 10.0) -> int | None:
        return None if self._process is None else self._process.wait(within)


class RedisServer(Program):
    """A Redis that keeps nothing when it dies: the worst of them."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        keep_nothing = ["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"]
        place = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(folder)]
        super().__init__("redis", [str(program()), *place, *keep_nothing], folder, {"PATH": os.defpath})
        self.client = Redis(port=self.port, socket_timeout=1.0)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Self:
        super().start()
        eventually("Redis answers", self.answers, within=START_SECONDS)
        return self

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError:
            return False


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP."""

    request: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Caller:
    """Talks to a web server as one account; every answer is noted for the checks at the end."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    is_kept: bool = False  # each thread keeps its connection from one request to the next
    _mine: threading.local = field(default_factory=threading.local, init=False)

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        timeout: float = 60.0,
        **headers: str,
    ) -> Answer:
        """One request, by default on a connection of its own. A header's name is written with _ for -."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = getattr(self._mine, "connection", None)
        connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        self._mine.connection = None
        began = time.monotonic()
        try:
            with suppress(BrokenPipeError):  # it has answered before it had read everything
                connection.request(method, path, body, self.headers | given)
            response = connection.getresponse()
            content = response.read()
            if self.is_kept:
                self._mine.connection = connection
        finally:
            if self._mine.connection is None:
                connection.close()
        seconds = time.monotonic() - began
        named = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(f"{method} {path}", response.status, named, content, seconds)
        self.answers.append(answer)
        return answer

    def hang_up(self) -> None:
        """End this thread's connection, if it has kept one."""
        if getattr(self._mine, "connection", None) is not None:
            self._mine.connection.close()
            self._mine.connection = None

    def get(self, path: str, **options: Any) -> Answer:
        return self.call("GET", path, **options)

    def post(self, path: str, body: bytes | None = None, **options: Any) -> Answer:
        return self.call("POST", path, body, **options)

    def upload(self, content: bytes, name: str = "table.csv", **options: Any) -> Answer:
        return self.post(f"/api/v1/files?filename={name}", content, **options)

    def log_in(self, email: str, password: str) -> Answer:
        body = orjson.dumps({"email": email, "password": password})
        return self.post("/api/v1/auth/login", body, Content_Type="application/json")


class Live:
    """The service as it runs in production, on the database of one test, with a Redis of its own."""

    def __init__(self, workshop: Workshop, folder: Path) -> None:
        self.workshop = workshop
        self.folder = folder
        self.redis = RedisServer(folder)
        self.redis_url = self.redis.url
        self.programs: list[Program] = []
        self.port = free_port()
        self.answers: list[Answer] = []

    def __enter__(self) -> Self:
        self.redis.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in (*self.programs, self.redis):
            with suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGCONT)
            one.kill()
        self.redis.client.close()

    def env(self, **settings: Any) -> dict[str, str]:
        """The environment of a program: nothing of ours, and what the service documents."""
        mine = self.workshop.settings
        known = {
            "DATABASE_URL": mine.database_url,
            "REDIS_URL": self.redis_url,
            "JWT_SECRET": mine.jwt_secret,
            "STORAGE_URL": mine.storage_url,
            "VAR_DIR": str(mine.var_dir),
            "LOG_DIR": str(self.folder / "logs"),
            "PORT": str(self.port),
            "DISK_RESERVE_BYTES": "0",
            "RATE_LIMIT_DEFAULT": "100000 per minute",
            "RATE_LIMIT_LOGIN": "100000 per minute",
            "WORKER_PROCESSES": "2",
        }
        passed_on = {name: os.environ[name] for name in os.environ if name.startswith("COVERAGE_")}
        given = {name.upper(): str(value) for name, value in settings.items()}
        return {"PATH": os.defpath, "HOME": str(self.folder)} | passed_on | known | given

    def start(self, name: str, command: list[str], **settings: Any) -> Program:
        number = sum(one.name.startswith(name) for one in self.programs) + 1
        one = Program(f"{name}-{number}", command, self.folder, self.env(**settings))
        self.programs.append(one.start())
        return one

    def start_web(self, *, wait: bool = True, under: tuple[str, ...] = (), **settings: Any) -> Program:
        """A production web server, once it answers; `under` is a program that runs it."""
        web = self.start("web", [*under, *web_command(self._settings(settings))], **settings)
        return self.await_start(web) if wait else web

    def start_worker(self, *, wait: bool = True, kinds: str = "src.worker", **settings: Any) -> Program:
        """A worker, once it says that it is alive; with `kinds=KINDS`, it knows those of tests as well."""
        command = [part.replace("src.worker", kinds) for part in worker_command(self._settings(settings))]
        worker = self.start("worker", command, **settings)
        return self.await_start(worker) if wait else worker

    def start_scheduler(self, *, wait: bool = True, **settings: Any) -> Program:
        scheduler = self.start("scheduler", scheduler_command(), **settings)
        return self.await_start(scheduler) if wait else scheduler

    def await_start(self, one: Program) -> Program:
        """Return when it does its work."""
        is_up = self.is_web_up if one.name.startswith("web") else partial(self.is_known, one)
        eventually(f"{one.name} is up, or ended", lambda: is_up() or not one.is_alive, within=START_SECONDS)
        assert one.is_alive, one.log.read_text()[-2000:]
        return one

    def _settings(self, given: dict[str, Any]) -> Settings:
        """What the program will read from its environment."""
        return Settings.from_env(self.env(**given))

    def is_web_up(self) -> bool:
        try:
            return Caller(self.port).get("/livez", timeout=5.0).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def is_known(self, one: Program) -> bool:
        """Whether it gave a sign of life."""
        with self.workshop.database.unit_of_work() as session:
            return session.scalar(select(Process.id).where(Process.pid == one.pid)) is not None

    def caller(self, role: str = "operator") -> Caller:
        """A new account that is logged in."""
        headers = self.workshop.accounts.caller(role).headers
        return Caller(self.port, headers, self.answers)

    def job(self, job_id: UUID | str) -> Job:
        return self.workshop.jobs.read(UUID(str(job_id)))

    def jobs(self) -> list[Job]:
        with self.workshop.database.unit_of_work() as session:
            return list(session.scalars(select(Job).order_by(Job.id)))

    def await_state(self, job_id: UUID | str, *states: str, within: float) -> float:
        return eventually(
            f"job {job_id} is {states}, not {self.job(job_id).state}",
            lambda: self.job(job_id).state in states,
            within=within,
        )

    def sessions(self, name: str = "indicators-%") -> int:
        """How many sessions of the service's processes the database has."""
        counted = text("""SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND application_name LIKE :name AND application_name <> 'indicators-test'""")
        with self.workshop.database.unit_of_work() as session:
            return session.scalars(counted, {"name": name}).one()


@pytest.fixture
def live(workshop: Workshop, tmp_path: Path) -> Iterator[Live]:
    folder = tmp_path / "live"
    folder.mkdir()
    with Live(workshop, folder) as live:
        yield live

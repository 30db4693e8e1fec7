"""`flask up`: the whole service on one machine, started, used, stopped and killed as real processes."""

import inspect
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import mkdtemp

import pytest

from src.cli.everything import Progress, check_port
from src.cli.preparation import OneOff, Preparation
from src.cli.processes import web_command
from src.config import Settings, SettingsError
from src.supervisor import Child
from tests.leftovers import ROOT, as_nobody, none_left, pids_of, postmaster, processes_of, python, wait_until

pytestmark = pytest.mark.xdist_group("up")  # they share a service, which takes a while to start
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
UP = ("src.cli",)
FLASK = ("flask", "--app", "src.app")
START_PATIENCE = 120.0
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Service:
    """One `flask up` in a folder, on a free port."""

    folder: Path
    command: tuple[str, ...] = UP
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    words: str = "output"

    @property
    def env(self) -> dict[str, str]:
        places = {
            "VAR_DIR": self.folder / "var",
            "LOG_DIR": self.folder / "logs",
            "STORAGE_URL": self.folder / "files",
        }
        kept = {
            name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")
        }
        return kept | {name: str(path) for name, path in places.items()} | {"PORT": str(self.port)}

    def start(self, *, nobody: bool = False) -> None:
        command = python("-m", *self.command)
        with (self.folder / self.words).open("wb") as output:
            self.process = subprocess.Popen(
                as_nobody(command) if nobody else command,
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        assert wait_until(self.answers, START_PATIENCE), self.output

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.output
        return self.ask("/livez") == 200

    def ask(self, path: str, body: object = None) -> int | None:
        """The status of an answer; None when there is none."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data)
        request.add_header("Content-Type", "application/json")
        try:
            with DIRECTLY.open(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code
        except OSError:
            return None

    def log_in(self) -> int | None:
        """With what is kept for the operator."""
        kept = (self.folder / "var" / "admin.txt").read_text()
        values = dict(line.split("=", 1) for line in kept.splitlines())
        return self.ask("/api/v1/auth/login", values)

    @property
    def output(self) -> str:
        return (self.folder / self.words).read_text()

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(90)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "a folder"
    folder.mkdir()
    yield folder
    end_all(folder)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A service that was started in a new folder, used, and stopped."""
    service = Service(tmp_path_factory.mktemp("a folder"))
    service.start()
    assert wait_until(lambda: "Ctrl-C stops" in service.output), service.output
    assert service.log_in() == 200
    assert service.end() == 0
    assert none_left(service.folder), processes_of(service.folder)
    return service


@pytest.fixture(scope="module")
def running(first: Service) -> Iterator[Service]:
    """The same again. The last tests of this file end it in their ways."""
    service = Service(first.folder, words="second output")
    service.start()
    yield service
    service.end()
    end_all(first.folder)


def end_all(folder: Path) -> None:
    """Nothing may be left; what is left is killed all the same, so that the next test is spared."""
    left = {} if none_left(folder) else processes_of(folder)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


def test_the_first_start_makes_an_administrator_and_says_so(first: Service) -> None:
    kept = (first.folder / "var" / "admin.txt").read_text().splitlines()
    assert [line.split("=")[0] for line in kept] == ["email", "password"]
    assert set(kept) <= set(first.output.splitlines())
    assert (first.folder / "var" / "admin.txt").stat().st_mode & 0o777 == 0o600
    assert f"http://localhost:{first.port}" in first.output


def test_the_second_start_finds_the_data_and_tells_no_password(running: Service) -> None:
    assert running.log_in() == 200
    assert wait_until(lambda: "Ctrl-C stops" in running.output), running.output
    assert "password=" not in running.output


def test_all_parts_run_and_are_told_to_be_well(running: Service) -> None:
    web = web_command(Settings())[2]
    assert wait_until(lambda: all(pids_of(running.folder, word) for word in (web, "celery", "src.scheduler")))
    assert wait_until(lambda: running.ask("/readyz") == 200)


def test_only_this_machine_is_served_unless_host_says_otherwise(running: Service) -> None:
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    addresses = set(re.findall(rf"([0-9A-F]+):{running.port:04X} [0-9A-F]+:0000 0A", listening))
    assert addresses == {"0100007F"}


def refused(service: Service, **environment: str) -> str:
    """What a service that cannot start says."""
    done = subprocess.run(
        python("-m", *service.command),
        cwd=ROOT,
        env=service.env | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize("command", [UP, (*FLASK, "up")])
def test_a_second_service_in_the_same_folder_is_refused_and_harms_nothing(
    running: Service, command: tuple[str, ...]
) -> None:
    message = refused(Service(running.folder, command))
    assert f"port {running.port}" in message
    assert "Traceback" not in message
    assert running.log_in() == 200


def test_a_taken_port_is_told_with_the_way_out(folder: Path, running: Service) -> None:
    message = refused(Service(folder, port=running.port))
    assert f"127.0.0.1:{running.port}" in message
    assert "PORT=" in message
    assert "Traceback" not in message
    assert not (folder / "var" / "postgres").exists()


def test_an_address_of_another_machine_is_told_like_a_taken_port() -> None:
    with pytest.raises(SettingsError, match="HOST="):
        check_port("192.0.2.1", free_port())
    check_port("", free_port())


def test_a_database_that_is_not_there_ends_the_start(folder: Path) -> None:
    nowhere = {
        "DATABASE_URL": f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/nothing",
        "JWT_SECRET": "s" * 32,
    }
    message = refused(Service(folder), **nowhere)
    assert message.endswith("Stopped: the database could not be prepared; the reason stands above\n")
    assert none_left(folder), processes_of(folder)


def test_what_is_killed_is_started_again(running: Service) -> None:
    web = min(pids_of(running.folder, "src.app:create_web()"))
    os.kill(web, signal.SIGKILL)
    assert wait_until(lambda: "web ended by signal 9; starting it again" in running.output)
    assert wait_until(lambda: running.ask("/livez") == 200)
    database = postmaster(running.folder)
    os.kill(pids_of(running.folder, "keeper postgres")[0], signal.SIGKILL)
    assert wait_until(lambda: database not in processes_of(running.folder))
    assert wait_until(lambda: running.ask("/readyz") == 200)
    assert running.log_in() == 200


def test_a_killed_supervisor_leaves_nothing_behind_and_the_next_one_finds_the_data(running: Service) -> None:
    assert running.end(signal.SIGKILL) == -signal.SIGKILL
    at_once = Service(running.folder, words="third output")
    at_once.start()
    assert at_once.log_in() == 200
    at_once.end(signal.SIGKILL)
    assert none_left(running.folder), processes_of(running.folder)


def test_the_web_server_alone_brings_its_databases_and_takes_them_along(running: Service) -> None:
    running.end(signal.SIGHUP)
    alone = Service(running.folder, (*FLASK, "serve"))
    alone.start()
    assert alone.log_in() == 200
    assert not pids_of(alone.folder, "celery")
    alone.end()
    assert none_left(alone.folder), processes_of(alone.folder)


@needs_root
def test_a_plain_user_can_run_it() -> None:
    folder = Path(mkdtemp(dir="/tmp", prefix="a plain user's "))
    try:
        folder.chmod(0o777)
        service = Service(folder)
        service.start(nobody=True)
        assert service.process is not None
        assert all(
            Path(f"/proc/{pid}").stat().st_uid == pwd.getpwnam("nobody").pw_uid
            for pid in processes_of(folder)
        )
        assert service.end() == 0
        assert (folder / "var" / "admin.txt").stat().st_uid == pwd.getpwnam("nobody").pw_uid
        assert none_left(folder), processes_of(folder)
    finally:
        shutil.rmtree(folder)


@needs_root
def test_a_plain_user_is_told_that_the_data_is_roots(running: Service) -> None:
    other = Service(running.folder)
    command = as_nobody(python("-m", *other.command))
    done = subprocess.run(command, cwd=ROOT, env=other.env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "belongs to another user" in done.stderr
    assert "Traceback" not in done.stderr


SUPERVISE = """
import sys
from src.supervisor import Child, ChildError, Interrupted, Supervisor
children = [Child(str(number), [sys.executable, "-c", code], patience=60.0)
            for number, code in enumerate(sys.argv[1:])]
supervisor = Supervisor([children], lambda text: print(text, flush=True))
supervisor.listen()
try:
    supervisor.watch(lambda: print("tick", flush=True))
except ChildError as error:
    print("gave up:", error, flush=True)
print("stopping", flush=True)
supervisor.stop()
print("stopped", flush=True)
"""
STUBBORN = """import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGQUIT, signal.SIG_IGN)
time.sleep(600)
"""


def supervise(folder: Path, *codes: str) -> subprocess.Popen[str]:
    env = os.environ | {"FOLDER": str(folder)}
    return subprocess.Popen(
        python("-c", SUPERVISE, *codes),
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def read_until(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"ended without {text!r}")


def test_a_child_that_always_dies_ends_everything_with_a_reason(folder: Path) -> None:
    process = supervise(folder, "raise SystemExit(3)", "import time; time.sleep(600)")
    output, _ = process.communicate(timeout=90)
    assert output.count("0 ended with status 3; starting it again.") == 4
    assert "gave up: 0 ended with status 3, 5 times within a minute" in output
    assert output.endswith("stopped\n")


def test_samples_that_are_not_loaded_in_time_end_nothing(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = Settings(
            database_url="postgresql+psycopg://nowhere",
            redis_url="redis://nowhere",
            jwt_secret="x" * 32,
            var_dir=tmp_path,
            port=server.server_port,
        )
        preparation, samples = Preparation(settings, ["echo", "The first start."]), OneOff(["false"])
        web, worker = (Child(name, ["true"], is_held=True) for name in ("web", "worker"))
        progress = Progress(settings, None, preparation, samples, web, [worker])

        def is_through() -> bool:
            progress.look()
            return inspect.getgeneratorstate(progress._steps) == inspect.GEN_CLOSED

        try:
            assert wait_until(is_through, START_PATIENCE)
        finally:
            preparation.stop()
            samples.stop()
            server.shutdown()
        assert (web.is_held, worker.is_held) == (False, False)


def test_a_second_stop_signal_kills_what_does_not_end(folder: Path) -> None:
    process = supervise(folder, STUBBORN)
    read_until(process, "tick")
    assert wait_until(lambda: bool(pids_of(folder, "SIG_IGN")))
    process.send_signal(signal.SIGINT)
    read_until(process, "stopping")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert output.endswith("stopped\n")


def test_signals_that_were_ignored_before_stay_ignored(folder: Path) -> None:
    command = ["nohup", *python("-c", SUPERVISE, "import time; time.sleep(600)")]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"FOLDER": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    read_until(process, "tick")
    process.send_signal(signal.SIGHUP)
    read_until(process, "tick")
    process.terminate()
    output, _ = process.communicate(timeout=30)
    assert output.endswith("stopped\n")


def test_what_a_dead_child_started_is_ended_with_it(folder: Path) -> None:
    code = (
        "import subprocess, sys, os, time\n"
        "flag = os.path.join(os.environ['FOLDER'], 'flag')\n"
        "if os.path.exists(flag): time.sleep(600)\n"
        "open(flag, 'w').close()\n"
        "subprocess.Popen([sys.executable, '-c', f'import time; time.sleep({600 + 1})'])\n"
    )
    process = supervise(folder, code)
    read_until(process, "0 ended with status 0")
    assert wait_until(lambda: not pids_of(folder, "601"))
    process.terminate()
    process.communicate(timeout=30)

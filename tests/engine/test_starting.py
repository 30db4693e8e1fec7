"""Children that are started ahead of their work: there in time, as bounded as others, and gone with their parent."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from src.engine import sandbox, starting
from src.engine.profile import profile
from src.engine.reading.detect import detect
from src.engine.starting import ROOT, Children
from src.engine.values import Profile, ReadLimits, Sandbox
from tests.engine.making import Make, workbook_bytes
from tests.engine.processes import children_of, is_alive, mine, wait_until

LIMITS = ReadLimits(sandbox=Sandbox(seconds=60))  # without an environment, as in a worker
LIBRARIES = (b"libarrow", b"duckdb")


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Iterator[Children]:
    kept = Children()
    monkeypatch.setattr(sandbox, "CHILDREN", kept)
    yield kept
    kept.end()
    assert mine() == []


def ready(number: int) -> list[int]:
    """So many children, which have all loaded their libraries, and wait."""
    wait_until(lambda: sum(map(has_loaded, mine())) == number, f"{number} children are ready")
    return mine()


def has_loaded(child: int) -> bool:
    maps = Path(f"/proc/{child}/maps").read_bytes()
    return all(library in maps for library in LIBRARIES)


def worked(make: Make, folder: Path) -> tuple[Profile, list[int]]:
    """A profile, and which children there were while it was made."""
    seen: list[int] = []
    path = make(b"a,b\n1,2\n3,4\n")
    found = profile(
        path, detect(path, "a"), work_dir=folder, limits=LIMITS, on_progress=lambda *_: seen.extend(mine())
    )
    return found, seen


def test_one_that_is_ready_does_the_work_and_another_takes_its_place(
    children: Children, make: Make, tmp_path: Path
) -> None:
    children.keep(1)
    (first,) = ready(1)
    found, seen = worked(make, tmp_path)
    assert (found.rows, set(seen)) == (2, {first})
    (second,) = ready(1)
    assert second != first
    assert worked(make, tmp_path)[0] == found
    assert list(tmp_path.glob("engine-*")) == []


def test_while_one_is_at_work_none_is_started_ahead(children: Children) -> None:
    children.keep(2)
    both = ready(2)
    with children.one({}) as first:
        assert sorted([first.process.pid, *(set(mine()) - {first.process.pid})]) == sorted(both)
        with children.one({}) as second, children.one({}) as third:
            assert {first.process.pid, second.process.pid} == set(both)
            assert third.process.pid not in both
            assert children.ahead == 0
    assert not set(ready(2)) & {*both, third.process.pid}


def test_more_work_than_children_at_once(children: Children, make: Make, tmp_path: Path) -> None:
    children.keep(2)
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda _: worked(make, tmp_path)[0].rows, range(12)))
    assert found == [2] * 12
    ready(2)


def test_work_that_wants_an_environment_of_its_own_gets_it(children: Children) -> None:
    children.keep(1)
    (waiting,) = ready(1)
    with children.one({"A": "1"}) as child:
        assert child.process.pid != waiting
        environment = Path(f"/proc/{child.process.pid}/environ")
        wait_until(lambda: bool(environment.read_bytes()), "the program has begun")
        assert b"A=1" in environment.read_bytes().split(b"\0")


def test_one_that_has_died_is_not_taken(children: Children, make: Make, tmp_path: Path) -> None:
    children.keep(1)
    (waiting,) = ready(1)
    os.kill(waiting, signal.SIGKILL)
    os.waitid(os.P_PID, waiting, os.WEXITED | os.WNOWAIT)
    found, seen = worked(make, tmp_path)
    assert (found.rows, waiting in seen) == (2, False)
    ready(1)


def test_one_at_work_outlives_the_thread_that_asked_for_it(
    children: Children, make: Make, tmp_path: Path
) -> None:
    is_at_work = threading.Event()

    def ask_and_wait() -> None:
        children.keep(1)
        is_at_work.wait(60)

    asking = threading.Thread(target=ask_and_wait)
    asking.start()
    (waiting,) = ready(1)
    seen: list[int] = []

    def let_it_end(*_: object) -> None:
        seen.extend(mine())
        is_at_work.set()
        asking.join()

    path = make(b"a,b\n" + b"1,2\n3,4\n" * 300_000)
    found = profile(path, detect(path, "a"), work_dir=tmp_path, limits=LIMITS, on_progress=let_it_end)
    assert (found.rows, set(seen)) == (600_000, {waiting})


def test_a_head_is_read_by_one_that_has_loaded_nothing(
    children: Children, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    children.keep(1)
    (waiting,) = ready(1)
    started: list[int] = []
    start = starting.start

    def note(**more: dict[str, str]) -> starting.Started:
        child = start(**more)
        started.append(child.process.pid)
        return child

    monkeypatch.setattr(starting, "start", note)
    assert detect(make(workbook_bytes({"A": [["id"], [1]]})), "a", LIMITS).columns[0].name == "id"
    assert (len(started), mine()) == (1, [waiting])


def test_they_know_no_secrets_and_have_their_limits_once_at_work(
    children: Children, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_SECRET", "not for children")
    children.keep(1)
    (waiting,) = ready(1)
    assert b"JWT_SECRET" not in Path(f"/proc/{waiting}/environ").read_bytes()
    assert Path(f"/proc/{waiting}/oom_score_adj").read_text().strip() == "1000"
    limits: list[str] = []
    path = make(b"a,b\n1,2\n")
    profile(
        path,
        detect(path, "a"),
        work_dir=tmp_path,
        limits=LIMITS,
        on_progress=lambda *_: limits.append(Path(f"/proc/{waiting}/limits").read_text()),
    )
    assert any("256" in line.split() for line in limits[0].splitlines() if line.startswith("Max open files"))


@pytest.mark.parametrize("ending", ["ends", "is killed"])
def test_they_are_gone_with_their_parent(ending: str) -> None:
    script = (
        "import sys; from src.engine.starting import CHILDREN\n"
        "CHILDREN.keep(2)\nprint(sys.stdin.readline())\nCHILDREN.end()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE) as parent:
        wait_until(lambda: len(children_of(parent.pid)) == 2, "they are there")
        waiting = children_of(parent.pid)
        if ending == "is killed":
            parent.kill()
        else:
            parent.communicate(b"\n")
            assert parent.returncode == 0
    wait_until(lambda: not any(map(is_alive, waiting)), "they are gone")


def test_where_none_can_be_started_ahead_each_is_started_when_it_is_needed(
    children: Children,
    make: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    start, tried = starting.start, threading.Event()

    def start_when_needed(*arguments: str, **more: dict[str, str]) -> starting.Started:
        if arguments:
            tried.set()
            raise OSError("no process is left")
        return start(**more)

    monkeypatch.setattr(starting, "start", start_when_needed)
    children.keep(1)
    assert tried.wait(60)
    assert worked(make, tmp_path)[0].rows == 2
    assert "started when it is needed" in caplog.text

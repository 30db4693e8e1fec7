"""Looks for processes that belong to a folder, to see that none is left; and runs Python as another user."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 30.0


def processes_of(folder: Path) -> dict[int, str]:
    """Every other process that has the folder in its command, environment or working directory."""
    return {
        pid: command for pid, command, traces in _processes() if any(str(folder) in trace for trace in traces)
    }


def pids_of(folder: Path, word: str) -> list[int]:
    """Those of them whose command holds a word, the oldest first."""
    return sorted(pid for pid, command in processes_of(folder).items() if word in command)


def postmaster(folder: Path) -> int:
    """The PostgreSQL server of a folder, told from its helpers by its arguments."""
    return next(pid for pid in pids_of(folder, "bin/postgres") if "-D" in processes_of(folder)[pid])


def wait_until(is_so: Callable[[], bool], patience: float = PATIENCE) -> bool:
    """Whether it becomes so before patience ends."""
    deadline = time.monotonic() + patience
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def none_left(folder: Path) -> bool:
    """Whether all processes of the folder end before long."""
    return wait_until(lambda: not processes_of(folder))


def as_nobody(command: list[str]) -> list[str]:
    """The command as the user `nobody`, who may read where root's Python and this project lie."""
    setpriv = shutil.which("setpriv") or "setpriv"
    reader = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    unmeasured = ["env", "-u", "COVERAGE_PROCESS_CONFIG"]  # coverage could not write as that user
    return [
        setpriv,
        "--reuid=nobody",
        "--regid=nogroup",
        "--clear-groups",
        *reader,
        "--",
        *unmeasured,
        *command,
    ]


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def _processes() -> Iterator[tuple[int, str, list[str]]]:
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (process / "environ").read_bytes().decode(errors="replace")
            yield int(process.name), command, [command, environment, str((process / "cwd").readlink())]
        except OSError:
            continue

"""Starts the engine's children; in a worker, some of them ahead of their work.

To start one and load its libraries takes a third of a second, in which somebody waits. One that was started
ahead has done so; otherwise it is as any: it does one piece of work, and knows of nothing before that.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
AHEAD = "ahead"  # with this argument, a child loads its libraries before it is asked for anything
ENVIRONMENT = {
    "TZ": "UTC",
    "PYTHONUTF8": "1",
    # Memory that is reserved but not used counts as well; with 2, threads wait for each other, a twentieth.
    "MALLOC_ARENA_MAX": "4",
    "OPENBLAS_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
FOR_A_JOB = 2  # an import reads in one and writes in another
SECONDS_OF_QUIET = 0.5  # between two pieces of work for one job there is less
SECONDS_AFTER_FAILURE = 10.0


@dataclass(frozen=True, slots=True)
class Started:
    """A child, the line to its stdin, and the file that its stderr goes to."""

    process: "subprocess.Popen[bytes]"
    line: socket.socket
    complaints: IO[bytes]

    @property
    def words(self) -> int:
        """The pipe with what it says."""
        return cast("IO[bytes]", self.process.stdout).fileno()

    def send(self, request: bytes, files: Sequence[IO[bytes]]) -> None:
        """The line stays open: the child takes its end as the end of its parent."""
        with suppress(ConnectionError):  # a child that ended already is noticed when it is listened to
            sent = socket.send_fds(self.line, [request], [file.fileno() for file in files])
            self.line.sendall(request[sent:])

    def end(self) -> None:
        """With what it started: a driver of Spark is a process of its own, which writes as well."""
        if self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        with self.process, self.line, self.complaints:  # waits for it, and closes all
            pass


def start(*arguments: str, environment: Mapping[str, str] | None = None) -> Started:
    """A process group of its own: Ctrl-C in a terminal reaches the parent, which then ends the child."""
    complaints = tempfile.TemporaryFile()  # noqa: SIM115  closed by `end`
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = subprocess.Popen(  # noqa: S603  ours
                [sys.executable, "-m", "src.engine.child", *arguments],
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=complaints,
                cwd=ROOT,
                env={**ENVIRONMENT, **(environment or {})},
                bufsize=0,
                start_new_session=True,
            )
    except BaseException:
        ours.close()
        complaints.close()
        raise
    return Started(process, ours, complaints)


class Children:
    """Those of this process.

    Once it is said how many to keep ahead, others are started in place of those that are taken, when none has
    been at work for a moment.
    """

    def __init__(self) -> None:
        self._ahead: list[Started] = []
        self._wanted = self._at_work = 0
        self._changed = threading.Condition()
        self._keeper: threading.Thread | None = None

    def keep(self, number: int = FOR_A_JOB) -> None:
        """From now on. They are started by a thread that lasts: the kernel ends a child with the thread that
        started it."""
        self._wanted = number
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    @property
    def ahead(self) -> int:
        """How many are there, though they may still load."""
        return len(self._ahead)

    def end(self) -> None:
        """Keep none any more."""
        with self._changed:
            self._wanted = 0
            self._changed.notify_all()
        if self._keeper:
            self._keeper.join()
            self._keeper = None
        while self._ahead:
            self._ahead.pop().end()

    @contextmanager
    def one(self, environment: Mapping[str, str], *, is_light: bool = False) -> Iterator[Started]:
        """A child for one piece of work; it is gone afterwards, however that ended.

        For light work it has loaded nothing: libraries count as memory that it may use.
        """
        child = (None if environment or is_light else self._taken()) or start(environment=environment)
        self._count(1)
        try:
            yield child
        finally:
            child.end()
            self._count(-1)

    def _taken(self) -> Started | None:
        """One that is there already, and that nothing has ended meanwhile."""
        while True:
            with self._changed:
                child = self._ahead.pop(0) if self._ahead else None
            if child is None or child.process.poll() is None:
                return child
            log.warning("a child that waited has ended with %s", child.process.returncode)
            child.end()

    def _count(self, change: int) -> None:
        with self._changed:
            self._at_work += change
            self._changed.notify_all()

    def _keep(self) -> None:
        with self._changed:
            while self._wanted:
                if self._at_work or self.ahead >= self._wanted:
                    self._changed.wait()
                elif not self._changed.wait(SECONDS_OF_QUIET):
                    self._fill()

    def _fill(self) -> None:
        try:
            while self.ahead < self._wanted:
                self._ahead.append(start(AHEAD))
        except Exception:  # whatever it is: children at work end with this thread
            log.exception("no child could be started ahead; each is started when it is needed")
            self._changed.wait(SECONDS_AFTER_FAILURE)


CHILDREN = Children()

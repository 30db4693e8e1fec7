"""Supervisor: keeps child processes alive and ends them in order, whatever happens to it or to them."""

import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType

from src.embedded.launch import die_with_parent

LOOK_SECONDS = 0.1
QUICK_DEATHS = 5  # so many within QUICK_SECONDS, and another try would not help
QUICK_SECONDS = 60.0
FIRST_PAUSE = 0.5
LAST_PATIENCE = 5.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A stop was asked for before the children run; no handler of errors on the way may swallow it."""


class ChildError(Exception):
    """A child does not stay alive; the message says which one and how it ended."""


@dataclass
class Child:
    """One program that has to run, and how long it may take to end."""

    name: str
    command: list[str]
    patience: float = 10.0
    is_held: bool = False  # not to be started yet
    process: subprocess.Popen[bytes] | None = None
    next_start: float = 0.0
    deaths: deque[float] = field(default_factory=deque)

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """In a session of its own: a Ctrl-C reaches the supervisor alone, which then ends all in order."""
        self.process = subprocess.Popen(  # noqa: S603  our own commands, no shell
            self.command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509  system calls only, looked up before
        )

    def note_death(self, now: float) -> str:
        """Plan the next start, later each time; says how it ended."""
        status = self.process.returncode if self.process else 0
        how = f"{self.name} ended " + (f"by signal {-status}" if status < 0 else f"with status {status}")
        self.kill()
        self.deaths.append(now)
        while self.deaths[0] < now - QUICK_SECONDS:
            self.deaths.popleft()
        if len(self.deaths) >= QUICK_DEATHS:
            raise ChildError(f"{how}, {QUICK_DEATHS} times within a minute")
        self.next_start = now + FIRST_PAUSE * 2 ** (len(self.deaths) - 1)
        return how

    def signal(self, number: signal.Signals) -> None:
        if self.process and self.is_alive:
            self.process.send_signal(number)

    def kill(self) -> None:
        """All that is left of its session, which includes what it started itself."""
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


class Supervisor:
    """Watches the children of all stages; ends one stage after the other."""

    def __init__(self, stages: list[list[Child]], say: Callable[[str], None]) -> None:
        self._stages = stages
        self._say = say
        self._stops = 0
        self._is_at_work = False

    def listen(self) -> None:
        """From here on a stop signal raises Interrupted, or ends `watch`, or hurries `stop`."""
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` and `&` set it
                signal.signal(number, self._on_signal)

    def watch(self, tick: Callable[[], None]) -> None:
        """Keep the children alive until a stop signal comes; `tick` looks after all else."""
        self._is_at_work = True
        while not self._stops:
            now = time.monotonic()
            for child in (child for stage in self._stages for child in stage):
                self._look_after(child, now)
            tick()
            time.sleep(LOOK_SECONDS)

    def stop(self) -> None:
        """End what runs; whoever does not end in time, or at a second stop signal, is killed."""
        self._is_at_work = True
        for stage in self._stages:
            for child in stage:
                child.signal(signal.SIGTERM)
            for child in stage:
                self._wait(child, child.patience)
                child.signal(signal.SIGQUIT)
                self._wait(child, LAST_PATIENCE)
                child.kill()

    def _look_after(self, child: Child, now: float) -> None:
        if child.process is None and now >= child.next_start and not child.is_held:
            child.start()
        elif child.process is not None and not child.is_alive:
            self._say(f"{child.note_death(now)}; starting it again.")

    def _wait(self, child: Child, patience: float) -> None:
        deadline = time.monotonic() + patience
        while child.is_alive and time.monotonic() < deadline and self._stops < 2:
            time.sleep(LOOK_SECONDS / 2)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stops += 1
        if not self._is_at_work:
            raise Interrupted

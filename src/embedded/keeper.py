"""`python -m src.embedded.keeper NAME VAR_DIR`: runs one server while any process is attached to it."""

import fcntl
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO

from src.embedded.control import FAILED, READY, STARTING, STOPPING, Control, EmbeddedError, try_lock
from src.embedded.postgres import Postgres
from src.embedded.redis import Redis
from src.embedded.server import Server, launch

KINDS: dict[str, type[Postgres] | type[Redis]] = {Postgres.name: Postgres, Redis.name: Redis}
LOOK_SECONDS = 0.2
START_SECONDS = 300.0
TRIES = 5


class Keeper:
    """Starts the server, starts it again when it dies, and stops it when it is told to or nobody uses it."""

    def __init__(self, server: Server, control: Control) -> None:
        self._server = server
        self._control = control
        self._process: subprocess.Popen[bytes] | None = None
        self._is_told_to_stop = False

    def run(self) -> int:
        signal.signal(signal.SIGTERM, self._on_term)
        with self._control.users.open("ab") as users, self._control.keeper.open("ab") as keeper:
            if not _take(keeper):
                return 0  # another one was quicker
            try:
                self._start()
                while not (self._is_told_to_stop or try_lock(users, fcntl.LOCK_EX)):
                    self._look_after()
                    time.sleep(LOOK_SECONDS)
                self._control.say(STOPPING)
            except (EmbeddedError, OSError) as error:
                self._control.say(FAILED, str(error))
            finally:
                self._stop()
        # The keeper's lock goes first, then the users': who waits for the latter finds the former free.
        return 0

    def _on_term(self, number: int, frame: FrameType | None) -> None:
        self._is_told_to_stop = True

    def _start(self) -> None:
        with self._control.log.open("ab") as log:
            process = self._process = launch(self._server, log)
        deadline = time.monotonic() + START_SECONDS
        while not self._server.is_ready():
            if process.poll() is not None:
                raise EmbeddedError(f"{self._server.name} did not start:\n{self._control.last_words()}")
            if self._is_told_to_stop or time.monotonic() > deadline:
                raise EmbeddedError(f"{self._server.name} is not ready:\n{self._control.last_words()}")
            time.sleep(0.03)
        self._control.say(READY)

    def _look_after(self) -> None:
        """A crash of the server is not the end of those who use it."""
        if self._process and self._process.poll() is None:
            return
        self._control.say(STARTING)
        for left in reversed(range(TRIES)):
            try:
                self._start()
            except EmbeddedError:
                if not left or self._is_told_to_stop:
                    raise
                time.sleep(1.0)
            else:
                return

    def _stop(self) -> None:
        process = self._process
        for number, patience in self._server.stop_plan:
            if process is None or process.poll() is not None:
                break
            process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)
        with suppress(OSError):  # the other server may still listen there
            self._server.sockets.rmdir()


def _take(lock: IO[bytes]) -> bool:
    """Others look at this lock by holding it for a moment, hence the patience."""
    for _ in range(100):
        if try_lock(lock, fcntl.LOCK_EX):
            return True
        time.sleep(0.03)
    return False


def main(name: str, var_dir: str) -> int:
    control = Control(Path(var_dir), name)
    try:
        server = KINDS[name](Path(var_dir))
    except EmbeddedError as error:
        control.say(FAILED, str(error))
        return 1
    return Keeper(server, control).run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""One process's hold on one embedded server: start it or join it, and let go of it."""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from src.embedded.control import FAILED, READY, STARTING, Control, EmbeddedError, locked, try_lock

PROJECT = Path(__file__).resolve().parents[2]
START_SECONDS = 300.0  # the first start creates the database, one after a crash replays its log
LOG_BYTES = 5 * 1024 * 1024
_left_to_others: list[subprocess.Popen[bytes]] = []  # keepers of ours that outlive our hold on them


class Attachment:
    """Attach, and the server runs; release, and it stops when nobody else is attached."""

    def __init__(self, var_dir: Path, name: str, socket: Path) -> None:
        self._var_dir = var_dir
        self._name = name
        self._socket = socket
        self._control = Control(var_dir, name)
        self._users: IO[bytes] | None = None
        self._keeper: subprocess.Popen[bytes] | None = None

    def attach(self) -> None:
        """Return when the server answers; harmless when it does already."""
        self._control.make()
        with locked(self._control.starter):
            if self._users is None:
                self._users = self._control.users.open("ab")
            try:
                fcntl.flock(self._users, fcntl.LOCK_SH)  # waits while a keeper is stopping the server
                self._await_ready()
            except BaseException:
                self.release()
                raise

    def ensure(self) -> None:
        """Start the server again if its keeper was killed."""
        if not self._is_kept():
            self.attach()

    def hand_over(self) -> None:
        """Let the hold survive an exec: it then lasts as long as the process does."""
        if self._users is not None:
            os.set_inheritable(self._users.fileno(), True)

    def release(self, *, stop: bool = False) -> None:
        """Let go. The one who started the server may `stop` it although others use it."""
        if self._users is None:
            return
        self._users.close()  # not unlocked: forked children share the lock and keep it
        self._users = None
        if self._keeper and stop:
            self._keeper.terminate()
            self._keeper.wait()
        else:
            self._await_end()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        is_started_here = False
        while time.monotonic() < deadline:
            state, message = self._control.state
            is_kept = self._is_kept()
            if is_kept and state == READY:
                return self._check_socket()
            if not is_kept and is_started_here:
                reason = message if state == FAILED else self._control.last_words()
                raise EmbeddedError(reason)
            if not is_kept:
                self._start_keeper()
                is_started_here = True
            time.sleep(0.03)
        raise EmbeddedError(f"{self._name} is still not ready:\n{self._control.last_words()}")

    def _check_socket(self) -> None:
        if not self._socket.exists():
            raise EmbeddedError(
                f"{self._name} of {self._var_dir} runs, but {self._socket} is not here: another container "
                "uses the same folder. Give each its own VAR_DIR."
            )

    def _is_kept(self) -> bool:
        is_ours = self._keeper is not None and self._keeper.poll() is None
        return is_ours or self._control.has_keeper()

    def _start_keeper(self) -> None:
        self._control.say(STARTING)
        log = self._control.log
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            self._keeper = subprocess.Popen(  # noqa: S603  our own module
                [sys.executable, "-m", "src.embedded.keeper", self._name, str(self._var_dir)],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a Ctrl-C is for those who use the server, not for the server
                umask=0o077,
            )

    def _await_end(self) -> None:
        """Wait for the server's end, unless others go on using it."""
        with self._control.users.open("ab") as probe:
            while self._is_kept():
                if try_lock(probe, fcntl.LOCK_EX):
                    fcntl.flock(probe, fcntl.LOCK_UN)  # nobody uses it: the keeper will see that in a moment
                elif try_lock(probe, fcntl.LOCK_SH):
                    if self._keeper:
                        _left_to_others.append(self._keeper)
                    return
                time.sleep(0.05)

"""The files under `var/embedded` by which any number of processes agree about one embedded server."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from src.config import SettingsError

STARTING, READY, STOPPING, FAILED = "starting", "ready", "stopping", "failed"


class EmbeddedError(SettingsError):
    """An embedded server cannot run here; the message says what the operator can do."""


class Control:
    """Three lock files, a state and a log for one server.

    Whoever uses the server holds `users` shared; its keeper holds `keeper`, and stops the server once it gets
    `users` for itself. The kernel drops locks of the dead, so nothing of this can go stale.
    """

    def __init__(self, var_dir: Path, name: str) -> None:
        self._folder = var_dir / "embedded"
        self.starter = self._folder / f"{name}.starter"
        self.users = self._folder / f"{name}.users"
        self.keeper = self._folder / f"{name}.keeper"
        self.log = self._folder / f"{name}.log"
        self._state = self._folder / f"{name}.state"

    def make(self) -> None:
        """Create the folder; others may pass through `var`: under root, PostgreSQL is another user."""
        try:
            self._folder.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self.starter.open("ab").close()
        except PermissionError as error:
            raise not_ours(error.filename, self._folder.parent) from error

    def has_keeper(self) -> bool:
        """Whether a process takes care of the server at this moment."""
        with self.keeper.open("ab") as file:
            return not try_lock(file, fcntl.LOCK_SH)

    @property
    def state(self) -> tuple[str, str]:
        """What the keeper last said, with a message when it failed."""
        try:
            state, _, message = self._state.read_text().partition("\n")
        except FileNotFoundError:
            return STARTING, ""
        return state, message

    def say(self, state: str, message: str = "") -> None:
        """Replace the state at once, so that nobody reads half of it."""
        fresh = self._state.with_suffix(".new")
        fresh.write_text(f"{state}\n{message}")
        fresh.replace(self._state)

    def last_words(self, lines: int = 8) -> str:
        """The end of the server's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def not_ours(path: str | Path, folder: Path) -> EmbeddedError:
    """What to tell when something in the data folder belongs to another user."""
    return EmbeddedError(
        f"{path} belongs to another user. Run this as that user or take the folder over:\n"
        f"  sudo chown -R {os.geteuid()}:{os.getegid()} '{folder}'"
    )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file alone."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def try_lock(file: IO[bytes], kind: int) -> bool:
    """Take a lock if nobody is in the way."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

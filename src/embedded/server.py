"""What PostgreSQL and Redis have in common: a private socket folder, a launch, and the end of leftovers."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from src.embedded.control import EmbeddedError
from src.embedded.launch import die_with_parent
from src.embedded.user import ServerUser

# Each signal with the seconds it is given; the first one loses nothing and the others nothing committed.
StopPlan = tuple[tuple[signal.Signals, float], ...]


class Server(Protocol):
    """One kind of server; the keeper drives it."""

    name: str
    program: str
    data: Path
    sockets: Path
    stop_plan: StopPlan

    def prepare(self) -> ServerUser: ...

    def argv(self) -> list[str]: ...

    def is_ready(self) -> bool: ...


def launch(server: Server, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the server from scratch, after the end of any other on the same data."""
    end_leftovers(server)
    user = server.prepare()
    death = server.stop_plan[0][0]
    argv = user.command(server.argv(), server.data, dies_with_parent=death.name.removeprefix("SIG"))
    return subprocess.Popen(  # noqa: S603  a list made here, no shell
        argv,
        cwd="/",
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        preexec_fn=None if os.geteuid() == 0 else die_with_parent(death),  # noqa: PLW1509  the keeper has no threads
    )


def environment() -> dict[str, str]:
    """Ours without what would configure a server or a client behind our back."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def make_private(folder: Path, user: ServerUser) -> None:
    """A folder for the server's user alone, at a place where others could have made one before us."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        owner = folder.lstat().st_uid
        if folder.is_symlink() or not folder.is_dir() or owner not in (user.uid, os.geteuid()):
            raise EmbeddedError(f"{folder} was made by someone else. Remove it and start again.") from None
    user.own(folder, 0o700)


def end_leftovers(server: Server) -> None:
    """A keeper that was killed may leave a server that is still stopping, or stuck."""
    for death, patience in server.stop_plan:
        found = list(_running_in(server.data, server.program))
        for pid in found:
            try:
                os.kill(pid, death)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + patience
        while found and time.monotonic() < deadline:
            time.sleep(0.05)
            found = list(_running_in(server.data, server.program))
        if not found:
            return
    raise EmbeddedError(f"A {server.program} of before still runs in {server.data} and does not end.")


def _running_in(folder: Path, program: str) -> Iterator[int]:
    """Both servers make their data folder their working directory, which is how they are known."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text().strip() == program and (process / "cwd").readlink() == folder:
                yield int(process.name)
        except OSError:  # ended meanwhile, or another user's
            continue

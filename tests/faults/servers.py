"""A PostgreSQL of one test's own, which can be crashed, kept down, and put on a disk with little room."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from src.config import Settings
from src.embedded import EmbeddedServers
from tests.databases import clone, drop, libpq, make_template
from tests.leftovers import pids_of, postmaster
from tests.live import eventually

MIB = 1024 * 1024


@dataclass(frozen=True)
class OwnServer:
    """The embedded server of a folder."""

    folder: Path
    url: str
    embedded: EmbeddedServers

    def crash(self) -> None:
        """As a power cut would end it: nothing is flushed, and every session is gone."""
        os.kill(postmaster(self.folder), signal.SIGQUIT)

    def crash_for_a_while(self) -> None:
        """The same, and nobody starts it again before `come_back`."""
        for keeper in pids_of(self.folder, "src.embedded.keeper"):
            os.kill(keeper, signal.SIGSTOP)
        self.crash()

    def come_back(self) -> None:
        for keeper in pids_of(self.folder, "src.embedded.keeper"):
            os.kill(keeper, signal.SIGCONT)
        self.await_ready()

    def await_ready(self) -> None:
        """Return when it answers; started again, as `make run` does it, if its keeper has given up."""
        self.embedded.ensure()
        eventually("PostgreSQL answers", self.answers, within=120)

    def answers(self) -> bool:
        try:
            psycopg.connect(libpq(self.url), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def own_server(folder: Path) -> Iterator[OwnServer]:
    with EmbeddedServers(folder, redis=False) as servers:
        own = OwnServer(folder, servers.database_url, servers)
        try:
            yield own
        finally:
            for keeper in pids_of(folder, "src.embedded.keeper"):
                os.kill(keeper, signal.SIGCONT)


def settings_on(server: OwnServer, settings: Settings) -> Iterator[Settings]:
    """These settings, with a migrated database on that server."""
    url = clone(make_template(server.url), "own")
    yield replace(settings, database_url=url)
    server.await_ready()
    drop(url)


class SmallDisk:
    """A file system of its own with so much room; only root may have one."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"
        folder.mkdir(exist_ok=True)
        options = f"size={size},mode=0755"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "indicators-test", str(folder)], check=True)

    @property
    def room(self) -> int:
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def fill(self, *, but: int) -> None:
        """Take all room `but` so many bytes, also while others take some."""
        with self._ballast.open("wb") as file:
            while (more := self.room - but) > 0:
                with suppress(OSError):  # what there was is gone meanwhile
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), more)

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OwnServer]:
    """A PostgreSQL that only this test uses."""
    with own_server(tmp_path / "server") as server:
        yield server


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path / "disk", 700 * MIB)
    yield disk
    disk.close()


@pytest.fixture
def server_on_small_disk(disk: SmallDisk) -> Iterator[OwnServer]:
    with own_server(disk.folder / "var") as server:
        yield server


@pytest.fixture
def own_settings(request: pytest.FixtureRequest, own_settings: Settings) -> Iterator[Settings]:
    """Those of every test; the database is on the test's own server if it asks for one."""
    name = next((name for name in request.fixturenames if name in ("server", "server_on_small_disk")), None)
    if name is None:
        yield own_settings
        return
    yield from settings_on(request.getfixturevalue(name), own_settings)

"""A backup that is taken in the middle of work, a disaster, and a restore: all that was promised before is there."""

import itertools
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from src.cli.database import create_database
from src.embedded.postgres import programs
from src.wiring import services
from tests.databases import drop, libpq
from tests.faults.books import Books, warm_up
from tests.faults.conftest import SMALL
from tests.faults.importing import LARGE, await_end, keep_importing, meet_a_copy, start_import
from tests.live import ROOT, Live


class Backup:
    """What `make backup` saves: the files linked, the database dumped, the files linked again."""

    def __init__(self, live: Live, folder: Path) -> None:
        self.store = Path(live.workshop.settings.storage_url)
        self.url = live.workshop.settings.database_url
        self.files, self.dump = folder / "files", folder / "database.dump"
        folder.mkdir()

    def take(self) -> None:
        self._link_files()
        _run(programs() / "pg_dump", "--format=custom", f"--file={self.dump}", libpq(self.url))
        self._link_files()

    def restore(self) -> None:
        """On a machine where nothing is left."""
        create_database(self.url)
        options = ["--no-owner", "--exit-on-error", "--single-transaction"]
        _run(programs() / "pg_restore", *options, f"--dbname={libpq(self.url)}", self.dump)
        shutil.copytree(self.files, self.store)

    def _link_files(self) -> None:
        _run(sys.executable, ROOT / "docker" / "link_files.py", self.store, self.files)


def _run(*command: str | Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    subprocess.run([str(part) for part in command], env=env, check=True, timeout=300)


def start(live: Live) -> None:
    """With the lease that production has: no heartbeat is late, however busy the machine is."""
    live.start_scheduler(wait=False)
    live.start_web(wait=False)
    live.start_worker()
    for one in live.programs:
        if one.is_alive:
            live.await_start(one)


def test_27_a_backup_that_was_taken_in_the_middle_of_an_import_is_restored(
    live: Live, books: Books, tmp_path: Path
) -> None:
    with services() as s:
        s.stores.adopt()
    start(live)
    caller = warm_up(live, books, [SMALL, SMALL])
    backup, numbers = Backup(live, tmp_path / "backup"), itertools.count()
    early = keep_importing(books, caller, range(100, 104), 0.0)
    promised = replace(books, uploads=dict(books.uploads), imports=dict(books.imports))
    with ThreadPoolExecutor(1) as others:
        late = others.submit(keep_importing, books, caller, range(200, 204), 1.0)
        job, _ = meet_a_copy(live, lambda: start_import(promised, caller, next(numbers), LARGE), backup.take)
        late.result(timeout=300)
    for one in live.programs:
        one.kill()
    live.workshop.database.bind.engine.dispose()
    drop(backup.url)
    shutil.rmtree(backup.store)
    backup.restore()
    running = live.job(job)
    print(f"the import is {running.state} in the backup; its worker is no more")
    assert running.state == "running"
    start(live)
    await_end(live, job, *early)
    with services() as s:
        s.stores.check()
    promised.check()

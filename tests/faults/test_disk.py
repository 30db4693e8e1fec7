"""The disk for uploads full: 507, no row, nothing left, and the next one that fits is taken."""

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.books import Books, warm_up
from tests.live import Answer, Live

ROOM = 8 * 1024 * 1024


@pytest.fixture
def small_disk(live: Live) -> Iterator[bool]:
    """A store with little room; answers whether it could be had here (root may mount one)."""
    folder = Path(live.workshop.settings.storage_url)
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "indicators-test", str(folder)]
    is_mounted = os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    yield is_mounted
    if is_mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def rows(live: Live) -> int:
    with live.workshop.database.unit_of_work() as session:
        return len(session.connection().exec_driver_sql("SELECT id FROM file").all())


def stored(live: Live) -> set[Path]:
    return {path for path in Path(live.workshop.settings.storage_url).rglob("*") if path.is_file()}


def assert_refused(live: Live, answer: Answer, before: tuple[int, set[Path]]) -> None:
    assert answer.status == 507
    assert answer.headers["content-type"] == "application/problem+json"
    assert (rows(live), stored(live)) == before


def test_17_the_disk_for_uploads_is_full(
    live: Live, books: Books, rng: random.Random, large: bytes, small: bytes, small_disk: bool
) -> None:
    print("a small file system" if small_disk else "a limit on the size of files")
    live.start_web(wait=False, under=() if small_disk else ("prlimit", f"--fsize={ROOM}"))
    live.start_scheduler(wait=False)
    live.start_worker()
    caller = warm_up(live, books, [small, small])
    books.note_baseline()
    for _ in range(3):
        before = rows(live), stored(live)
        size = rng.randrange(ROOM + 1, len(large))
        assert_refused(live, books.upload(caller, large[:size]), before)
        assert books.upload(caller, small).status == 201
    first = next(iter(books.uploads))
    assert caller.get(f"/api/v1/files/{first}/content").body == small
    books.check()


def test_17_the_disk_s_reserve_is_reached(live: Live, books: Books, rng: random.Random, small: bytes) -> None:
    live.start_web(disk_reserve_bytes=10**18)
    caller = live.caller()
    before = rows(live), stored(live)
    assert_refused(live, books.upload(caller, small), before)
    assert caller.get("/api/v1/files").status == 200
    books.check()

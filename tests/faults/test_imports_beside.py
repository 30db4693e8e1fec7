"""Imports while Redis, a lock, the connections, the disk or a web process fail them: each is done once, or refused."""

import itertools
import random
import signal
import threading
import time
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from tests.faults.books import Books, warm_up
from tests.faults.conftest import SMALL
from tests.faults.importing import (
    LARGE,
    ROWS,
    SHORT,
    await_end,
    meet_a_copy,
    note_import,
    start_import,
    visits,
)
from tests.faults.sending import Send, persistently
from tests.faults.test_database import administer
from tests.faults.test_disk import ROOM, assert_refused, rows, small_disk, stored
from tests.faults.test_edge import migrate_to_next
from tests.faults.test_web import kill_a_process
from tests.live import Caller, Live, eventually
from tests.proxy import Proxy

__all__ = ["small_disk"]
FILES = 6
ROUNDS = 4
RENAMING = [
    "ALTER FUNCTION atendimento_has_counts() RENAME TO next_has_counts",  # as `next_release` knows it
    "ALTER TABLE recipe RENAME TO next_recipe",
]
NUMBERS = itertools.count()


def several(books: Books, caller: Caller) -> list[UUID]:
    """Imports that were asked for and acknowledged."""
    return [start_import(books, caller, next(NUMBERS), 300) for _ in range(FILES)]


@pytest.mark.parametrize("fault", ["6 emptied", "7 killed", "8 full"])
def test_6_7_8_redis_is_emptied_killed_or_full_when_imports_are_asked_for(
    live: Live, books: Books, fault: str
) -> None:
    live.start_web(wait=False)
    live.start_scheduler(wait=False)
    live.start_worker()
    caller = warm_up(live, books, [SMALL, SMALL])
    books.note_baseline()
    if fault == "7 killed":
        live.redis.kill()
    elif fault == "8 full":
        live.redis.client.config_set("maxmemory", "1")
    jobs = several(books, caller)
    if fault == "6 emptied":
        live.redis.client.flushall()
    elif fault == "7 killed":
        live.redis.start()
    else:
        live.redis.client.config_set("maxmemory", "0")
    back = time.monotonic()
    eventually("all are taken", lambda: all(live.job(job).attempts for job in jobs), within=45)
    print(f"{FILES} imports were taken {time.monotonic() - back:.1f} s after")
    await_end(live, *jobs)
    assert {live.job(job).attempts for job in jobs} == {1}
    books.check()


def test_9_redis_says_nothing_while_imports_are_asked_for(live: Live, books: Books) -> None:
    with Proxy(("127.0.0.1", live.redis.port)) as proxy:
        live.redis_url = f"redis://127.0.0.1:{proxy.port}/0"
        live.start_web(wait=False)
        live.start_scheduler(wait=False)
        live.start_worker()
        caller = warm_up(live, books, [SMALL, SMALL])
        books.note_baseline()
        proxy.silence()
        jobs = several(books, caller)
        proxy.resume()
        await_end(live, *jobs)
        books.check()


def test_10_the_hint_of_an_import_is_lost_with_the_worker_that_took_it(live: Live, books: Books) -> None:
    live.start_scheduler(wait=False, **SHORT)
    live.start_web(wait=False)
    first = live.start_worker(worker_processes=1, **SHORT)
    caller = warm_up(live, books, [SMALL])
    books.note_baseline()
    first.send_all(signal.SIGSTOP)
    job = start_import(books, caller, next(NUMBERS))
    eventually("Redis gave the hint away", lambda: live.redis.client.llen("jobs") == 0, within=10)
    first.kill()
    live.start_worker(worker_processes=1, **SHORT)
    eventually("it is begun", lambda: live.job(job).attempts == 1, within=45)
    await_end(live, job)
    books.check()


def test_15_the_server_is_out_of_connections_during_an_import(live: Live, books: Books) -> None:
    live.start_web(wait=False)
    live.start_scheduler(wait=False, **SHORT)
    live.start_worker(worker_processes=1, **SHORT)
    caller = warm_up(live, books, [SMALL, SMALL])
    books.note_baseline()
    job = start_import(books, caller, next(NUMBERS), 100_000)
    live.await_state(job, "running", within=60)
    administer(live, 'ALTER DATABASE "{name}" CONNECTION LIMIT 1')
    administer(
        live,
        """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
        WHERE datname = '{name}' AND application_name LIKE 'indicators-%' AND pid <> pg_backend_pid()""",
    )
    time.sleep(5)
    administer(live, 'ALTER DATABASE "{name}" CONNECTION LIMIT -1')
    await_end(live, job)
    books.check()


def test_16_someone_else_holds_a_lock_that_an_import_needs(live: Live, books: Books) -> None:
    """It waits, longer than a request would, and is not begun again."""
    live.start_web(wait=False)
    live.start_scheduler(wait=False, **SHORT)
    live.start_worker(worker_processes=1, **SHORT)
    caller = warm_up(live, books, [SMALL, SMALL])
    books.note_baseline()
    with live.workshop.another_database().unit_of_work() as other:
        other.execute(text("LOCK TABLE atendimento IN SHARE MODE"))
        job = start_import(books, caller, next(NUMBERS))
        live.workshop.await_lock_waiters(1)
        time.sleep(3 * SHORT["lease_seconds"])
    await_end(live, job)
    assert live.job(job).attempts == 1
    books.check()


def test_17_the_disk_is_full_when_a_file_comes_with_its_import(
    live: Live, books: Books, rng: random.Random, small_disk: bool
) -> None:
    live.start_web(wait=False, under=() if small_disk else ("prlimit", f"--fsize={ROOM}"))
    live.start_scheduler(wait=False)
    live.start_worker()
    caller = warm_up(live, books, [SMALL, SMALL])
    books.note_baseline()
    before = rows(live), stored(live)
    large = visits(next(NUMBERS), 150_000)
    assert len(large) > ROOM
    assert_refused(live, send_form(caller, large)(), before)
    assert caller.get("/api/v1/imports").json["data"] == []
    job = start_import(books, caller, next(NUMBERS))
    await_end(live, job)
    books.check()


def send_form(caller: Caller, content: bytes, key: str = "once") -> Send:
    """A file with its import, as one form."""
    parts = [
        b'--cut\r\nContent-Disposition: form-data; name="dataset"\r\n\r\natendimentos\r\n',
        b'--cut\r\nContent-Disposition: form-data; name="file"; filename="v.csv"\r\n\r\n',
        content,
        b"\r\n--cut--\r\n",
    ]
    return Send(caller, "/api/v1/imports", b"".join(parts), key, "multipart/form-data; boundary=cut")


def test_23_a_web_process_is_killed_at_any_moment_of_the_start_of_an_import(
    live: Live, books: Books, rng: random.Random
) -> None:
    """Whoever comes back with the key has one file and one import, whether the first one was answered or not."""
    web = live.start_web(wait=False)
    live.start_scheduler(wait=False)
    live.start_worker()
    caller = warm_up(live, books, [SMALL, SMALL])
    jobs = []
    for _ in range(ROUNDS):
        send = send_form(caller, visits(next(NUMBERS)), f"key {rng.random()}")
        killing = threading.Timer(rng.uniform(0.0, 1.5), kill_a_process, [web])
        killing.start()
        first, tries = persistently(send, tries=60)
        killing.join()
        eventually("there is another process", live.is_web_up, within=30)
        again, _ = persistently(send, tries=60)
        assert (first.status, again.status) == (202, 202), again.body
        assert first.json == again.json
        print(f"answered at try {tries + 1}")
        jobs.append(note_import(books, first, ROWS))
    assert len(caller.get("/api/v1/imports?per_page=50").json["data"]) == ROUNDS
    await_end(live, *jobs)
    books.check()


def test_26_a_release_changes_what_old_processes_need_in_the_middle_of_an_import(
    live: Live, books: Books, tmp_path: Path
) -> None:
    """It is put back whole, and done by a worker of the new release; who asks the old web process may repeat it."""
    live.start_web(wait=False)
    live.start_scheduler(wait=False, **SHORT)
    old = live.start_worker(worker_processes=1, **SHORT)
    caller = warm_up(live, books, [SMALL])

    def release() -> None:
        migrate_to_next(live, tmp_path / "migrations", RENAMING)

    job, _ = meet_a_copy(live, lambda: start_import(books, caller, next(NUMBERS), LARGE), release)
    eventually("the old worker puts it back", lambda: live.job(job).error is not None, within=120)
    with live.workshop.database.unit_of_work() as session:
        assert session.scalar(text("SELECT count(*) FROM atendimento")) == 0
    refused = caller.get("/api/v1/recipes")
    assert (refused.status, refused.json["type"]) == (503, "/problems/other-release"), refused.body
    old.stop()
    live.start_worker(worker_processes=1, kinds="tests.faults.next_release", **SHORT)
    await_end(live, job)
    books.check()

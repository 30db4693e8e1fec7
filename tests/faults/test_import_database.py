"""Imports whose PostgreSQL crashes, is far away or has no room, and whose COMMIT gets no answer."""

import itertools
import os
import random
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from src.database import DatabaseUnavailable
from tests.factories.accounts import PASSWORD
from tests.faults.books import Books, warm_up
from tests.faults.conftest import SMALL
from tests.faults.importing import (
    LARGE,
    ROWS,
    SHORT,
    await_end,
    keep_importing,
    meet_a_copy,
    note_import,
    start_import,
    visits,
)
from tests.faults.sending import Send, persistently
from tests.faults.servers import MIB, OwnServer, SmallDisk, disk, own_settings, server, server_on_small_disk
from tests.live import Answer, Caller, Live, eventually
from tests.proxy import Distance, Proxy, socket_of, through

__all__ = ["disk", "own_settings", "server", "server_on_small_disk"]
CRASHES = 3
DOWN_SECONDS = 5
CLIENTS = 3
ROOM = 16 * MIB


def ask_for_everything(books: Books, caller: Caller, email: str, file_id: str) -> list[Answer]:
    return [
        caller.get("/api/v1/files"),
        books.upload(caller, SMALL),
        caller.log_in(email, PASSWORD),
        caller.post(
            "/api/v1/imports",
            f'{{"dataset": "atendimentos", "file_id": "{file_id}"}}'.encode(),
            Content_Type="application/json",
        ),
    ]


def test_11_postgresql_crashes_in_the_middle_of_copies(
    server: OwnServer, live: Live, books: Books, rng: random.Random
) -> None:
    live.start_scheduler(wait=False, **SHORT)
    live.start_web(wait=False)
    live.start_worker(**SHORT)
    for one in live.programs:
        live.await_start(one)
    caller = warm_up(live, books, [SMALL, SMALL])
    email = live.workshop.accounts.caller().email
    file_id = next(iter(books.uploads))
    books.note_baseline()
    jobs, refused, numbers = [], Counter[int](), itertools.count()
    with ThreadPoolExecutor(CLIENTS) as clients:
        others = [
            clients.submit(keep_importing, books, caller, range(start, start + 8), rng.random())
            for start in range(1_000, 1_000 + 100 * CLIENTS, 100)
        ]
        for _ in range(CRASHES):
            job, _ = meet_a_copy(
                live, lambda: start_import(books, caller, next(numbers), LARGE), server.crash_for_a_while
            )
            jobs.append(job)
            end = time.monotonic() + DOWN_SECONDS
            while time.monotonic() < end:
                refused.update(answer.status for answer in ask_for_everything(books, caller, email, file_id))
            server.come_back()
            eventually("requests are answered", lambda: caller.get("/api/v1/files").status == 200, within=30)
            await_end(live, job)
        jobs += [job for other in others for job in other.result(timeout=300)]
    print(f"answers while it was away: {dict(refused)}")
    assert set(refused) == {503}
    await_end(live, *jobs)
    print(f"{sum(live.job(job).attempts for job in jobs)} attempts at {len(jobs)} imports")
    books.check()


@pytest.mark.parametrize("how", ["before", "after", "unnoticed"])
def test_13_the_connection_is_cut_at_the_commit_of_an_import(live: Live, books: Books, how: str) -> None:
    """Whether it was committed is read back: it is neither lost nor done twice."""
    with Proxy(socket_of(live.workshop.settings.database_url)) as proxy:
        behind = through(proxy, live.workshop.settings.database_url)
        live.start_scheduler(wait=False, **SHORT)
        live.start_web(wait=False)
        live.start_worker(worker_processes=1, database_url=behind, **SHORT)
        for one in live.programs:
            live.await_start(one)
        caller = warm_up(live, books, [SMALL])
        books.note_baseline()
        proxy.cut_at(b"COMMIT\0", how, since=b"COPY atendimento")
        job = start_import(books, caller, 0, 20_000)
        await_end(live, job)
        assert proxy.has_cut
        print(f"cut {how}: {live.job(job).attempts} attempts")
        assert (live.job(job).attempts == 1) == (how == "after")
        books.check()


@pytest.mark.parametrize("how", ["before", "after", "unnoticed"])
def test_13_the_connection_is_cut_at_the_commit_of_a_request(
    live: Live, books: Books, rng: random.Random, how: str
) -> None:
    with Proxy(socket_of(live.workshop.settings.database_url)) as proxy:
        behind = through(proxy, live.workshop.settings.database_url)
        live.start_scheduler(wait=False, **SHORT)
        live.start_web(wait=False, database_url=behind)
        live.start_worker(worker_processes=1, **SHORT)
        for one in live.programs:
            live.await_start(one)
        caller = warm_up(live, books, [SMALL])
        books.note_baseline()
        file = books.upload(caller, visits(0))
        body = f'{{"dataset": "atendimentos", "file_id": "{file.json["id"]}"}}'.encode()
        send = Send(caller, "/api/v1/imports", body, f"key {rng.random()}", "application/json")
        proxy.cut_at(b"COMMIT\0", how, since=b"INSERT INTO import ")
        first = send()
        assert proxy.has_cut
        print(f"cut {how}: {first.status} after {first.seconds:.1f} s")
        assert first.status == (202 if how == "after" else 503)
        started, _ = persistently(send)
        assert started.status == 202
        await_end(live, note_import(books, started, ROWS))
        with live.workshop.database.unit_of_work() as session:
            assert session.connection().exec_driver_sql("SELECT count(*) FROM import").scalar() == 1
        books.check()


def test_14_postgresql_is_far_away_and_loses_packets(live: Live, books: Books, rng: random.Random) -> None:
    """Requests and imports take longer; none hangs, and every process keeps its leases and its pulse."""
    with Proxy(socket_of(live.workshop.settings.database_url)) as proxy:
        behind = through(proxy, live.workshop.settings.database_url)
        live.start_scheduler(wait=False, database_url=behind)
        live.start_web(wait=False, database_url=behind)
        live.start_worker(database_url=behind)
        for one in live.programs:
            live.await_start(one)
        caller = warm_up(live, books, [SMALL, SMALL])
        books.note_baseline()
        usual = time_an_import(live, books, caller, 0)
        proxy.distance = Distance(0.2, 0.01, rng)
        proxy.cut_all()  # what is connected from now on is far away
        far = time_an_import(live, books, caller, 1)
        with ThreadPoolExecutor(CLIENTS) as clients:
            others = [
                clients.submit(keep_importing, books, caller, range(start, start + 4), rng.random())
                for start in range(100, 100 + 100 * CLIENTS, 100)
            ]
            jobs = [job for other in others for job in other.result(timeout=300)]
        await_end(live, *jobs)
        slowest = max(live.answers, key=lambda answer: answer.seconds)
        print(f"an import took {usual:.1f} s, and {far:.1f} s from afar")
        print(f"the slowest of {len(live.answers)} answers: {slowest.request} in {slowest.seconds:.1f} s")
        proxy.distance = None
        proxy.cut_all()
        books.check()


def time_an_import(live: Live, books: Books, caller: Caller, number: int) -> float:
    began = time.monotonic()
    await_end(live, start_import(books, caller, number))
    return time.monotonic() - began


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk on Linux")
def test_18_postgresql_s_disk_is_full_in_the_middle_of_an_import(
    disk: SmallDisk, server_on_small_disk: OwnServer, live: Live, books: Books
) -> None:
    live.start_scheduler(wait=False, **SHORT)
    live.start_web(wait=False)
    worker = live.start_worker(wait=False, worker_processes=1, **SHORT)
    for one in live.programs:
        live.await_start(one)
    caller = warm_up(live, books, [SMALL])
    books.note_baseline()
    worker.send_all(signal.SIGSTOP)
    job = start_import(books, caller, 0, 100_000)
    disk.fill(but=ROOM)
    worker.send_all(signal.SIGCONT)
    eventually("an attempt fails", lambda: has_failed(live, job), within=120)
    told = [caller.get("/api/v1/files").status for _ in range(10)]
    print(f"with a full disk, a list is answered {dict(Counter(told))}")
    disk.free()
    server_on_small_disk.await_ready()
    await_end(live, job)
    print(f"done at attempt {live.job(job).attempts}")
    books.check()


def has_failed(live: Live, job: UUID) -> bool:
    """Whether an attempt came to nothing. A server that cannot even write its log ends itself."""
    try:
        found = live.job(job)
    except DatabaseUnavailable:
        print("PostgreSQL has ended itself")
        return True
    assert found.state in ("queued", "running"), found.error
    if found.error:
        print(found.error["detail"])
        assert found.error["slug"] == "database-unavailable"
    return found.error is not None or found.attempts > 1

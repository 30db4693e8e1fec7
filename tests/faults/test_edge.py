"""Crowds before the edge: slow clients hold up nobody, too many are told to come back, a release goes unnoticed."""

import itertools
import json
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from src.app import MIGRATIONS
from tests.databases import migrate
from tests.faults.books import Books, warm_up
from tests.faults.conftest import SMALL
from tests.faults.crowd import EVENTS, USERS
from tests.faults.edge import NGINX, start_edge
from tests.faults.importing import await_end, keep_importing
from tests.live import ROOT, Answer, Caller, Live, eventually, free_port

pytestmark = pytest.mark.skipif(
    NGINX is None, reason="nginx is not installed on this Linux (apt install nginx)"
)
SLOW = 1_000
ROUNDS = 3
WINDOW_SECONDS = 6
USUAL_CLIENTS = 3
TIMES = 10
FLOOD_SECONDS = 10
KEPT = 0.8
MAKE_USERS = text("INSERT INTO client (external_id) SELECT n::text FROM generate_series(1, :users) AS n")


def crowd(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "tests.faults.crowd", *map(str, arguments)]


def token_of(caller: Caller) -> str:
    return caller.headers["Authorization"].removeprefix("Bearer ")


@contextmanager
def slow_clients(live: Live, token: str, file_id: str) -> Iterator[None]:
    """A thousand of them, all under way."""
    command = crowd("slow", live.port, token, file_id, SLOW)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as slow:
        assert slow.stdout
        deadline = time.monotonic() + 240
        while (count := int(slow.stdout.readline())) < SLOW * 0.95:
            assert time.monotonic() < deadline, f"{count} slow clients"
        reader = threading.Thread(target=slow.stdout.read, daemon=True)
        reader.start()
        try:
            yield
        finally:
            slow.kill()
            reader.join()


def p99(caller: Caller) -> float:
    """Of requests that usual clients make one after the other for a while."""
    end = time.monotonic() + WINDOW_SECONDS

    def ask(_: int) -> list[float]:
        seconds = []
        while time.monotonic() < end:
            answer = caller.get("/api/v1/files")
            assert answer.status == 200, answer
            seconds.append(answer.seconds)
        return seconds

    with ThreadPoolExecutor(USUAL_CLIENTS) as clients:
        seconds = sorted(itertools.chain.from_iterable(clients.map(ask, range(USUAL_CLIENTS))))
    return seconds[int(len(seconds) * 0.99)]


def test_24_a_thousand_slow_clients_do_not_slow_down_others(
    live: Live, books: Books, rng: random.Random
) -> None:
    """Bound: twice, for the median of rounds with and without them, one after the other."""
    ports = [free_port()]
    live.start_web(wait=False, port=ports[0], rate_limits="off")
    live.start_scheduler(wait=False)
    live.start_worker(wait=False)
    start_edge(live, ports, RATE_LIMITS="off")
    caller = warm_up(live, books, [SMALL, SMALL])
    download = books.upload(caller, b"n\n" + b"%d\n" % rng.randrange(10**9) * 100_000).json["id"]
    books.note_baseline()
    ratios = []
    for _ in range(ROUNDS):
        usual = p99(caller)
        with slow_clients(live, token_of(caller), download):
            crowded = p99(caller)
        ratios.append(crowded / usual)
        print(
            f"p99 {usual * 1000:.0f} ms, with {SLOW} slow clients {crowded * 1000:.0f} ms: {ratios[-1]:.2f}×"
        )
    assert statistics.median(ratios) < 2
    books.check()


def run_crowd(*arguments: object) -> dict[str, Any]:
    done = subprocess.run(
        crowd(*arguments), cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_25_ten_times_the_load_that_can_be_carried(live: Live, books: Books, rng: random.Random) -> None:
    """Bound: four fifths of what is carried without the crowd is still carried, the rest is told when to come back."""
    ports = [free_port()]
    live.start_web(wait=False, port=ports[0], rate_limits="off")
    live.start_scheduler(wait=False)
    live.start_worker(wait=False)
    start_edge(live, ports, RATE_LIMITS="off")
    caller = warm_up(live, books, [SMALL, SMALL])
    for number in range(150):
        books.upload(caller, SMALL + b"%d,1,2026-01-01\n" % number)
    books.note_baseline()
    target = (live.port, token_of(caller), "/api/v1/files?per_page=200")
    before = run_crowd("clients", *target, 16, FLOOD_SECONDS)
    flood = run_crowd("flood", *target, TIMES * before["goodput"], FLOOD_SECONDS)
    after = run_crowd("clients", *target, 16, FLOOD_SECONDS)
    carried = min(before["goodput"], after["goodput"])
    for told in (before, flood, after):
        print(f"{told['goodput']:.0f} per second, p99 {told['p99']:.2f} s, {told['statuses']}")
    assert set(flood["statuses"]) <= {"200", "429", "503"}
    assert flood["without_retry_after"] == 0
    assert flood["goodput"] >= KEPT * carried
    books.check()


def test_25_ten_times_the_events_that_can_be_carried(live: Live, books: Books) -> None:
    """The same bound; and what was answered is there, what was refused is not."""
    ports = [free_port()]
    live.start_web(wait=False, port=ports[0], rate_limits="off", event_ordering="per_client")
    start_edge(live, ports, RATE_LIMITS="off")
    with live.workshop.database.unit_of_work() as session:
        session.execute(MAKE_USERS, {"users": USERS})
    target = (live.port, token_of(live.caller()), EVENTS)
    before = run_crowd("clients", *target, 16, FLOOD_SECONDS)
    flood = run_crowd("flood", *target, TIMES * before["goodput"], FLOOD_SECONDS)
    after = run_crowd("clients", *target, 16, FLOOD_SECONDS)
    for told in (before, flood, after):
        print(f"{told['goodput']:.0f} per second, p99 {told['p99']:.2f} s, {told['statuses']}")
    assert set(flood["statuses"]) <= {"200", "429", "503"}
    assert flood["without_retry_after"] == 0
    assert flood["goodput"] >= KEPT * min(before["goodput"], after["goodput"])
    answered = sum(told["statuses"]["200"] for told in (before, flood, after))
    with live.workshop.database.unit_of_work() as session:
        assert session.scalar(text("SELECT count(*) FROM event")) == answered
    books.check_answers()


def test_26_a_release_with_a_migration_is_rolled_out_under_load(
    live: Live, books: Books, tmp_path: Path
) -> None:
    """One web process after the other, then worker and scheduler; nobody sees more than a 503 to be repeated."""
    ports = [free_port(), free_port()]
    webs = [live.start_web(wait=False, port=port) for port in ports]
    live.start_scheduler(wait=False)
    worker = live.start_worker(wait=False)
    start_edge(live, ports, RATE_LIMITS="off")
    for one in live.programs[2:4]:
        live.await_start(one)
    caller = warm_up(live, books, [SMALL, SMALL])
    is_over, reads = threading.Event(), list[Answer]()

    def keep_reading() -> None:
        while not is_over.is_set():
            reads.append(caller.get("/api/v1/imports"))

    def keep_working(number: int) -> list[UUID]:
        jobs = []
        while not is_over.is_set():
            jobs += keep_importing(books, caller, range(number, number + 1), 0.0)
            number += 1
            is_over.wait(2)
        return jobs

    with ThreadPoolExecutor(3) as clients:
        reading = clients.submit(keep_reading)
        working = [clients.submit(keep_working, start) for start in (1_000, 2_000)]
        try:
            migrate_to_next(live, tmp_path / "migrations", ADDITIONS)
            for web, port in zip(webs, ports, strict=True):
                web.stop()
                live.start_web(wait=False, port=port)
                await_web(port)
            worker.stop()
            live.await_start(live.start_worker(wait=False))
        finally:
            is_over.set()
        reading.result(timeout=60)
        jobs = [job for one in working for job in one.result(timeout=300)]
    await_end(live, *jobs)
    print(
        f"{len(jobs)} imports; {len(live.answers)} answers: {dict(Counter(a.status for a in live.answers))}"
    )
    assert {answer.status for answer in reads} <= {200, 503}
    books.check()


def await_web(port: int) -> None:
    """Return when the server on this port answers."""

    def answers() -> bool:
        with suppress(OSError):
            return Caller(port).get("/livez", timeout=5.0).status == 200
        return False

    eventually("the new one answers", answers, within=120)


NEXT = """
from alembic import op
revision, down_revision, branch_labels, depends_on = "9999", "{head}", None, None

def upgrade():
    for change in {changes}:
        op.execute(change)
"""
ADDITIONS = [
    "ALTER TABLE file ADD COLUMN next text",
    "ALTER TABLE import ADD COLUMN next text NOT NULL DEFAULT ''",
    "CREATE INDEX ix_import_next ON import (next)",
]


def migrate_to_next(live: Live, folder: Path, changes: list[str]) -> None:
    """What the next release does to tables that are in use; the code of this one goes on."""
    shutil.copytree(MIGRATIONS, folder)
    head = max(path.name[:4] for path in folder.glob("[0-9]*.py"))
    (folder / "9999_next.py").write_text(NEXT.format(head=head, changes=changes))
    for attempt in itertools.count(1):  # a lock that is not to be had ends it; it is simply run again
        try:
            migrate(live.workshop.settings.database_url, folder=folder)
        except OperationalError:
            assert attempt < 10
        else:
            print(f"migrated at attempt {attempt}")
            return

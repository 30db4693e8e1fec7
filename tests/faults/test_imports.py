"""Imports whose workers die, freeze or come twice: no row is lost or there twice, and nothing is left over."""

import itertools
import os
import random
import signal
import time
from contextlib import suppress
from uuid import UUID

import pytest
from sqlalchemy import text

from src.queue import HintQueue
from src.wiring import services
from tests.engine.making import parts_of, workbook_bytes, zipped
from tests.faults.books import Books, warm_up
from tests.faults.conftest import SMALL
from tests.faults.importing import (
    LARGE,
    ROWS,
    SHORT,
    ask_for_import,
    await_end,
    copying_session,
    hurry,
    meet_a_copy,
    never_give_up,
    note_import,
    start_import,
    visits,
)
from tests.faults.sending import Send, persistently
from tests.faults.watching import await_next_attempt, await_reader, holders
from tests.live import Live, eventually

KILLS = 50
FILES = 12
TWINS = 50
NUMBERS = itertools.count()  # no two files have a row in common


def test_1_workers_are_killed_at_random_moments_during_imports(
    live: Live, books: Books, rng: random.Random
) -> None:
    live.start_scheduler(wait=False, **SHORT)
    live.start_web(wait=False)
    worker = live.start_worker(worker_processes=2, **SHORT)
    live.await_start(live.programs[1])
    caller = live.caller()
    jobs = [start_import(books, caller, number) for number in range(FILES)]
    never_give_up(live)
    kills = 0
    deadline = time.monotonic() + 300
    while kills < KILLS and time.monotonic() < deadline:
        hurry(live)
        at_work = holders(live, worker)
        if not at_work:
            if all(live.job(job).state == "done" for job in jobs):
                jobs.append(start_import(books, caller, len(jobs)))
                never_give_up(live)
            time.sleep(0.05)
            continue
        time.sleep(rng.random() * 1.5)
        with suppress(ProcessLookupError):
            os.kill(rng.choice(at_work), signal.SIGKILL)
            kills += 1
    assert kills == KILLS
    await_end(live, *jobs)
    print(f"{kills} kills, {sum(live.job(job).attempts for job in jobs)} attempts at {len(jobs)} imports")
    books.check()


def test_1_a_worker_dies_at_every_commit_rename_and_publish(live: Live, books: Books) -> None:
    live.start_scheduler(wait=False, **SHORT)
    live.start_web(wait=False)
    worker = live.start_worker(worker_processes=1, kinds="tests.faults.failpoints", **SHORT)
    live.await_start(live.programs[1])
    caller, fuse = live.caller(), live.folder / "fuse"
    points = 0
    while True:
        fuse.write_text(str(points))
        job = start_import(books, caller, points, 300)
        never_give_up(live)
        await_end(live, job, within=60)
        if fuse.exists():
            fuse.unlink()
            break
        points += 1
    print(f"died at {points} points")
    assert points >= 8
    assert worker.is_alive
    books.check()


@pytest.mark.parametrize(("order", "promised"), [(signal.SIGTERM, 30), (signal.SIGQUIT, 45)])
def test_4_a_worker_is_told_to_end_during_an_import(
    live: Live, books: Books, order: signal.Signals, promised: float
) -> None:
    """In the middle of its COPY, with the lease that production has: it is handed back, and done by another."""
    live.start_scheduler(wait=False)
    live.start_web(wait=False)
    first = live.start_worker(worker_processes=1)
    live.await_start(live.programs[1])
    caller = warm_up(live, books, [SMALL])
    books.note_baseline()
    job, session = meet_a_copy(
        live, lambda: start_import(books, caller, next(NUMBERS), LARGE), lambda: first.send(order)
    )
    handed_back = eventually(
        "it is handed back", lambda: live.job(job).state in ("queued", "done"), within=promised
    )
    first.wait(promised)
    print(f"{order.name}: handed back after {handed_back:.1f} s, as {live.job(job).state}")
    live.start_worker(worker_processes=1)
    live.await_state(job, "done", within=180)
    assert copying_session(live, job) != session
    last = start_import(books, caller, next(NUMBERS))
    live.await_state(last, "done", within=60)
    books.check()


def workbook_of_visits(rows: int) -> bytes:
    lines = visits(0, rows).decode().splitlines()
    return workbook_bytes({"A": [line.split(",") for line in lines]})


def test_5_the_memory_ends_while_a_workbook_is_read(live: Live, books: Books) -> None:
    """The kernel then kills the reader, which asks to be the first; a cell far out is refused at once."""
    live.start_scheduler(wait=False, **SHORT)
    live.start_web(wait=False)
    live.start_worker(worker_processes=1, **SHORT)
    live.await_start(live.programs[1])
    caller = live.caller()
    upload = books.upload(caller, workbook_of_visits(60_000), name="visits.xlsx")
    started = ask_for_import(caller, upload.json["id"])
    failing = UUID(started.json["job_id"])
    worker, holder, reader = await_reader(live, failing)
    os.kill(reader, signal.SIGKILL)
    live.await_state(failing, "failed", within=60)
    assert (live.job(failing).error or {})["slug"] == "engine-out-of-memory"
    assert live.job(failing).attempts == 1
    assert holder in worker.family()
    sound = start_import(books, caller, 0)
    live.await_state(sound, "done", within=60)
    far = b'<row r="1048576"><c r="XFD1048576"><v>5</v></c></row></sheetData>'
    parts = parts_of(workbook_of_visits(1))
    sheet = parts["xl/worksheets/sheet1.xml"].replace(b"</sheetData>", far)
    assert caller.upload(zipped({**parts, "xl/worksheets/sheet1.xml": sheet}), "far.xlsx").status == 413
    books.check(failing=[failing])


def test_2_a_whole_worker_is_killed_during_an_import(live: Live, books: Books) -> None:
    """With the lease that production has."""
    live.start_scheduler(wait=False)
    live.start_web(wait=False)
    for _ in range(2):
        live.start_worker(wait=False, worker_processes=1)
    for one in live.programs:
        live.await_start(one)
    caller = warm_up(live, books, [SMALL] * 3)
    books.note_baseline()

    def kill_the_worker() -> None:
        running = next(job for job in live.jobs() if job.state == "running")
        holder = int((running.worker or "").rpartition(":")[2])
        next(one for one in live.programs if holder in one.family()).kill()

    job, session = meet_a_copy(
        live, lambda: start_import(books, caller, next(NUMBERS), LARGE), kill_the_worker
    )
    taken_over = await_next_attempt(live, job, 1)
    print(f"taken over after {taken_over:.1f} s")
    assert copying_session(live, job) != session
    live.await_state(job, "done", within=120)
    assert live.job(job).attempts == 2
    books.check()


def test_3_a_worker_is_frozen_in_the_middle_of_an_import_s_copy_past_its_lease_and_thawed(
    live: Live, books: Books
) -> None:
    live.start_scheduler(wait=False, **SHORT)
    live.start_web(wait=False)
    first = live.start_worker(worker_processes=1, **SHORT)
    for one in live.programs:
        live.await_start(one)
    caller = warm_up(live, books, [SMALL])
    books.note_baseline()
    job, session = meet_a_copy(
        live,
        lambda: start_import(books, caller, next(NUMBERS), LARGE),
        lambda: first.send_all(signal.SIGSTOP),
    )
    live.start_worker(worker_processes=1, **SHORT)
    print(f"taken over after {await_next_attempt(live, job, 1):.1f} s, with a lease of 3 s")
    eventually("the frozen session is ended", lambda: copying_session(live, job) != session, within=5)
    live.await_state(job, "done", within=180)
    first.send_all(signal.SIGCONT)
    eventually(
        "the zombie is fenced", lambda: "another worker has the job" in first.log.read_text(), within=30
    )
    assert live.job(job).fence == 2
    last = start_import(books, caller, next(NUMBERS))
    live.await_state(last, "done", within=60)
    books.check()


def test_22_the_same_import_is_asked_for_fifty_times_at_once(
    live: Live, books: Books, rng: random.Random
) -> None:
    """With one key, it is one request; without, and the hint fifty times, it is still one effect."""
    live.start_scheduler(wait=False)
    live.start_web(wait=False, web_processes=2)
    live.start_worker()
    for one in live.programs:
        live.await_start(one)
    caller = warm_up(live, books, [SMALL, SMALL])
    books.note_baseline()
    file = books.upload(caller, visits(0))
    body = f'{{"dataset": "atendimentos", "file_id": "{file.json["id"]}"}}'.encode()
    keyed = Send(caller, "/api/v1/imports", body, f"key {rng.random()}", "application/json")
    answers = [answer for answer, _ in live.workshop.together(lambda _: persistently(keyed), TWINS)]
    assert {answer.status for answer in answers} == {202}
    assert all(answer.json == answers[0].json for answer in answers)
    job = note_import(books, answers[0], ROWS)
    hints = HintQueue(live.redis_url)
    assert all(hints.publish(job) for _ in range(TWINS))
    live.await_state(job, "done", within=60)
    again = live.workshop.together(lambda _: ask_for_import(caller, file.json["id"]), TWINS)
    assert {answer.status for answer in again} == {200}
    assert {answer.json["duplicate_of"] for answer in again} == {answers[0].json["id"]}
    assert live.job(job).attempts == 1
    eventually("every hint is taken", lambda: hints.depth() == 0, within=60)
    books.check()


def test_12_the_session_of_an_import_is_ended_again_and_again(
    live: Live, books: Books, rng: random.Random
) -> None:
    live.start_scheduler(wait=False, **SHORT)
    live.start_web(wait=False)
    live.start_worker(worker_processes=1, **SHORT)
    live.await_start(live.programs[1])
    job = start_import(books, live.caller(), 0, 100_000)
    never_give_up(live)
    ended = 0
    while ended < 5:
        hurry(live)
        live.await_state(job, "running", within=60)
        time.sleep(rng.random())
        with live.workshop.database.unit_of_work() as session:
            ended += len(
                session.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE (query LIKE '%staging%' OR query LIKE 'COPY atendimento %') "
                        "AND pid <> pg_backend_pid() AND datname = current_database()"
                    )
                ).all()
            )
        if live.job(job).state == "done":
            break
    await_end(live, job, within=120)
    print(f"ended {ended} sessions, {live.job(job).attempts} attempts")
    books.check()


def test_19_a_stored_file_is_cut_short_before_its_import(live: Live, books: Books) -> None:
    live.start_scheduler(wait=False)
    live.start_web(wait=False)
    live.await_start(live.programs[1])
    caller = live.caller()
    upload = caller.upload(visits(0))
    job = UUID(ask_for_import(caller, upload.json["id"]).json["job_id"])
    with services() as s:
        key = s.file_rows.get(UUID(upload.json["id"])).storage_key
    with live.workshop.adapters.storage.local_path(key) as path:
        os.truncate(path, path.stat().st_size // 2)
    live.start_worker(worker_processes=1)
    live.await_state(job, "failed", within=60)
    assert (live.job(job).error or {})["slug"] == "file-corrupt"
    books.check_imports()
    books.check_answers()
    assert live.workshop.adapters.storage.size(key) < len(visits(0))

"""Imports whose workers and databases die: no row is lost, none is there twice, and nothing is left over."""

import os
import random
import signal
import time
from contextlib import suppress
from uuid import UUID

from sqlalchemy import select, text

from src.models import Import
from src.wiring import services
from tests.engine.making import workbook_bytes
from tests.faults.books import Books
from tests.live import Caller, Live, Program, eventually

KILLS = 50
FILES = 12
ROWS = 4_000
SHORT = {"lease_seconds": 3, "heartbeat_seconds": 1, "rehint_seconds": 2}
HEADER = "id_atendimento,id_cliente,angel,polo,data_limite,data_de_atendimento\n"


def visits(number: int, rows: int = ROWS) -> bytes:
    """A file of rows with keys of its own, one in a hundred of them bad."""
    lines = (
        f"{number}-{row},c{row % 500},Angel {row % 40},Polo {row % 7},2021-06-{row % 30 + 1:02} 12:00,"
        + ("never" if row % 100 == 99 else "2021-06-15 10:00")
        for row in range(rows)
    )
    return (HEADER + "\n".join(lines) + "\n").encode()


def start_import(caller: Caller, content: bytes, name: str = "visits.csv") -> tuple[str, UUID]:
    """Upload and ask for it; both are acknowledged."""
    file = caller.upload(content, name)
    assert file.status == 201, file
    body = f'{{"dataset": "atendimentos", "file_id": "{file.json["id"]}"}}'.encode()
    started = caller.post("/api/v1/imports", body, Content_Type="application/json")
    assert started.status == 202, started.body
    return started.json["id"], UUID(started.json["job_id"])


def never_give_up(live: Live) -> None:
    """Let jobs die as often as the test wants."""
    with live.workshop.database.unit_of_work() as session:
        session.execute(text("UPDATE job SET max_attempts = 1000"))


def hurry(live: Live) -> None:
    """Don't wait for the pause after a failed attempt."""
    with live.workshop.database.unit_of_work() as session:
        session.execute(text("UPDATE job SET run_after = clock_timestamp() WHERE state = 'queued'"))


def await_end(live: Live, job: UUID, *, within: float) -> None:
    """Return when it is done, without the pauses after failed attempts."""

    def is_done() -> bool:
        hurry(live)
        return live.job(job).state == "done"

    eventually("it is done", is_done, within=within)


def holders(live: Live, worker: Program) -> list[int]:
    """The worker's processes that have a job in hand."""
    held = {int((job.worker or ":0").rpartition(":")[2]) for job in live.jobs() if job.state == "running"}
    return [pid for pid in worker.family() if pid in held]


def check_rows(live: Live, files: int, rows: int = ROWS) -> None:
    """I3: each file's good rows once; the rollups tell the same as the rows."""
    good = rows - rows // 100
    with services() as s:
        imports = list(s.session.scalars(select(Import)))
        counts = s.session.execute(
            text("SELECT count(*), count(DISTINCT external_id), count(DISTINCT import_id) FROM atendimento")
        ).one()
        rollup = s.session.scalars(text("SELECT sum(on_time + late + open) FROM indicator_angel")).one()
        stages = s.session.scalars(
            text("SELECT count(*) FROM pg_class WHERE relname IN ('staging', 'fault')")
        ).one()
    assert [(one.rows_read, one.inserted, one.rejected) for one in imports] == [
        (rows, good, rows // 100)
    ] * files
    assert tuple(counts) == (good * files, good * files, files)
    assert (rollup, stages) == (good * files, 0)


def test_1_workers_are_killed_at_random_moments_during_imports(
    live: Live, books: Books, rng: random.Random
) -> None:
    live.start_scheduler(wait=False, **SHORT)
    live.start_web(wait=False)
    worker = live.start_worker(worker_processes=2, **SHORT)
    live.await_start(live.programs[1])
    caller = live.caller()
    jobs = [start_import(caller, visits(number))[1] for number in range(FILES)]
    never_give_up(live)
    kills = 0
    deadline = time.monotonic() + 300
    while kills < KILLS and time.monotonic() < deadline:
        hurry(live)
        at_work = holders(live, worker)
        if not at_work:
            if all(live.job(job).state == "done" for job in jobs):
                jobs.append(start_import(caller, visits(len(jobs)))[1])
                never_give_up(live)
            time.sleep(0.05)
            continue
        time.sleep(rng.random() * 1.5)
        with suppress(ProcessLookupError):
            os.kill(rng.choice(at_work), signal.SIGKILL)
            kills += 1
    assert kills == KILLS
    for job in jobs:
        await_end(live, job, within=60)
    print(f"{kills} kills, {sum(live.job(job).attempts for job in jobs)} attempts at {len(jobs)} imports")
    check_rows(live, len(jobs))
    books.check_nothing_left()


def test_1_a_worker_dies_at_every_commit_rename_and_publish(live: Live, books: Books) -> None:
    live.start_scheduler(wait=False, **SHORT)
    live.start_web(wait=False)
    worker = live.start_worker(worker_processes=1, kinds="tests.faults.failpoints", **SHORT)
    live.await_start(live.programs[1])
    caller, fuse = live.caller(), live.folder / "fuse"
    points = 0
    while True:
        fuse.write_text(str(points))
        _, job = start_import(caller, visits(points, 300))
        never_give_up(live)
        await_end(live, job, within=60)
        if fuse.exists():
            fuse.unlink()
            break
        points += 1
    print(f"died at {points} points")
    assert points >= 8
    assert worker.is_alive
    check_rows(live, points + 1, 300)
    books.check_nothing_left()


def test_4_a_worker_is_told_to_end_during_an_import(live: Live, books: Books) -> None:
    live.start_scheduler(wait=False, **SHORT)
    live.start_web(wait=False)
    first = live.start_worker(worker_processes=1, **SHORT)
    live.await_start(live.programs[1])
    _, job = start_import(live.caller(), visits(0, 200_000))
    live.await_state(job, "running", within=60)
    first.send(signal.SIGTERM)
    eventually("it is handed back", lambda: live.job(job).state in ("queued", "done"), within=30)
    live.start_worker(worker_processes=1, **SHORT)
    live.await_state(job, "done", within=120)
    check_rows(live, 1, 200_000)
    books.check_nothing_left()


def test_5_a_workbook_that_asks_for_too_much_memory_fails_alone(live: Live, books: Books) -> None:
    live.start_scheduler(wait=False)
    live.start_web(wait=False)
    live.start_worker(worker_processes=1)
    live.await_start(live.programs[1])
    caller = live.caller()
    names = HEADER.strip().split(",")
    wide = [[f"{n}", "c1", "x" * 30_000, "Sul", "2021-06-30", ""] for n in range(20)]
    _, failing = start_import(caller, workbook_bytes({"A": [names, *wide]}), "wide.xlsx")
    _, sound = start_import(caller, visits(0))
    live.await_state(failing, "done", "failed", within=120)
    live.await_state(sound, "done", within=60)
    assert live.job(failing).error is None or "engine" in live.job(failing).error["slug"]
    books.check_nothing_left()


def test_12_the_session_of_an_import_is_ended_again_and_again(
    live: Live, books: Books, rng: random.Random
) -> None:
    live.start_scheduler(wait=False, **SHORT)
    live.start_web(wait=False)
    live.start_worker(worker_processes=1, **SHORT)
    live.await_start(live.programs[1])
    _, job = start_import(live.caller(), visits(0, 100_000))
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
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%staging%' "
                        "AND pid <> pg_backend_pid() AND datname = current_database()"
                    )
                ).all()
            )
        if live.job(job).state == "done":
            break
    await_end(live, job, within=120)
    print(f"ended {ended} sessions, {live.job(job).attempts} attempts")
    check_rows(live, 1, 100_000)
    books.check_nothing_left()


def test_19_a_stored_file_is_cut_short_before_its_import(live: Live, books: Books) -> None:
    live.start_scheduler(wait=False)
    live.start_web(wait=False)
    live.await_start(live.programs[1])
    import_id, job = start_import(live.caller(), visits(0))
    with services() as s:
        imported = s.import_rows.get_own(UUID(import_id), None)
        key = s.file_rows.get(imported.file_id).storage_key
    with live.workshop.adapters.storage.local_path(key) as path:
        os.truncate(path, path.stat().st_size // 2)
    live.start_worker(worker_processes=1)
    live.await_state(job, "failed", within=60)
    assert (live.job(job).error or {})["slug"] == "file-corrupt"
    with services() as s:
        assert s.session.scalars(text("SELECT count(*) FROM atendimento")).one() == 0
    assert live.workshop.adapters.storage.size(key) < len(visits(0))

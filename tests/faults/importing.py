"""Imports as the work of fault runs: files of rows, their start, and a look into the middle of one."""

import time
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from sqlalchemy import text

from src.database import DatabaseUnavailable
from tests.faults.books import Books
from tests.faults.sending import Send, persistently
from tests.live import Answer, Caller, Live, eventually

ROWS = 4_000
LARGE = 400_000  # its COPY takes long enough to be met in the middle
BAD = 100  # one row in so many is refused
SHORT = {"lease_seconds": 3, "heartbeat_seconds": 1, "rehint_seconds": 2}
HEADER = "id_atendimento,id_cliente,angel,polo,data_limite,data_de_atendimento\n"
COPYING = text("""SELECT a.pid FROM pg_stat_activity a JOIN job ON job.session_pid = a.pid
    WHERE job.id = :job AND a.query LIKE 'COPY %' AND a.state = 'active'""")


def visits(number: int, rows: int = ROWS) -> bytes:
    """A file of rows with keys of its own, one in a hundred of them bad."""
    lines = (
        f"{number}-{row},c{row % 500},Angel {row % 40},Polo {row % 7},2021-06-{row % 30 + 1:02} 12:00,"
        + ("never" if row % 100 == 99 else "2021-06-15 10:00")
        for row in range(rows)
    )
    return (HEADER + "\n".join(lines) + "\n").encode()


def start_import(
    books: Books, caller: Caller, number: int, rows: int = ROWS, *, name: str = "visits.csv"
) -> UUID:
    """Upload a file of visits and have it imported; both are acknowledged. Answers the job."""
    file = books.upload(caller, visits(number, rows), name=name)
    assert file.status == 201, file
    started = ask_for_import(caller, file.json["id"])
    assert started.status == 202, started.body
    return note_import(books, started, rows)


def ask_for_import(caller: Caller, file_id: str, **headers: str) -> Answer:
    body = f'{{"dataset": "atendimentos", "file_id": "{file_id}"}}'.encode()
    return caller.post("/api/v1/imports", body, Content_Type="application/json", **headers)


def note_import(books: Books, started: Answer, rows: int) -> UUID:
    """Put an import that was acknowledged into the books, with what is to come of it."""
    books.imports[UUID(started.json["id"])] = rows, rows - rows // BAD
    return UUID(started.json["job_id"])


def keep_importing(books: Books, caller: Caller, numbers: range, seed: float) -> list[UUID]:
    """Upload and import small files, coming back with the same key when that is asked for."""
    jobs = []
    for number in numbers:
        content, key = visits(number, 300), f"key {number} {seed}"
        file, _ = persistently(Send(caller, "/api/v1/files?filename=v.csv", content, key), tries=60)
        assert file.status == 201, file
        books.uploads[file.json["id"]] = file.json["sha256"]
        body = f'{{"dataset": "atendimentos", "file_id": "{file.json["id"]}"}}'.encode()
        send = Send(caller, "/api/v1/imports", body, f"start {key}", "application/json")
        started, _ = persistently(send, tries=60)
        assert started.status == 202, started
        jobs.append(note_import(books, started, 300))
    return jobs


def never_give_up(live: Live) -> None:
    """Let jobs die as often as the test wants."""
    with live.workshop.database.unit_of_work() as session:
        session.execute(text("UPDATE job SET max_attempts = 1000"))


def hurry(live: Live) -> None:
    """Don't wait for the pause after a failed attempt."""
    with live.workshop.database.unit_of_work() as session:
        session.execute(text("UPDATE job SET run_after = clock_timestamp() WHERE state = 'queued'"))


def await_end(live: Live, *jobs: UUID, within: float = 180) -> None:
    """Return when they are done, without the pauses after failed attempts."""

    def are_done() -> bool:
        with suppress(DatabaseUnavailable):  # it may be restarting
            hurry(live)
            return all(live.job(job).state == "done" for job in jobs)
        return False

    eventually("the imports are done", are_done, within=within)


def copying_session(live: Live, job: UUID) -> int | None:
    """The database session that is in the middle of the import's COPY."""
    with live.workshop.database.unit_of_work() as session:
        return session.scalars(COPYING, {"job": job}).first()


def meet_a_copy(live: Live, begin: Callable[[], UUID], act: Callable[[], None]) -> tuple[UUID, int]:
    """Begin imports until `act` was done in the middle of the COPY of one: its job and its session."""
    for _ in range(10):
        job = begin()
        while not (session := copying_session(live, job)):
            assert live.job(job).state in ("queued", "running", "done")
            if live.job(job).state == "done":
                break
            time.sleep(0.01)
        else:
            act()
            return job, session
    raise AssertionError("every COPY was over before it could be met")

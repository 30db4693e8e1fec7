"""Operations and reports whose worker, memory, disk or files end: one whole result, or none and a reason."""

import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from tests.engine.making import workbook_bytes
from tests.faults.books import Books, warm_up
from tests.faults.conftest import SMALL
from tests.faults.importing import SHORT, await_end
from tests.faults.making import (
    Ask,
    ask_for_operation,
    ask_for_report,
    cut_short,
    job_of,
    report_of,
    upload_both,
)
from tests.faults.servers import SmallDisk
from tests.faults.watching import await_next_attempt, await_reader
from tests.live import Live, eventually

MIB = 1024 * 1024
TABLE = 8 * MIB
ROOM = 64 * MIB
LITTLE = 2 * MIB  # less than what is made of the table
BALLAST = "ballast"
both = pytest.mark.parametrize("ask", [ask_for_operation, ask_for_report])


def start(live: Live, *, workers: int = 1, **settings: int) -> None:
    live.start_scheduler(wait=False, **settings)
    live.start_web(wait=False)
    for _ in range(workers):
        live.start_worker(wait=False, worker_processes=1, **settings)
    for one in live.programs:
        live.await_start(one)


def refused(live: Live, job_id: UUID) -> str:
    """Why the job failed, at its first attempt."""
    live.await_state(job_id, "failed", within=60)
    job = live.job(job_id)
    assert job.attempts == 1
    return str((job.error or {})["slug"])


def stored(live: Live) -> set[Path]:
    """What lies in the store, also what is not finished."""
    found = Path(live.workshop.settings.storage_url).rglob("*")
    return {path for path in found if path.is_file() and path.name != BALLAST}


def test_2_a_whole_worker_is_killed_during_a_report(live: Live, books: Books, large: bytes) -> None:
    """With the lease that production has; what is made in the end has the bytes of an undisturbed report."""
    start(live, workers=2)
    caller = warm_up(live, books, [SMALL] * 3)
    undisturbed = ask_for_report(caller, upload_both(books, caller, large))
    live.await_state(job_of(undisturbed), "done", within=120)
    books.note_baseline()
    again = caller.post(f"/api/v1/reports/{undisturbed.json['id']}/rerun")
    job_id = job_of(again)
    worker, _, reader = await_reader(live, job_id)
    worker.kill()
    taken_over = await_next_attempt(live, job_id, 1)
    print(f"taken over after {taken_over:.1f} s")
    assert not Path(f"/proc/{reader}").exists()
    live.await_state(job_id, "done", within=120)
    assert live.job(job_id).attempts == 2
    assert report_of(caller, again) == report_of(caller, undisturbed)
    books.check()


def let_the_kernel_end_it(reader: int) -> None:
    os.kill(reader, signal.SIGKILL)


def leave_it_no_more(reader: int) -> None:
    """Its bound lies below what it has: the next piece of memory that it asks for is refused."""
    resource.prlimit(reader, resource.RLIMIT_DATA, (MIB, MIB))


@pytest.mark.parametrize("end_memory", [let_the_kernel_end_it, leave_it_no_more])
def test_5_the_memory_ends_while_an_operation_reads_a_workbook(
    live: Live, books: Books, end_memory: Callable[[int], None]
) -> None:
    start(live, **SHORT)
    caller = live.caller()
    cells = [["name", "amount"], *([f"name {row}", str(row)] for row in range(100_000))]
    upload = books.upload(caller, workbook_bytes({"A": cells}), name="amounts.xlsx")
    failing = job_of(ask_for_operation(caller, (upload.json["id"], "")))
    worker, holder, reader = await_reader(live, failing)
    end_memory(reader)
    assert refused(live, failing) == "engine-out-of-memory"
    assert holder in worker.family()
    sound = job_of(ask_for_operation(caller, upload_both(books, caller, SMALL)))
    live.await_state(sound, "done", within=60)
    assert int((live.job(sound).worker or "").rpartition(":")[2]) == holder
    books.check(failing=[failing])


@pytest.fixture(params=["store", "scratch"])
def disk(request: pytest.FixtureRequest, live: Live) -> Iterator[SmallDisk]:
    """Where results are kept, or where they are made, with room of its own."""
    settings = live.workshop.settings
    folders = {"store": Path(settings.storage_url), "scratch": settings.var_dir / "scratch"}
    folders[request.param].mkdir(parents=True, exist_ok=True)
    disk = SmallDisk(folders[request.param], ROOM)
    yield disk
    disk.close()


@both
def test_17_there_is_no_room_for_a_result(
    live: Live, books: Books, large: bytes, disk: SmallDisk, ask: Ask
) -> None:
    """It is tried again, and done once there is; meanwhile no row and no file tell of it."""
    start(live, **SHORT)
    caller = live.caller()
    table = large[: large.index(b"\n", TABLE) + 1]
    files = upload_both(books, caller, table)
    for file_id in files:
        profiling = caller.post(f"/api/v1/files/{file_id}/profile")
        live.await_state(profiling.json["id"], "done", within=60)
    disk.fill(but=LITTLE)
    before = stored(live)
    job_id = job_of(ask(caller, files))
    eventually("it is tried, and put back", lambda: live.job(job_id).error is not None, within=60)
    job = live.job(job_id)
    assert job.error is not None
    print(job.error["slug"])
    assert (job.state, job.error["slug"] in ("storage-full", "engine-disk-full")) == ("queued", True)
    assert stored(live) == before
    books.check_produced()
    assert {path.name for path in (live.workshop.settings.var_dir / "scratch").glob("*")} <= {BALLAST}
    disk.free()
    await_end(live, job_id, within=60)
    books.check()


@both
@pytest.mark.parametrize("which", [0, 1])
def test_19_a_stored_file_is_cut_short_before_it_is_read(
    live: Live, books: Books, large: bytes, ask: Ask, which: int
) -> None:
    """The table, or the reference; whoever reads only the other one is not disturbed by it."""
    live.start_scheduler(wait=False)
    live.start_web(wait=False)
    live.await_start(live.programs[1])
    caller = live.caller()
    files = upload_both(books, caller, large[: large.index(b"\n", MIB) + 1])
    job_id = job_of(ask(caller, files))
    cut_short(live, files[which])
    live.start_worker(worker_processes=1)
    if ask is ask_for_operation and which == 1:
        live.await_state(job_id, "done", within=60)
    else:
        assert refused(live, job_id) == "file-corrupt"
    books.check_produced()
    books.check_answers()

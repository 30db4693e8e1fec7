"""Operations and reports whose workers die, freeze or are told to end: made again, once, and with the same bytes."""

import signal
from pathlib import Path

import pytest

from tests.faults.books import Books, warm_up
from tests.faults.conftest import SMALL
from tests.faults.importing import SHORT, await_end, never_give_up
from tests.faults.making import (
    Ask,
    ask_for_operation,
    ask_for_report,
    job_of,
    made_by,
    upload_both,
)
from tests.faults.watching import await_next_attempt, await_reader
from tests.live import Live, eventually

both = pytest.mark.parametrize("ask", [ask_for_operation, ask_for_report])
POINTS = 6  # at least: two commits, each from both sides, and one file that gets its name


def start(live: Live, **settings: int) -> None:
    live.start_scheduler(wait=False, **settings)
    live.start_web(wait=False)
    live.start_worker(wait=False, worker_processes=1, **settings)
    for one in live.programs:
        live.await_start(one)


@both
def test_1_a_worker_dies_at_every_commit_rename_and_publish_of_what_it_makes(
    live: Live, books: Books, ask: Ask
) -> None:
    live.start_scheduler(wait=False, **SHORT)
    live.start_web(wait=False)
    worker = live.start_worker(worker_processes=1, kinds="tests.faults.failpoints", **SHORT)
    live.await_start(live.programs[1])
    caller, fuse = live.caller(), live.folder / "fuse"
    files = upload_both(books, caller, SMALL)
    made, points = set[bytes](), 0
    while True:
        fuse.write_text(str(points))
        asked = ask(caller, files)
        never_give_up(live)
        await_end(live, job_of(asked), within=60)
        made.add(made_by(live, caller, asked))
        if fuse.exists():
            fuse.unlink()
            break
        points += 1
    print(f"died at {points} points")
    assert points >= POINTS
    assert len(made) == 1
    assert worker.is_alive
    books.check()


@both
def test_3_a_worker_is_frozen_while_it_makes_something_past_its_lease_and_thawed(
    live: Live, books: Books, large: bytes, ask: Ask
) -> None:
    """What the first one goes on making when it wakes up is kept by nobody."""
    start(live, **SHORT)
    first = live.programs[-1]
    caller = warm_up(live, books, [SMALL])
    files = upload_both(books, caller, large)
    undisturbed = ask(caller, files)
    await_end(live, job_of(undisturbed), within=120)
    books.note_baseline()
    asked = ask(caller, files)
    job_id = job_of(asked)
    await_reader(live, job_id)
    first.send_all(signal.SIGSTOP)
    live.start_worker(worker_processes=1, **SHORT)
    print(f"taken over after {await_next_attempt(live, job_id, 1):.1f} s, with a lease of 3 s")
    live.await_state(job_id, "done", within=120)
    first.send_all(signal.SIGCONT)
    eventually(
        "the zombie is fenced", lambda: "another worker has the job" in first.log.read_text(), within=60
    )
    assert live.job(job_id).fence == 2
    assert made_by(live, caller, asked) == made_by(live, caller, undisturbed)
    books.check()


@both
@pytest.mark.parametrize(("order", "promised"), [(signal.SIGTERM, 30), (signal.SIGQUIT, 45)])
def test_4_a_worker_is_told_to_end_while_it_makes_something(
    live: Live, books: Books, large: bytes, ask: Ask, order: signal.Signals, promised: float
) -> None:
    """With the lease that production has; no attempt is counted, and the child ends with its worker."""
    start(live)
    caller = warm_up(live, books, [SMALL])
    books.note_baseline()
    asked = ask(caller, upload_both(books, caller, large))
    job_id = job_of(asked)
    worker, _, reader = await_reader(live, job_id)
    worker.send(order)
    handed_back = eventually(
        "the job is handed back", lambda: live.job(job_id).state == "queued", within=promised
    )
    worker.wait(promised)
    print(f"{order.name}: handed back after {handed_back:.1f} s")
    assert not Path(f"/proc/{reader}").exists()
    assert (live.job(job_id).attempts, live.job(job_id).error) == (0, None)
    books.check_produced()
    live.start_worker(worker_processes=1)
    live.await_state(job_id, "done", within=120)
    assert made_by(live, caller, asked)
    books.check()

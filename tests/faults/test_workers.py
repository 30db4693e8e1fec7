"""Workers that are killed, frozen or told to end: their jobs are taken over, and done once."""

import os
import random
import signal
import time
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from tests.faults.books import Books, warm_up
from tests.faults.watching import TAKEN_OVER, await_next_attempt, await_reader
from tests.live import KINDS, Caller, Live, eventually

SHORT = {"lease_seconds": 6, "heartbeat_seconds": 2, "rehint_seconds": 5}


def start_profile(books: Books, caller: Caller, content: bytes) -> UUID:
    """Upload and ask for a profile; both are acknowledged."""
    upload = books.upload(caller, content)
    assert upload.status == 201, upload
    job = caller.post(f"/api/v1/files/{upload.json['id']}/profile")
    assert job.status == 202, job
    return UUID(job.json["id"])


def test_1_a_worker_s_child_is_killed(
    live: Live, books: Books, rng: random.Random, large: bytes, small: bytes
) -> None:
    """With the lease that production has."""
    live.start_scheduler(wait=False)
    live.start_web(wait=False)
    live.start_worker()
    caller = warm_up(live, books, [small, small])
    books.note_baseline()
    job_id = start_profile(books, caller, large)
    _, holder, reader = await_reader(live, job_id)
    os.kill(holder, signal.SIGKILL)
    taken_over = await_next_attempt(live, job_id, 1)
    print(f"taken over after {taken_over:.1f} s")
    assert not Path(f"/proc/{reader}").exists()
    live.await_state(job_id, "done", within=120)
    assert live.job(job_id).attempts == 2
    books.check()


def test_2_a_whole_worker_is_killed(
    live: Live, books: Books, rng: random.Random, large: bytes, small: bytes
) -> None:
    live.start_scheduler(wait=False, **SHORT)
    live.start_web(wait=False)
    for _ in range(2):
        live.start_worker(wait=False, worker_processes=1, **SHORT)
    for one in live.programs:
        live.await_start(one)
    caller = warm_up(live, books, [small] * 3)
    books.note_baseline()
    job_id = start_profile(books, caller, large)
    worker, _, reader = await_reader(live, job_id)
    worker.kill()
    taken_over = await_next_attempt(live, job_id, 1)
    print(f"taken over after {taken_over:.1f} s, with a lease of 6 s")
    assert taken_over <= TAKEN_OVER - 24
    assert not Path(f"/proc/{reader}").exists()
    live.await_state(job_id, "done", within=120)
    assert live.job(job_id).attempts == 2
    books.check()


def copying_session(live: Live) -> int | None:
    """The database session that is in the middle of the COPY."""
    asked = text("SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY ledger%' AND state = 'active'")
    with live.workshop.database.unit_of_work() as session:
        return session.scalars(asked).first()


def test_3_a_worker_is_frozen_in_the_middle_of_a_copy_past_its_lease_and_thawed(
    live: Live, books: Books, rng: random.Random, small: bytes
) -> None:
    """With the lease that production has."""
    live.start_scheduler(wait=False)
    live.start_web(wait=False)
    first = live.start_worker(kinds=KINDS, worker_processes=1)
    warm_up(live, books, [small])
    books.note_baseline()
    job = live.workshop.jobs.add(kind="copy", args={"lines": rng.randrange(10_000, 50_000), "pause": 3})
    eventually("the COPY is under way", lambda: copying_session(live), within=60)
    session = copying_session(live)
    first.send_all(signal.SIGSTOP)
    live.start_worker(kinds=KINDS, worker_processes=1)
    taken_over = await_next_attempt(live, job.id, 1)
    print(f"taken over after {taken_over:.1f} s")
    eventually("the frozen session is ended", lambda: copying_session(live) != session, within=5)
    live.await_state(job.id, "done", within=60)
    first.send_all(signal.SIGCONT)
    eventually(
        "the zombie is fenced", lambda: "another worker has the job" in first.log.read_text(), within=30
    )
    assert live.job(job.id).fence == 2
    after = [live.workshop.jobs.add(kind="copy", args={"lines": 100}) for _ in range(6)]
    for one in after:
        live.await_state(one.id, "done", within=60)
    books.check()


def test_4_a_worker_is_told_to_end(
    live: Live, books: Books, rng: random.Random, large: bytes, small: bytes
) -> None:
    live.start_scheduler(wait=False)
    live.start_web(wait=False)
    live.start_worker(worker_processes=1)
    caller = warm_up(live, books, [small])
    books.note_baseline()
    job_id = start_profile(books, caller, large)
    for fence, (number, promised) in enumerate([(signal.SIGTERM, 30.0), (signal.SIGQUIT, 45.0)], start=1):
        worker, _, reader = await_reader(live, job_id)
        worker.send(number)
        handed_back = eventually(
            "the job is handed back", lambda: live.job(job_id).state == "queued", within=promised
        )
        worker.wait(promised)
        print(f"{number.name}: handed back after {handed_back:.1f} s")
        assert not Path(f"/proc/{reader}").exists()
        back = live.job(job_id)
        assert (back.fence, back.attempts, back.error) == (fence, 0, None)
        live.start_worker(worker_processes=1)
    live.await_state(job_id, "done", within=120)
    assert live.job(job_id).attempts == 1
    books.check()


def test_10_a_hint_is_lost_between_redis_and_a_worker(
    live: Live, books: Books, rng: random.Random, small: bytes
) -> None:
    live.start_scheduler(wait=False, **SHORT)
    live.start_web(wait=False)
    first = live.start_worker(worker_processes=1, **SHORT)
    caller = warm_up(live, books, [small])
    books.note_baseline()
    first.send_all(signal.SIGSTOP)
    asked = time.monotonic()
    job_id = start_profile(books, caller, small)
    eventually(
        "Redis gave the hint to the frozen worker", lambda: live.redis.client.llen("jobs") == 0, within=10
    )
    first.kill()
    live.start_worker(worker_processes=1, **SHORT)
    eventually("the job is begun", lambda: live.job(job_id).attempts == 1, within=TAKEN_OVER)
    job = live.job(job_id)
    assert job.hinted_at is not None
    print(
        f"asked for, lost, hinted at again and begun within {time.monotonic() - asked:.1f} s, with repetition after 5 s"
    )
    assert time.monotonic() - asked <= TAKEN_OVER
    assert job.hinted_at > job.created_at + timedelta(seconds=SHORT["rehint_seconds"] - 1)
    books.check()

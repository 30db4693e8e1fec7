"""The clock of the application's machine an hour off: leases, due times and what was promised hold."""

import base64
import random
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from tests.factories.accounts import PASSWORD
from tests.faults.books import Books
from tests.faults.importing import start_import
from tests.live import KINDS, Caller, Live, Program, eventually

CLOCK = Path(__file__).parent / "clock"
LEASE = {"lease_seconds": 6, "heartbeat_seconds": 2, "rehint_seconds": 5}


def off_by(seconds: int) -> dict[str, Any]:
    return {"clock_offset": seconds, "pythonpath": str(CLOCK)} | LEASE


def log_in(live: Live) -> Caller:
    """Over HTTP, by the clock of the web server."""
    email = live.workshop.accounts.caller().email
    caller = Caller(live.port, {}, live.answers)
    answer = caller.log_in(email, PASSWORD)
    caller.headers["Authorization"] = f"Bearer {answer.json['access']}"
    return caller


@pytest.mark.parametrize("offset", [3600, -3600])
def test_20_the_clock_is_an_hour_off(
    live: Live, books: Books, rng: random.Random, small: bytes, offset: int
) -> None:
    """Beside a worker and a scheduler on a machine whose clock is right."""
    live.start_web(wait=False, **off_by(offset))
    for settings in (off_by(offset), LEASE):
        live.start_scheduler(wait=False, **settings)
        live.start_worker(wait=False, kinds=KINDS, worker_processes=1, **settings)
    for one in live.programs:
        live.await_start(one)
    caller = log_in(live)
    assert_clock_is_off(caller, offset)
    upload = books.upload(caller, small)
    profile = caller.post(f"/api/v1/files/{upload.json['id']}/profile")
    live.await_state(profile.json["id"], "done", within=60)
    live.await_state(start_import(books, caller, offset), "done", within=60)
    jobs = [live.workshop.jobs.add(kind="wait", args={"seconds": 15}).id for _ in range(2)]
    for job_id in jobs:
        live.await_state(job_id, "running", within=30)
    holders = {job_id: int((live.job(job_id).worker or "").rpartition(":")[2]) for job_id in jobs}
    assert len(set(holders.values())) == 2
    assert_leases_are_short(live, jobs)
    for job_id in jobs:
        live.await_state(job_id, "done", within=60)
        assert live.job(job_id).attempts == 1, "nobody took it for a job of the dead"
    workers = [one for one in live.programs if one.name.startswith("worker")]
    kill_one_under_work(live, *(workers if offset > 0 else reversed(workers)))
    books.check()


def assert_clock_is_off(caller: Caller, offset: int) -> None:
    """The web server's answers carry its time."""
    token = caller.headers["Authorization"].removeprefix("Bearer ").split(".")[1]
    issued = orjson.loads(base64.urlsafe_b64decode(token + "=="))["iat"]
    assert abs(issued - datetime.now(UTC).timestamp() - offset) < 60


def assert_leases_are_short(live: Live, jobs: list[UUID]) -> None:
    with live.workshop.database.unit_of_work() as session:
        found = session.connection().exec_driver_sql(
            "SELECT id, extract(epoch FROM lease_until - clock_timestamp()) FROM job WHERE state = 'running'"
        )
        left = {id_: float(seconds) for id_, seconds in found}
    assert all(0 < left[job_id] <= LEASE["lease_seconds"] for job_id in jobs), left


def kill_one_under_work(live: Live, doomed: Program, other: Program) -> None:
    """One of the two clocks is right; the other one decides nothing about who takes over, or when."""
    job = live.workshop.jobs.add(kind="wait", args={"seconds": 4})
    other.send_all(signal.SIGSTOP)
    live.await_state(job.id, "running", within=45)
    doomed.kill()
    other.send_all(signal.SIGCONT)
    taken_over = eventually("it is taken over", lambda: live.job(job.id).fence > 1, within=21)
    print(f"taken over after {taken_over:.1f} s, with a lease of 6 s")
    live.await_state(job.id, "done", within=30)

"""The worker as it runs in production: a real Celery worker takes hints from a real Redis."""

import signal

from src.queue import HintQueue
from tests.committing import own_settings, workshop
from tests.engine.processes import children_of, is_alive
from tests.faults.tables import make_tables
from tests.live import KINDS, Live, Program, eventually, live

__all__ = ["live", "own_settings", "workshop"]

CHILDREN = 2  # of each process of a worker, ready for the next job
LINES = b"name,amount,day\n" + b"Ana,10.50,2026-01-31\nRui,20,2026-02-28\n" * 50


def test_a_profile_is_made_from_upload_to_answer_and_the_worker_leaves_in_good_order(live: Live) -> None:
    worker = live.start_worker()
    file = live.workshop.files.add(content=LINES)
    job = live.workshop.jobs.add(kind="profile", args={"file_id": str(file.id)}, owner_id=file.owner_id)
    assert HintQueue(live.redis_url).publish(job.id)
    live.await_state(job.id, "done", within=60)
    done = live.job(job.id)
    assert done.result is not None
    assert done.result["rows"] == 100
    assert done.worker is not None
    assert int(done.worker.rpartition(":")[2]) in worker.children()
    waiting = children_ready(worker)
    worker.stop()
    assert worker.wait() == 0
    assert not any(map(is_alive, waiting))
    assert not live.is_known(worker)
    assert live.sessions() == 0


def test_a_worker_that_is_told_to_end_hands_its_job_to_another(live: Live) -> None:
    make_tables(live.workshop.database)
    hints = HintQueue(live.redis_url)
    first = live.start_worker(kinds=KINDS, worker_processes=1)
    job = live.workshop.jobs.add(kind="wait", args={"seconds": 600})
    hints.publish(job.id)
    live.await_state(job.id, "running", within=20)
    first.stop(signal.SIGTERM)
    back = live.job(job.id)
    assert (back.state, back.attempts, back.error) == ("queued", 0, None)
    live.start_worker(kinds=KINDS, worker_processes=1)
    hints.publish(job.id)
    live.await_state(job.id, "running", within=20)
    assert live.job(job.id).fence == 2


def test_a_duplicate_hint_and_one_for_a_job_that_is_gone_leave_the_worker_as_it_was(live: Live) -> None:
    worker = live.start_worker()
    over, waiting = live.workshop.jobs.add_over(), live.workshop.jobs.add(kind="housekeeping")
    hints = HintQueue(live.redis_url)
    for job_id in (over.id, waiting.owner_id or over.id, waiting.id, waiting.id):
        hints.publish(job_id)
    live.await_state(waiting.id, "done", within=30)
    assert live.job(waiting.id).attempts == 1
    assert live.job(over.id).attempts == 1
    eventually("all hints are taken", lambda: hints.depth() == 0, within=10)
    assert worker.is_alive
    assert "Traceback" not in worker.log.read_text()


def children_ready(worker: Program) -> list[int]:
    """Those of the engine that wait in each of its processes."""
    by_process = {pid: children_of(pid) for pid in worker.children()}

    def are_there() -> bool:
        by_process.update((pid, children_of(pid)) for pid in by_process)
        return all(len(waiting) == CHILDREN for waiting in by_process.values())

    eventually("children wait for jobs", are_there, within=30)
    return [child for waiting in by_process.values() for child in waiting]

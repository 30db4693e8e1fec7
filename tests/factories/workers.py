"""A worker for tests in which a command waits for one: it runs what is due, in a thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import select, text

from src.domain.ids import uuid7
from src.models import Job
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import services
from tests.committing import Workshop


def run_due() -> int:
    """Run every job that waits, whenever it was to be tried again; how many there were."""
    with services() as s:
        s.session.execute(text("UPDATE job SET run_after = clock_timestamp() WHERE state = 'queued'"))
        waiting = list(s.session.scalars(select(Job.id).where(Job.state == "queued").order_by(Job.id)))
    for job_id in waiting:
        run_job(job_id, HANDLERS)
    return len(waiting)


def run_all() -> None:
    """Run until nothing waits any more."""
    for _ in range(50):
        if not run_due():
            return
    raise AssertionError("there is always something waiting")


@contextmanager
def working(workshop: Workshop) -> Iterator[None]:
    """A worker that gives signs of life, until the block ends."""
    is_over = threading.Event()

    def work() -> None:
        while not is_over.wait(0.02):
            run_due()

    with services() as s:
        s.process_rows.beat(uuid7(), "worker", "here", 1)
    future = workshop.in_thread(work)
    try:
        yield
    finally:
        is_over.set()
        future.result(timeout=60)

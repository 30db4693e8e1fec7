"""A worker that also knows kinds of jobs that only tests have (`celery -A tests.faults.kinds`)."""

import time
from uuid import UUID

from sqlalchemy import text

from src.tasks.handlers import HANDLERS
from src.tasks.running import JobRun, Outcome
from src.wiring import Services
from src.worker import app

__all__ = ["app"]


def wait(run: JobRun) -> Outcome:
    """Take `seconds`, looking up often; every time it is begun, a row says so."""
    with run.services() as s:
        s.session.execute(text("INSERT INTO runs VALUES (:id)"), {"id": run.job.id})
    end = time.monotonic() + run.job.args.get("seconds", 0)
    while time.monotonic() < end:
        run.check()
        time.sleep(0.05)
    return Outcome()


def copy(run: JobRun) -> Outcome:
    """COPY so many `lines` into the ledger in the transaction that ends the job, with a `pause` in the middle."""
    lines, pause = run.job.args["lines"], run.job.args.get("pause", 0)
    return Outcome({"lines": lines}, save=lambda s: _copy(s, run.job.id, run.job.fence, lines, pause))


def _copy(s: Services, job_id: UUID, fence: int, lines: int, pause: float) -> None:
    raw = s.session.connection().connection.driver_connection
    assert raw is not None
    with raw.cursor().copy("COPY ledger FROM STDIN") as stream:
        for line in range(lines):
            if line == lines // 2:
                time.sleep(pause)
            stream.write_row((job_id, fence, line))


HANDLERS.update({"wait": wait, "copy": copy})

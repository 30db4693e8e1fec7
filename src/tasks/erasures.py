"""The job that takes an erased client out of the rows that imports have refused."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from src.domain.traces import Trace
from src.services.scratch import scratch_folder
from src.tasks.running import JobRun, Outcome, Postponed

SLICE = 200
LOOK_AGAIN = timedelta(seconds=5)


def forget_rejects(run: JobRun) -> Outcome:
    """Import by import, each in a transaction of its own; those that a job is at are looked at again."""
    trace, rows = Trace.from_json(run.job.args["trace"]), run.job.args.get("rows", 0)
    left: list[UUID] = []
    with scratch_folder(run.adapters.settings, run.job) as folder:
        for import_id in _imports(run):
            run.check()
            with run.services() as s:
                found = s.erasures.forget(import_id, trace, folder)
            if found is None:
                left.append(import_id)
            rows += found or 0
    if left:
        with run.services() as s:
            s.erasures.leave_for_later(run.job, left, rows)
        raise Postponed(LOOK_AGAIN)
    return Outcome({"rows": rows})


def _imports(run: JobRun) -> Iterator[UUID]:
    """What an earlier attempt has left; else all that have refused rows, or may when they are over."""
    if "left" in run.job.args:
        yield from map(UUID, run.job.args["left"])
        return
    last: UUID | None = None
    while True:
        with run.services() as s:
            ids = s.import_rows.with_rejects(last, SLICE, begun_before=run.job.created_at)
        if not ids:
            return
        yield from ids
        last = ids[-1]

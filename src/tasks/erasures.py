"""The job that takes an erased client out of the rows that imports have refused."""

from datetime import timedelta
from uuid import UUID

from src.domain.traces import Trace
from src.services.scratch import scratch_folder
from src.tasks.running import JobRun, Outcome, Postponed

SLICE = 200
LOOK_AGAIN = timedelta(seconds=5)


def forget_rejects(run: JobRun) -> Outcome:
    """Import by import, each in a transaction of its own; done again, it finds nothing more."""
    trace, rows, is_busy = Trace.from_json(run.job.args["trace"]), 0, False
    last: UUID | None = None
    with scratch_folder(run.adapters.settings, run.job) as folder:
        while True:
            with run.services() as s:
                ids = s.import_rows.with_rejects(last, SLICE)
            if not ids:
                break
            for last in ids:
                run.check()
                with run.services() as s:
                    found = s.erasures.forget(last, trace, folder)
                is_busy |= found is None
                rows += found or 0
    if is_busy:
        raise Postponed(LOOK_AGAIN)
    return Outcome({"rows": rows})

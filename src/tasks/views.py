"""The job that refreshes a materialized view: one at a time, while everybody goes on reading."""

from datetime import timedelta

from src.services.views import Turn
from src.tasks.running import JobRun, Outcome, Postponed

LOOK_AGAIN = timedelta(seconds=2)


def refresh_view(run: JobRun) -> Outcome:
    """Refresh, unless another has done it since; while another is at it, give the worker back and wait."""
    job_id, view = run.job.id, run.job.args["view"]
    with run.services() as s:
        turn = s.views.begin(job_id, view)
    if turn is Turn.BUSY:
        raise Postponed(LOOK_AGAIN)
    result = {"view": view, "views": "/api/v1/views", "turn": turn}
    if turn is Turn.SERVED:
        return Outcome(result)
    try:
        with run.services() as s:
            rows = s.views.refresh(job_id)
    except Exception as error:
        with run.services() as s:
            s.views.fail(job_id, error)
        raise
    return Outcome(result | {"rows": rows})

"""The job over two imports and a refresh: it starts the next step, and holds no worker in between."""

from datetime import timedelta

from src.tasks.running import JobRun, Outcome, Postponed

LOOK_AGAIN = timedelta(seconds=1)


def run_etl(run: JobRun) -> Outcome:
    """One look: the steps are jobs of their own, with their own attempts."""
    with run.services() as s:
        result = s.etl.advance(run.job.id)
    if result is None:
        raise Postponed(LOOK_AGAIN)
    return Outcome(result)

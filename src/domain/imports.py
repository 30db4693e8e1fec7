"""The states of an import, derived from what happened, so that none can be left over from a crash."""

from datetime import datetime
from enum import StrEnum

from src.domain.errors import Invalid


class ImportState(StrEnum):
    DRAFT = "draft"
    QUEUED = "queued"
    RUNNING = "running"
    VALIDATED = "validated"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DEAD = "dead"
    UNDONE = "undone"


class TooManyErrors(Invalid):
    slug = "too-many-errors"
    title = "More rows are wrong than the import allows"


class AmbiguousDates(Invalid):
    slug = "ambiguous-dates"
    title = "The dates of the file can be read in two ways"


class AmbiguousNumbers(Invalid):
    slug = "ambiguous-numbers"
    title = "The numbers of the file can be read in two ways"


def state_of(undone_at: datetime | None, committed_at: datetime | None, job_state: str | None) -> ImportState:
    """A job that is done without a commit was a dry run."""
    if undone_at:
        return ImportState.UNDONE
    if committed_at:
        return ImportState.DONE
    if job_state is None:
        return ImportState.DRAFT
    return ImportState.VALIDATED if job_state == "done" else ImportState(job_state)

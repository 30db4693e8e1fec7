"""The life of a job: its states, which of them end it, and how long a failed attempt waits."""

import json
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from src.domain.errors import Conflict, DomainError, TooManyRequests, Unavailable

MAX_ATTEMPTS = 5
FIRST_WAIT = timedelta(seconds=2)
LONGEST_WAIT = timedelta(minutes=5)


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DEAD = "dead"

    @property
    def is_over(self) -> bool:
        return self not in UNFINISHED


UNFINISHED = (JobState.QUEUED, JobState.RUNNING)
RETRYABLE = (JobState.FAILED, JobState.DEAD, JobState.CANCELLED)


class NotRetryable(Conflict):
    slug = "job-not-retryable"
    title = "Only a job that failed, died or was cancelled can be tried again"


class NotCancellable(Conflict):
    slug = "job-is-over"
    title = "The job is over already"


class QueueFull(Unavailable):
    slug = "queue-full"
    title = "Too much work is waiting"


class OwnerQueueFull(TooManyRequests):
    slug = "owner-queue-full"
    title = "Too many of your jobs are waiting"


class Died(DomainError):
    slug = "job-died"
    title = "The job was given up after several attempts"


class CrashedJob(DomainError):
    slug = "internal-error"
    title = "The job met an error of ours"


def wait_before(attempt: int) -> timedelta:
    """How long the next attempt waits after this many were begun: 2 s, 4 s, 8 s … 5 min."""
    doublings = min(max(attempt - 1, 0), 16)
    return min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is; `total` may be unknown."""

    done: int
    total: int | None
    unit: str
    rate: float | None = None


def error_json(error: DomainError) -> str:
    """An error as a job keeps it."""
    return json.dumps({"slug": error.slug, "title": error.title, "detail": error.detail})

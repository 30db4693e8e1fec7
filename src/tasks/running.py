"""Runs one job: claims it, keeps its lease alive, hands it to its handler, and ends it behind the fence."""

import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson

from src import logs
from src.domain.errors import DomainError, Unavailable
from src.domain.jobs import CrashedJob, JobState, error_json, wait_before
from src.engine.sandbox import Stopped
from src.models import Job
from src.tasks.lease import Interrupted, Lease, LeaseLost
from src.wiring import Adapters, Services, adapters, services

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a handler found: the job's result, and what to write in the transaction that ends the job.

    What is known only after the writing is answered by `save` as another outcome, in place of this one.
    `held` stays open until the end: files that `save` reads. An `error` ends the job as failed.
    """

    result: dict[str, Any] = field(default_factory=dict)
    save: Callable[[Services], "Outcome | None"] = lambda _: None
    error: DomainError | None = None
    held: ExitStack = field(default_factory=ExitStack)


@dataclass(frozen=True, slots=True)
class JobRun:
    """What a handler gets: its job, the adapters, and a line to whoever watches."""

    job: Job
    adapters: Adapters
    lease: Lease

    def progress(self, done: int, total: int | None, unit: str) -> None:
        self.lease.report(done, total, unit)

    @contextmanager
    def services(self) -> Iterator[Services]:
        """A unit of work of its own, in a session that ends when another worker takes the job over."""
        with services() as s:
            self.lease.cover(s.job_leases.own_session())
            yield s

    def should_stop(self) -> bool:
        return self.lease.interruption is not None

    def check(self) -> None:
        """Raise when the job should not go on: cancelled, lost, or the worker is going down."""
        self.lease.check()


class Postponed(Exception):
    """The job cannot be done just now, through nobody's fault: give the worker back, and try again soon."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(f"again in {wait}")
        self.wait = wait


Handler = Callable[[JobRun], Outcome]


def run_job(job_id: UUID, handlers: dict[str, Handler]) -> JobState | None:
    """Run the job if it is to be had; answers the state it was left in."""
    mine = adapters()
    job = _claimed(job_id, timedelta(seconds=mine.settings.lease_seconds))
    if job is None:
        return None
    with logs.context(job_id=str(job.id), kind=job.kind, fence=job.fence, request_id=job.request_id):
        log.info("job begun", extra={"attempt": job.attempts})
        with Lease(job, mine.settings) as lease:
            state = _left(JobRun(job, mine, lease), handlers)
        log.info("job left", extra={"state": state})
        return state


def _claimed(job_id: UUID, lease: timedelta) -> Job | None:
    """The job, ours for the length of a lease; None when another has it, or when the database is away."""
    try:
        with services() as s:
            s.job_leases.end_expired_session(job_id)
            return s.job_leases.claim(job_id, worker=f"{socket.gethostname()}:{os.getpid()}", lease=lease)
    except Unavailable as error:
        log.warning("a job could not be claimed, the scheduler will repeat its hint: %s", error.detail)
        return None


def _left(run: JobRun, handlers: dict[str, Handler]) -> JobState | None:
    """The state in which the job is left; None when that is not ours to say, and the fence kept us out."""
    try:
        return _attempt(run, handlers)
    except LeaseLost:
        log.warning("the lease is lost; another worker has the job")
    except Unavailable as error:
        log.warning("the job could not be left as it should; its lease will run out: %s", error.detail)
    return None


def _attempt(run: JobRun, handlers: dict[str, Handler]) -> JobState:
    """One attempt. Every ending is fenced: a zombie's changes are rolled back with it."""
    try:
        outcome = handlers[run.job.kind](run)
        with outcome.held:
            run.check()
            return _end(run, JobState.DONE, outcome)
    except LeaseLost:
        raise
    except Interrupted as interruption:
        if interruption.is_cancel:
            return _end(run, JobState.CANCELLED)
        return _hand_back(run, wait=timedelta(0), forgiven=1)
    except Postponed as postponed:
        return _hand_back(run, wait=postponed.wait, forgiven=1)
    except Stopped:  # the lease seemed to be lost, and was renewed late, while the work was being stopped
        return _hand_back(run, wait=timedelta(0), forgiven=1)
    except Unavailable as error:
        return _try_later(run, error)
    except DomainError as error:
        return _end(run, JobState.FAILED, Outcome(error=error))
    except Exception:
        log.exception("the job crashed")
        return _try_later(run, CrashedJob("It is in our log under this job's id."))


def _end(run: JobRun, state: JobState, outcome: Outcome | None = None) -> JobState:
    """What the job writes and its ending are one transaction, the fence its last statement."""
    outcome = outcome or Outcome()
    with run.services() as s:
        outcome = outcome.save(s) or outcome
        if outcome.error and state is JobState.DONE:
            state = JobState.FAILED
        is_mine = s.job_leases.end(
            run.job,
            state,
            result=_json(outcome.result if state is JobState.DONE else outcome.result or None),
            error=_error(outcome.error),
            progress=_json(run.lease.progress_members()),
        )
        if not is_mine:
            raise LeaseLost
    return state


def _try_later(run: JobRun, error: DomainError) -> JobState:
    """Wait and try again, until it was tried often enough."""
    if run.job.attempts >= run.job.max_attempts:
        return _end(run, JobState.DEAD, Outcome(error=error))
    return _hand_back(run, wait=wait_before(run.job.attempts), error=error)


def _hand_back(
    run: JobRun, *, wait: timedelta, forgiven: int = 0, error: DomainError | None = None
) -> JobState:
    with services() as s:
        if not s.job_leases.hand_back(run.job, wait=wait, forgiven=forgiven, error=_error(error)):
            raise LeaseLost
    return JobState.QUEUED


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _error(error: DomainError | None) -> str | None:
    return None if error is None else error_json(error)

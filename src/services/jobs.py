"""Jobs: put in line in the transaction that wants them, and steered by their owners."""

from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm import Session

from src import logs
from src.config import Settings
from src.database import after_commit
from src.domain.jobs import NotCancellable, NotRetryable, OwnerQueueFull, QueueFull
from src.domain.roles import Actor
from src.models import Job
from src.queue import HintQueue
from src.repositories.jobs import JobRepository
from src.services.audit import AuditTrail

# Above this many waiting jobs of one owner the scheduler hints, fairly; below, we hint at once.
DIRECT_HINTS = 4


class JobService:
    def __init__(self, session: Session, hints: HintQueue, settings: Settings) -> None:
        self.session = session
        self.jobs = JobRepository(session)
        self.audit = AuditTrail(session)
        self.hints = hints
        self.settings = settings

    def enqueue(self, kind: str, args: dict[str, Any], *, owner_id: UUID | None) -> Job:
        """Write the job in the caller's transaction; the hint goes out when it commits."""
        everybody, mine = self.jobs.waiting(owner_id)
        if everybody >= self.settings.max_queued_jobs:
            raise QueueFull("Try again when some of the waiting work is done.", retry_after=30)
        if owner_id is not None and mine >= self.settings.max_queued_jobs_per_owner:
            raise OwnerQueueFull("Wait until some of your jobs are done.", retry_after=30)
        is_hinted = mine < DIRECT_HINTS
        job = self.jobs.add(
            Job(
                owner_id=owner_id,
                kind=kind,
                args=args,
                hinted_at=func.clock_timestamp() if is_hinted else None,
                request_id=logs.current("request_id"),
            )
        )
        if is_hinted:
            after_commit(self.session, lambda: self.hints.publish(job.id))
        return job

    def cancel(self, job: Job, by: Actor) -> Job:
        """A queued job is cancelled at once; a running one is asked to, and stops at its next look."""
        if not self.jobs.request_cancel(job.id):
            raise NotCancellable(f"It is {job.state}.")
        self.audit.note(by, "job.cancelled", "job", job.id)
        self.session.refresh(job)
        return job

    def retry(self, job: Job, by: Actor) -> Job:
        """Queue a job again that failed, died or was cancelled."""
        if not self.jobs.requeue([job.id]):
            raise NotRetryable(f"It is {job.state}.")
        self.audit.note(by, "job.retried", "job", job.id)
        after_commit(self.session, lambda: self.hints.publish(job.id))
        self.session.refresh(job)
        return job

    def retry_many(self, by: Actor, *, kind: str | None, state: str | None, limit: int = 1_000) -> list[UUID]:
        """Queue again all that match; the scheduler hints at them, fairly."""
        ids = self.jobs.requeue(self.jobs.retryable(kind=kind, state=state, limit=limit))
        for id_ in ids:
            self.audit.note(by, "job.retried", "job", id_)
        return ids

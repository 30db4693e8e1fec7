"""Materialized views: who asks for a refresh, whose turn it is, and what became of it (ADR 0015)."""

from enum import StrEnum
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm import Session

from src.domain.jobs import QueueFull
from src.domain.roles import Actor
from src.models import Job, ViewRefresh
from src.repositories.views import ViewNotFound, ViewRefreshRepository
from src.services.audit import AuditTrail
from src.services.jobs import JobService

KIND = "refresh_view"
VIEWS = ("transaction_statistics",)


class Turn(StrEnum):
    """What a job finds when it wants to refresh."""

    GO = "go"
    SERVED = "served"  # one that began after the request has done it
    BUSY = "busy"  # another refresh runs; it may not have seen what this one is for


class ViewService:
    def __init__(self, session: Session, jobs: JobService) -> None:
        self.session = session
        self.refreshes = ViewRefreshRepository(session)
        self.audit = AuditTrail(session)
        self.jobs = jobs

    def changed(self, view: str) -> ViewRefresh:
        """Ask for a refresh in the transaction that changed what the view shows.

        Always a request of its own, visible with the change: one that waits already may begin before this
        commits, and would miss it. A queue that is full must not undo an import: the scheduler asks again.
        """
        request = self.refreshes.add(ViewRefresh(view=known_view(view)))
        try:
            request.job_id = self.jobs.enqueue(KIND, {"view": view}, owner_id=None).id
        except QueueFull:
            return request
        self.session.flush()
        return request

    def ask(self, view: str, by: Actor | None) -> Job:
        """The job of a refresh that begins after now: the one in line, or a new one."""
        self.audit.note(by, "view.refresh-asked", "view", known_view(view))
        job = self.refreshes.find_queued(view)
        if job is None:
            owner_id = by.account_id if by else None
            job = self.jobs.enqueue(KIND, {"view": view}, owner_id=owner_id)
            self.refreshes.add(ViewRefresh(view=view, job_id=job.id, requested_by=owner_id))
        return job

    def enqueue_jobless(self) -> int:
        """Give requests a job that found none when they were made; how many there were."""
        requests = self.refreshes.jobless()
        for request in requests:
            request.job_id = self.jobs.enqueue(KIND, {"view": request.view}, owner_id=None).id
        return len(requests)

    def begin(self, job_id: UUID, view: str) -> Turn:
        """Take the turn, if there is something to do and nobody is at it."""
        self.refreshes.lock(known_view(view))
        mine = self.refreshes.find_of_job(job_id)
        if mine is None or (mine.finished_at is not None and mine.error is None):
            return Turn.SERVED
        self.refreshes.release(view, besides=mine.id)
        if self.refreshes.is_running(view, besides=mine.id):
            return Turn.BUSY
        mine.started_at, mine.finished_at, mine.error = func.clock_timestamp(), None, None
        return Turn.GO

    def refresh(self, job_id: UUID) -> int:
        """Renew the view and note it, for all who wait, in one transaction; how many rows it has."""
        mine = self._of(job_id)
        # Before the renewal looks: what they ask for was committed with them, and it will see it.
        served = self.refreshes.take_waiting(mine)
        rows = self.refreshes.renew(mine.view)
        self.refreshes.finish([mine.id, *served], rows=rows)
        return rows

    def fail(self, job_id: UUID, error: Exception) -> None:
        """Note why it was not refreshed; those who wait go on waiting."""
        self.refreshes.finish([self._of(job_id).id], error=_words(error))

    def _of(self, job_id: UUID) -> ViewRefresh:
        found = self.refreshes.find_of_job(job_id)
        if found is None:
            raise ViewNotFound
        return found


def _words(error: Exception) -> str:
    """The database's own first line, if it was the database; its further lines may quote rows."""
    cause = error.__cause__ or error
    said = getattr(cause, "orig", None) or cause
    return f"{type(said).__name__}: {said}".splitlines()[0][:1_000]


def known_view(view: str) -> str:
    if view not in VIEWS:
        raise ViewNotFound(f"There are: {', '.join(VIEWS)}.")
    return view

"""Jobs as their owners see them: pages, counts, cancel and retry. The worker's side is in job_leases."""

from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import case, func, select, text, update

from src.domain.errors import NotFound
from src.domain.jobs import RETRYABLE, UNFINISHED, JobState
from src.domain.paging import Page, PageQuery
from src.models import Job
from src.repositories.base import equal
from src.repositories.owned import OwnedRepository


class JobNotFound(NotFound):
    slug = "job-not-found"
    title = "There is no such job, or it is not yours"


class JobRepository(OwnedRepository[Job]):
    model = Job
    orderings: ClassVar = {"id": Job.id, "created_at": Job.created_at}
    missing = JobNotFound

    def add(self, row: Job) -> Job:
        """Add the job and wake the schedulers when this commits."""
        super().add(row)
        self.session.execute(text("SELECT pg_notify('job', '')"))
        return row

    def search(
        self, query: PageQuery, *, owner_id: UUID | None, kind: str | None, state: str | None
    ) -> Page[Job]:
        return self.own_page(query, owner_id, {Job.kind: kind, Job.state: state})

    def waiting(self, owner_id: UUID | None) -> tuple[int, int]:
        """How many jobs are queued: of everybody, and of this owner."""
        own = func.count().filter(Job.owner_id == owner_id)
        everybody, mine = self.session.execute(
            select(func.count(), own).where(Job.state == JobState.QUEUED)
        ).one()
        return int(everybody), int(mine)

    def find_unfinished(self, kind: str, args: dict[str, Any]) -> Job | None:
        """A job that is about to do just this."""
        same = (Job.kind == kind) & (Job.args == args) & Job.state.in_(UNFINISHED)
        same &= Job.is_cancel_requested.is_(False)
        return self.session.scalar(select(Job).where(same).limit(1))

    def has_since(self, kind: str, interval: str) -> bool:
        """Whether such a job was made within the interval; locked, so that only one asker acts on it."""
        self.session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"since-{kind}"))))
        latest = select(Job.created_at).where(Job.kind == kind).order_by(Job.id.desc()).limit(1)
        recent = latest.scalar_subquery() > func.clock_timestamp() - text(f"interval '{interval}'")
        return bool(self.session.scalar(select(recent)))

    def request_cancel(self, id_: UUID) -> bool:
        """A queued job is cancelled at once, a running one is asked to stop; False when it was over."""
        is_queued = Job.state == JobState.QUEUED
        statement = (
            update(Job)
            .where(Job.id == id_, Job.state.in_(UNFINISHED))
            .values(
                is_cancel_requested=True,
                state=case((is_queued, JobState.CANCELLED.value), else_=Job.state),
                finished_at=case((is_queued, func.clock_timestamp())),
            )
            .returning(Job.id)
        )
        return self.session.scalar(statement) is not None

    def requeue(self, ids: list[UUID]) -> list[UUID]:
        """Queue these again from the start, as far as their state allows it."""
        statement = (
            update(Job)
            .where(Job.id.in_(ids), Job.state.in_(RETRYABLE))
            .values(
                state=JobState.QUEUED,
                attempts=0,
                run_after=func.clock_timestamp(),
                hinted_at=None,
                is_cancel_requested=False,
                error=None,
                progress=None,
                finished_at=None,
            )
            .returning(Job.id)
        )
        ids = list(self.session.scalars(statement))
        self.session.execute(text("SELECT pg_notify('job', '')"))
        return ids

    def retryable(self, *, kind: str | None, state: str | None, limit: int) -> list[UUID]:
        conditions = [*equal({Job.kind: kind, Job.state: state}), Job.state.in_(RETRYABLE)]
        return list(self.session.scalars(select(Job.id).where(*conditions).order_by(Job.id).limit(limit)))

    def counts(self) -> dict[tuple[str, str], int]:
        """How many jobs there are by kind and state, for the metrics."""
        rows = self.session.execute(select(Job.kind, Job.state, func.count()).group_by(Job.kind, Job.state))
        return {(kind, state): count for kind, state, count in rows}

    def oldest_wait_seconds(self) -> float:
        """How long the longest waiting job that is due has waited."""
        now = func.clock_timestamp()
        due = (Job.state == JobState.QUEUED) & (Job.run_after <= now)
        waited = func.extract("epoch", now - func.min(Job.run_after))
        return float(self.session.scalar(select(waited).where(due)) or 0)

"""Jobs as workers and schedulers see them: hint, claim, beat, end, sweep; by the database's clock."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from src.models import Job

# Fair between owners: everybody's first waiting job comes before anybody's second.
HINT = text("""
    WITH waiting AS (
        SELECT id, row_number() OVER (PARTITION BY owner_id ORDER BY id) AS turn FROM job
        WHERE state = 'queued' AND run_after <= clock_timestamp()
            AND (hinted_at IS NULL OR hinted_at < clock_timestamp() - :again * interval '1 second')
    ), chosen AS (
        SELECT job.id, turn FROM job JOIN waiting USING (id)
        WHERE job.state = 'queued'  -- again, for what another scheduler has committed meanwhile
            AND (job.hinted_at IS NULL OR job.hinted_at < clock_timestamp() - :again * interval '1 second')
        ORDER BY turn, job.id LIMIT :room FOR UPDATE OF job SKIP LOCKED
    ), hinted AS (
        UPDATE job SET hinted_at = clock_timestamp() FROM chosen WHERE job.id = chosen.id
        RETURNING job.id, turn
    )
    SELECT id FROM hinted ORDER BY turn, id
""")

# Whoever takes over a frozen worker's job ends its database session first, or its open COPY keeps the locks.
END_SESSION = text("""
    SELECT pg_terminate_backend(a.pid, 500) FROM job j
    JOIN pg_stat_activity a ON a.pid = j.session_pid AND a.backend_start = j.session_started
    WHERE j.state = 'running' AND j.lease_until < clock_timestamp() AND a.pid <> pg_backend_pid()
        AND (j.id = :id OR CAST(:id AS uuid) IS NULL)
        AND NOT EXISTS (SELECT FROM job other WHERE other.state = 'running'
            AND other.lease_until >= clock_timestamp()
            AND other.session_pid = j.session_pid AND other.session_started = j.session_started)
""")

CLAIM = text("""
    UPDATE job SET state = 'running', fence = fence + 1, attempts = attempts + 1, worker = :worker,
        lease_until = clock_timestamp() + :lease, started_at = clock_timestamp(),
        session_pid = pg_backend_pid(),
        session_started = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
    WHERE id = :id AND attempts < max_attempts AND (
        (state = 'queued' AND run_after <= clock_timestamp())
        OR (state = 'running' AND lease_until < clock_timestamp()))
    RETURNING fence
""")

BEAT = text("""
    UPDATE job SET lease_until = clock_timestamp() + :lease,
        progress = coalesce(CAST(:progress AS jsonb), progress),
        session_pid = :pid, session_started = :started
    WHERE id = :id AND fence = :fence AND state = 'running'
    RETURNING is_cancel_requested
""")

END = text("""
    UPDATE job SET state = :state, result = CAST(:result AS jsonb), error = CAST(:error AS jsonb),
        progress = coalesce(CAST(:progress AS jsonb), progress),
        lease_until = NULL, finished_at = clock_timestamp()
    WHERE id = :id AND fence = :fence AND state = 'running'
""")

HAND_BACK = text("""
    UPDATE job SET state = CASE WHEN is_cancel_requested THEN 'cancelled' ELSE 'queued' END,
        finished_at = CASE WHEN is_cancel_requested THEN clock_timestamp() END,
        attempts = attempts - :forgiven, lease_until = NULL, hinted_at = NULL,
        run_after = clock_timestamp() + :wait, error = CAST(:error AS jsonb)
    WHERE id = :id AND fence = :fence AND state = 'running'
""")

SWEEP = text("""
    UPDATE job SET lease_until = NULL, hinted_at = NULL,
        state = CASE WHEN is_cancel_requested THEN 'cancelled'
            WHEN attempts >= max_attempts THEN 'dead' ELSE 'queued' END,
        finished_at = CASE WHEN is_cancel_requested OR attempts >= max_attempts THEN clock_timestamp() END,
        error = CASE WHEN attempts >= max_attempts THEN CAST(:died AS jsonb) ELSE error END,
        run_after = clock_timestamp() + least(:first * power(2, attempts - 1), :longest)
    WHERE id IN (SELECT id FROM job WHERE state = 'running' AND lease_until < clock_timestamp()
        FOR UPDATE SKIP LOCKED)
    RETURNING id, state
""")


class DatabaseSession(NamedTuple):
    """One session of the database server: its process id and when it began."""

    pid: int | None
    started: datetime | None


class JobLeaseRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    def hint(self, *, room: int, again_after: int) -> list[UUID]:
        """Choose jobs to hint at, in fair order, and note it; what another scheduler holds is skipped."""
        return list(self.session.scalars(HINT, {"room": room, "again": again_after}))

    def forget_hints(self, ids: list[UUID] | None = None) -> None:
        """Take these jobs, or all, for not hinted at: their hints did not arrive, or may be lost."""
        hinted = (Job.state == "queued") & Job.hinted_at.is_not(None)
        chosen = hinted if ids is None else hinted & Job.id.in_(ids)
        self.session.execute(update(Job).where(chosen).values(hinted_at=None))

    def held(self) -> set[tuple[UUID, int]]:
        """The attempts that run now: job and fence."""
        rows = self.session.execute(select(Job.id, Job.fence).where(Job.state == "running"))
        return {(id_, fence) for id_, fence in rows}

    def end_expired_session(self, job_id: UUID | None = None) -> int:
        """End the database sessions of workers whose lease ran out: of one job, or of all."""
        return len(self.session.execute(END_SESSION, {"id": job_id}).all())

    def claim(self, job_id: UUID, *, worker: str, lease: timedelta) -> Job | None:
        """Take the job; None when it is not to be had, which is what a duplicate hint meets."""
        fence = self.session.scalar(CLAIM, {"id": job_id, "worker": worker, "lease": lease})
        return None if fence is None else self.session.scalars(select(Job).where(Job.id == job_id)).one()

    def beat(
        self,
        job: Job,
        *,
        lease: timedelta,
        session: DatabaseSession,
        progress: str | None = None,
    ) -> bool | None:
        """Renew the lease; True when a cancel is wanted, None when the lease is lost."""
        values = {"id": job.id, "fence": job.fence, "lease": lease, "progress": progress}
        wanted = self.session.scalar(BEAT, values | {"pid": session.pid, "started": session.started})
        return None if wanted is None else bool(wanted)

    def own_session(self) -> DatabaseSession:
        row = self.session.execute(
            text("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        ).one()
        return DatabaseSession(*row)

    def end(
        self,
        job: Job,
        state: str,
        *,
        result: str | None = None,
        error: str | None = None,
        progress: str | None = None,
    ) -> bool:
        """The fenced ending, last statement of its transaction; False means: roll back, you are a zombie."""
        values = {"id": job.id, "fence": job.fence, "state": state, "result": result, "error": error}
        return self._leave(END, values | {"progress": progress})

    def hand_back(self, job: Job, *, wait: timedelta, forgiven: int = 0, error: str | None = None) -> bool:
        """Queue the job again, after a wait; `forgiven` attempts don't count."""
        values = {"id": job.id, "fence": job.fence, "wait": wait, "forgiven": forgiven, "error": error}
        return self._leave(HAND_BACK, values)

    def sweep(self, *, died: str, first: timedelta, longest: timedelta) -> list[tuple[UUID, str]]:
        """Requeue, with backoff, what no worker holds any more; give up what failed too often."""
        rows = self.session.execute(SWEEP, {"died": died, "first": first, "longest": longest})
        return [(row.id, row.state) for row in rows]

    def _leave(self, statement: Any, values: dict[str, Any]) -> bool:
        """A slot becomes free: the schedulers hear of it at the commit. The fence comes last."""
        self.session.execute(text("SELECT pg_notify('job', '')"))
        return int(self.session.execute(statement, values).rowcount) == 1  # type: ignore[attr-defined]  # a result

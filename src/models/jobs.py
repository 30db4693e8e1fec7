"""A job: one piece of background work. This table is the queue of record; Redis carries hints."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, func, text
from sqlalchemy.orm import Mapped, mapped_column

from src.domain.jobs import MAX_ATTEMPTS
from src.models.base import Base, CreatedAt, Id

STATES = "'queued', 'running', 'done', 'failed', 'cancelled', 'dead'"


class Job(Base):
    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint(f"state IN ({STATES})", name="state"),
        CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="lease"),
        Index("ix_job_due", "run_after", postgresql_where=text("state = 'queued'")),
        Index("ix_job_lease", "lease_until", postgresql_where=text("state = 'running'")),
        Index("ix_job_owner_id_id", "owner_id", "id"),
        Index("ix_job_kind_id", "kind", "id"),
        Index("ix_job_unfinished", "owner_id", postgresql_where=text("state IN ('queued', 'running')")),
    )

    id: Mapped[Id]
    owner_id: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    kind: Mapped[str]
    args: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(default="queued")
    run_after: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    max_attempts: Mapped[int] = mapped_column(SmallInteger, default=MAX_ATTEMPTS)
    fence: Mapped[int] = mapped_column(BigInteger, default=0)
    lease_until: Mapped[datetime | None]
    worker: Mapped[str | None]
    session_pid: Mapped[int | None]
    session_started: Mapped[datetime | None]
    is_cancel_requested: Mapped[bool] = mapped_column(default=False)
    hinted_at: Mapped[datetime | None]
    progress: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    request_id: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

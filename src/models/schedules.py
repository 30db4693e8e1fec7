"""A schedule: a cron expression that starts work; and its runs, those that did not happen included."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from src.models.base import Base, CreatedAt, Id
from src.models.jobs import Job


class Schedule(Base):
    __tablename__ = "schedule"
    __table_args__ = (
        CheckConstraint("misfire IN ('latest', 'all', 'skip')", name="misfire"),
        CheckConstraint("overlap IN ('skip', 'queue')", name="overlap"),
        CheckConstraint("num_nonnulls(input_file_id, input_pattern) <= 1", name="input"),
        CheckConstraint("keep BETWEEN 1 AND 1000", name="keep"),
        Index("ix_schedule_owner_id_id", "owner_id", "id"),
        Index("ix_schedule_due", "next_due", postgresql_where=text("NOT is_paused")),
    )

    id: Mapped[Id]
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    name: Mapped[str]
    cron: Mapped[str]
    timezone: Mapped[str]
    kind: Mapped[str]
    work: Mapped[dict[str, Any]]
    rules_id: Mapped[UUID | None] = mapped_column(ForeignKey("rule_set.id"), index=True)
    input_file_id: Mapped[UUID | None] = mapped_column(ForeignKey("file.id", ondelete="SET NULL"), index=True)
    input_pattern: Mapped[str | None]
    misfire: Mapped[str]
    overlap: Mapped[str]
    keep: Mapped[int] = mapped_column(SmallInteger)
    notify: Mapped[dict[str, Any] | None]
    is_paused: Mapped[bool] = mapped_column(default=False)
    next_due: Mapped[datetime | None]
    missed: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[CreatedAt]


class ScheduleRun(Base):
    """One due time, or one start by hand (which has none)."""

    __tablename__ = "schedule_run"
    __table_args__ = (
        UniqueConstraint("schedule_id", "due_at"),
        CheckConstraint("state IN ('waiting', 'started', 'missed', 'skipped', 'refused')", name="state"),
        Index("ix_schedule_run_schedule_id_id", "schedule_id", "id"),
        Index("ix_schedule_run_waiting", "schedule_id", postgresql_where=text("state = 'waiting'")),
    )

    id: Mapped[Id]
    schedule_id: Mapped[UUID] = mapped_column(ForeignKey("schedule.id", ondelete="CASCADE"))
    due_at: Mapped[datetime | None]
    state: Mapped[str]
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"), index=True)
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    has_product: Mapped[bool] = mapped_column(default=False)
    error: Mapped[dict[str, Any] | None]
    created_at: Mapped[CreatedAt]
    started_at: Mapped[datetime | None]

    job: Mapped[Job | None] = relationship(lazy="raise")

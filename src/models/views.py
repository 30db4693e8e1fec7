"""Materialized views: each refresh of one, asked for, running or over."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from src.models.base import Base, CreatedAt, Id


class ViewRefresh(Base):
    """One request for a refresh. Those that waited when another began are served by that one."""

    __tablename__ = "view_refresh"
    __table_args__ = (
        CheckConstraint("finished_at IS NULL OR started_at IS NOT NULL", name="times"),
        Index("ix_view_refresh_view_id", "view", "id"),
        Index("ix_view_refresh_unfinished", "view", postgresql_where=text("finished_at IS NULL")),
    )

    id: Mapped[Id]
    view: Mapped[str]
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"), index=True)
    requested_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    served_by: Mapped[UUID | None] = mapped_column(
        ForeignKey("view_refresh.id", ondelete="SET NULL"), index=True
    )
    requested_at: Mapped[CreatedAt]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    rows: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None]

    @property
    def duration(self) -> float | None:
        """Seconds from its start to its end."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()

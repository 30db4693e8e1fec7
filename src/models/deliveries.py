"""The outbox: what is to be told to the world outside, and the secrets that webhooks are signed with."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, func, text
from sqlalchemy.orm import Mapped, mapped_column

from src.models.base import Base, CreatedAt, Id

STATES = "'promised', 'waiting', 'sending', 'sent', 'failed', 'joined', 'unwanted'"


class Delivery(Base):
    __tablename__ = "delivery"
    __table_args__ = (
        CheckConstraint("channel IN ('webhook', 'email', 'folder')", name="channel"),
        CheckConstraint(f"state IN ({STATES})", name="state"),
        CheckConstraint("wanted_on IN ('done', 'failed', 'always')", name="wanted_on"),
        Index("ix_delivery_owner_id_id", "owner_id", "id"),
        Index("ix_delivery_promised", "job_id", postgresql_where=text("state = 'promised'")),
        Index("ix_delivery_due", "due_at", postgresql_where=text("state = 'waiting'")),
        Index(
            "ix_delivery_group",
            "owner_id",
            "group_key",
            "state",
            "finished_at",
            postgresql_where=text("group_key IS NOT NULL AND state <> 'joined'"),
        ),
    )

    id: Mapped[Id]
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    what: Mapped[str]
    channel: Mapped[str]
    address: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"), index=True)
    wanted_on: Mapped[str] = mapped_column(default="always")
    file_id: Mapped[UUID | None] = mapped_column(ForeignKey("file.id", ondelete="SET NULL"), index=True)
    group_key: Mapped[str | None]
    every: Mapped[timedelta] = mapped_column(default=timedelta(0))
    state: Mapped[str]
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    error: Mapped[dict[str, Any] | None]
    due_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    sending_job_id: Mapped[UUID | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"), index=True)
    joined_to: Mapped[UUID | None] = mapped_column(ForeignKey("delivery.id", ondelete="SET NULL"), index=True)
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]


class WebhookSecret(Base):
    """One per account. For a while after a change, webhooks are signed with the former one too."""

    __tablename__ = "webhook_secret"

    owner_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True)
    secret: Mapped[str]
    former: Mapped[str | None]
    former_until: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]

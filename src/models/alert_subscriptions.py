"""Who is told of alerts, where, and how often at most."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from src.models.base import Base, CreatedAt, Id


class AlertSubscription(Base):
    """Without a rule, of the alerts of all rules."""

    __tablename__ = "alert_subscription"
    __table_args__ = (CheckConstraint("every_seconds BETWEEN 0 AND 86400", name="every_seconds"),)

    id: Mapped[Id]
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), index=True)
    rule_id: Mapped[UUID | None] = mapped_column(ForeignKey("alert_rule.id"))
    targets: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    every_seconds: Mapped[int]
    created_at: Mapped[CreatedAt]

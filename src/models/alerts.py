"""Alerts: which rule fired on which event, because of which events."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKeyConstraint, Identity, Index, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from src.models.base import Base


class Alert(Base):
    """One hit of a rule in one version. `causes` are the t of the client's events that made it fire."""

    __tablename__ = "alert"
    __table_args__ = (
        UniqueConstraint("rule_id", "client_id", "t"),
        ForeignKeyConstraint(
            ["rule_id", "rule_version"], ["alert_rule_version.rule_id", "alert_rule_version.version"]
        ),
        ForeignKeyConstraint(["client_id", "t"], ["event.client_id", "event.t"]),
        Index("ix_alert_client_id_t", "client_id", "t"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    rule_id: Mapped[UUID]
    rule_version: Mapped[int]
    code: Mapped[int]
    client_id: Mapped[int] = mapped_column(BigInteger)
    t: Mapped[int] = mapped_column(BigInteger)
    causes: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    is_shadow: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

"""Alerts: which rule fired on which event, because of which events."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    UniqueConstraint,
    case,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from src.models.base import Base
from src.models.clients import Client


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
        Index("ix_alert_code_id", "code", "id"),
        Index("ix_alert_created_at", "created_at"),
        Index("ix_alert_untold", "id", postgresql_where=text("NOT is_told AND NOT is_shadow")),
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
    acknowledged_at: Mapped[datetime | None] = mapped_column()
    acknowledged_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    snoozed_until: Mapped[datetime | None] = mapped_column()
    is_told: Mapped[bool] = mapped_column(server_default=text("false"))

    client: Mapped[Client] = relationship(
        primaryjoin="foreign(Alert.client_id) == Client.id", lazy="raise", viewonly=True
    )
    state: Mapped[str] = column_property(
        case(
            (acknowledged_at.is_not(None), "acknowledged"),
            (snoozed_until > func.clock_timestamp(), "snoozed"),
            else_="open",
        )
    )


class AlertNote(Base):
    """What somebody has to say about an alert."""

    __tablename__ = "alert_note"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alert.id"), index=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    text: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

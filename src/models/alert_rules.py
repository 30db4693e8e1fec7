"""Alert rules: each with all its versions, and the number by which processes notice that rules changed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from src.models.base import Base, CreatedAt, Id


class AlertRule(Base):
    """What is watched: its code, its state, and which of its versions is asked."""

    __tablename__ = "alert_rule"
    __table_args__ = (
        CheckConstraint("code > 0", name="code"),
        CheckConstraint("state IN ('enabled', 'shadow', 'disabled')", name="state"),
        # Checked at the end, since a rule and its first version point to each other.
        ForeignKeyConstraint(
            ["id", "version"],
            ["alert_rule_version.rule_id", "alert_rule_version.version"],
            name="fk_alert_rule_version",
            deferrable=True,
            initially="DEFERRED",
            use_alter=True,
        ),
    )

    id: Mapped[Id]
    code: Mapped[int] = mapped_column(unique=True)
    name: Mapped[str]
    state: Mapped[str]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]

    current: Mapped["AlertRuleVersion"] = relationship(
        primaryjoin="and_(AlertRule.id == foreign(AlertRuleVersion.rule_id), "
        "AlertRule.version == AlertRuleVersion.version)",
        lazy="raise",
        viewonly=True,
        uselist=False,
    )


class AlertRuleVersion(Base):
    """How a rule is asked; once written it never changes, since alerts point to it."""

    __tablename__ = "alert_rule_version"
    __table_args__ = (CheckConstraint("asked_on IN ('deposit', 'withdraw', 'any')", name="asked_on"),)

    rule_id: Mapped[UUID] = mapped_column(ForeignKey("alert_rule.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    asked_on: Mapped[str]
    parameters: Mapped[dict[str, Any]]
    note: Mapped[str | None]
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    created_at: Mapped[CreatedAt]


class AlertRuleRevision(Base):
    """One row, raised by every change to what is asked, in the transaction of the change."""

    __tablename__ = "alert_rule_revision"
    __table_args__ = (CheckConstraint("id = 1", name="one"),)

    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    revision: Mapped[int] = mapped_column(BigInteger)


class AlertWatch(Base):
    """A rule that is swept for gaps: since when, and after which stream the next sweep goes on."""

    __tablename__ = "alert_watch"

    rule_id: Mapped[UUID] = mapped_column(ForeignKey("alert_rule.id"), primary_key=True)
    begun_at: Mapped[datetime]
    stream: Mapped[int] = mapped_column(BigInteger)


class AlertSweep(Base):
    """Up to which t the events of a stream were looked at for gaps by a rule.

    A row of another beginning than the rule's last one says nothing.
    """

    __tablename__ = "alert_sweep"

    rule_id: Mapped[UUID] = mapped_column(ForeignKey("alert_rule.id"), primary_key=True)
    stream: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    t: Mapped[int] = mapped_column(BigInteger)
    begun_at: Mapped[datetime]

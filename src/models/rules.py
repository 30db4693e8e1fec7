"""Rules: how reports are made, each with all its versions."""

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from src.models.base import Base, CreatedAt, Id


class RuleSet(Base):
    """Rules with a name, of an account; `version` is the newest."""

    __tablename__ = "rule_set"
    __table_args__ = (Index(None, "owner_id", "id"),)

    id: Mapped[Id]
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    name: Mapped[str]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class RuleSetVersion(Base):
    """A document as it was sent; once written it never changes, since reports name it."""

    __tablename__ = "rule_set_version"

    rules_id: Mapped[UUID] = mapped_column(ForeignKey("rule_set.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[Any] = mapped_column(JSONB)
    created_at: Mapped[CreatedAt]

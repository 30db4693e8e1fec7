"""Who did what to which object and when; the database refuses to change or delete a line."""

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from src.models.base import Base, CreatedAt


class AuditEntry(Base):
    __tablename__ = "audit"
    __table_args__ = (Index(None, "object_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[CreatedAt]
    account_id: Mapped[UUID | None] = mapped_column(index=True)
    account_name: Mapped[str]
    action: Mapped[str]
    object_type: Mapped[str]
    object_id: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    request_id: Mapped[str | None]
    address: Mapped[str | None]

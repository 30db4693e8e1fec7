"""The first answer to an Idempotency-Key, kept so that a repeated request gets it again."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from src.models.base import Base, CreatedAt


class IdempotencyKey(Base):
    __tablename__ = "idempotency_key"

    owner_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    status: Mapped[int | None] = mapped_column(SmallInteger)
    headers: Mapped[dict[str, Any] | None]
    body: Mapped[dict[str, Any] | None]
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime] = mapped_column(index=True)

"""A file: uploaded or produced, immutable, owned by an account, known by its SHA-256."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from src.models.base import Base, CreatedAt, Id


class File(Base):
    __tablename__ = "file"
    __table_args__ = (
        CheckConstraint("kind IN ('upload', 'produced')", name="kind"),
        CheckConstraint("size >= 0", name="size"),
        Index(None, "owner_id", "id"),
    )

    id: Mapped[Id]
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    kind: Mapped[str]
    name: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(index=True)
    media_type: Mapped[str]
    detected: Mapped[dict[str, Any]] = mapped_column(default=dict)
    profile: Mapped[dict[str, Any] | None]
    storage_key: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime | None] = mapped_column(index=True)

"""An operation: steps over a file that give a new one."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from src.models.base import Base, CreatedAt, Id
from src.models.jobs import Job


class Operation(Base):
    """With all that is needed to say how its result came about, should the files be gone."""

    __tablename__ = "operation"
    __table_args__ = (
        CheckConstraint("output IN ('csv', 'xlsx', 'jsonl', 'parquet')", name="output"),
        Index("ix_operation_owner_id_id", "owner_id", "id"),
    )

    id: Mapped[Id]
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    file_id: Mapped[UUID | None] = mapped_column(ForeignKey("file.id", ondelete="SET NULL"), index=True)
    file_name: Mapped[str]
    file_sha256: Mapped[str]
    recipe_id: Mapped[UUID | None] = mapped_column(ForeignKey("recipe.id", ondelete="SET NULL"), index=True)
    recipe_version: Mapped[int | None]
    steps: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    types: Mapped[dict[str, Any]]
    output: Mapped[str]
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"), index=True)
    original_rows: Mapped[int | None] = mapped_column(BigInteger)
    processed_rows: Mapped[int | None] = mapped_column(BigInteger)
    result_file_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("file.id", ondelete="SET NULL"), index=True
    )
    lineage: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]

    job: Mapped[Job | None] = relationship(lazy="raise")

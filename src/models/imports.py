"""An import: one file loaded into one dataset, and what it changed, so that it can be undone."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Numeric, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from src.models.base import Base, CreatedAt, Id
from src.models.jobs import Job


class Import(Base):
    __tablename__ = "import"
    __table_args__ = (
        CheckConstraint("mode IN ('insert', 'upsert')", name="mode"),
        CheckConstraint("on_error IN ('skip_rows', 'reject_file')", name="on_error"),
        CheckConstraint(
            "committed_at IS NULL OR rows_read = inserted + updated + unchanged + duplicate + rejected",
            name="accounting",
        ),
        CheckConstraint("undone_at IS NULL OR committed_at IS NOT NULL", name="undone"),
        Index("ix_import_owner_id_id", "owner_id", "id"),
    )

    id: Mapped[Id]
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("import.id"), index=True)
    dataset: Mapped[str]
    file_id: Mapped[UUID | None] = mapped_column(ForeignKey("file.id", ondelete="SET NULL"), index=True)
    file_name: Mapped[str]
    operation_id: Mapped[UUID | None] = mapped_column(ForeignKey("operation.id"), index=True)
    fingerprint: Mapped[str] = mapped_column(index=True)
    detected: Mapped[dict[str, Any]]
    mapping: Mapped[dict[str, Any]]
    options: Mapped[dict[str, Any]]
    mode: Mapped[str]
    on_error: Mapped[str]
    max_errors: Mapped[int | None] = mapped_column(BigInteger)
    max_error_rate: Mapped[Decimal | None] = mapped_column(Numeric)
    is_dry_run: Mapped[bool] = mapped_column(default=False)
    is_bulk: Mapped[bool] = mapped_column(server_default=false())
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("job.id"), index=True)
    rows_read: Mapped[int] = mapped_column(BigInteger, default=0)
    inserted: Mapped[int] = mapped_column(BigInteger, default=0)
    updated: Mapped[int] = mapped_column(BigInteger, default=0)
    unchanged: Mapped[int] = mapped_column(BigInteger, default=0)
    duplicate: Mapped[int] = mapped_column(BigInteger, default=0)
    rejected: Mapped[int] = mapped_column(BigInteger, default=0)
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)
    rejects_file_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("file.id", ondelete="SET NULL"), index=True
    )
    created_at: Mapped[CreatedAt]
    committed_at: Mapped[datetime | None]
    undone_at: Mapped[datetime | None]

    job: Mapped[Job | None] = relationship(lazy="raise")

    @property
    def headers(self) -> list[str]:
        """The columns of its own file."""
        return [column["name"] for column in self.detected["columns"]]


class ImportChange(Base):
    """A row as it was before an import changed it, and its version after that."""

    __tablename__ = "import_change"

    import_id: Mapped[UUID] = mapped_column(ForeignKey("import.id"), primary_key=True)
    row_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    version: Mapped[int]
    before: Mapped[dict[str, Any]]

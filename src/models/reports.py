"""A report: what it was made of, by which rules, and what came of it."""

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from src.models.base import Base, CreatedAt, Id
from src.models.jobs import Job


class Report(Base):
    """`document` holds the rules as they were; `manifest` is empty until the report is made.

    `has_reference` stays true when the reference is deleted: without it the report would be another one.
    """

    __tablename__ = "report"
    __table_args__ = (Index(None, "owner_id", "id"),)

    id: Mapped[Id]
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    name: Mapped[str]
    input_file_id: Mapped[UUID | None] = mapped_column(ForeignKey("file.id", ondelete="SET NULL"), index=True)
    reference_file_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("file.id", ondelete="SET NULL"), index=True
    )
    has_reference: Mapped[bool]
    rules_id: Mapped[UUID | None] = mapped_column(ForeignKey("rule_set.id", ondelete="SET NULL"), index=True)
    rules_version: Mapped[int | None]
    document: Mapped[Any] = mapped_column(JSONB)
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    format: Mapped[str]
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"), index=True)
    table_file_id: Mapped[UUID | None] = mapped_column(ForeignKey("file.id", ondelete="SET NULL"), index=True)
    file_id: Mapped[UUID | None] = mapped_column(ForeignKey("file.id", ondelete="SET NULL"), index=True)
    unmatched_file_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("file.id", ondelete="SET NULL"), index=True
    )
    uncomputable_file_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("file.id", ondelete="SET NULL"), index=True
    )
    manifest: Mapped[dict[str, Any]] = mapped_column(default=dict)
    rerun_of: Mapped[UUID | None] = mapped_column(ForeignKey("report.id", ondelete="SET NULL"), index=True)
    created_at: Mapped[CreatedAt]

    job: Mapped[Job | None] = relationship(lazy="raise")

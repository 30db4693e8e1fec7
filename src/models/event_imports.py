"""The ledger of imported events: which lines of a file are settled, written with the events themselves."""

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from src.models.base import Base


class EventImportChunk(Base):
    """A stretch of lines that was judged in one transaction; two workers cannot both settle it."""

    __tablename__ = "event_import_chunk"

    import_id: Mapped[UUID] = mapped_column(ForeignKey("import.id"), primary_key=True)
    first_line: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    last_line: Mapped[int] = mapped_column(BigInteger)
    stored: Mapped[int]
    refused: Mapped[list[Any]] = mapped_column(JSONB)  # line, field, code, value, detail

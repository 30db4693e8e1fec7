"""The store of files that belongs to this database: at most one row."""

from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from src.models.base import Base


class Store(Base):
    __tablename__ = "store"
    __table_args__ = (CheckConstraint("is_ours", name="only_one"),)

    is_ours: Mapped[bool] = mapped_column(primary_key=True, default=True)
    id: Mapped[UUID]
    is_marked: Mapped[bool] = mapped_column(default=False)  # whether the store bears this id for certain

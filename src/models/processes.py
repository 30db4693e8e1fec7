"""Which workers and schedulers are alive: each says so every few seconds."""

from sqlalchemy.orm import Mapped

from src.models.base import Base, CreatedAt, Id


class Process(Base):
    __tablename__ = "process"

    id: Mapped[Id]
    kind: Mapped[str]
    host: Mapped[str]
    pid: Mapped[int]
    started_at: Mapped[CreatedAt]
    seen_at: Mapped[CreatedAt]

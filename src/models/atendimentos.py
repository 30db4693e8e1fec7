"""An atendimento: a visit to a client by an angel of a polo, with a limit date and a done date."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from src.models.base import Base
from src.models.clients import Client

LOCAL_TIME = DateTime(timezone=False)  # the wall clock of the business


class Angel(Base):
    __tablename__ = "angel"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    import_id: Mapped[UUID | None]


class Polo(Base):
    __tablename__ = "polo"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    import_id: Mapped[UUID | None]


class Atendimento(Base):
    __tablename__ = "atendimento"
    __table_args__ = (
        CheckConstraint("length(external_id) BETWEEN 1 AND 50", name="external_id"),
        CheckConstraint("length(status) BETWEEN 1 AND 50", name="status"),
        CheckConstraint("isfinite(data_limite) AND isfinite(data_de_atendimento)", name="dates"),
        Index(
            "uq_atendimento_external_id",
            "external_id",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index("ix_atendimento_client_id_id", "client_id", "id"),
        Index("ix_atendimento_data_limite_id", "data_limite", "id"),
        Index("ix_atendimento_data_de_atendimento_id", "data_de_atendimento", "id"),
        Index("ix_atendimento_import_id", "import_id", postgresql_using="brin"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    external_id: Mapped[str | None]
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"))
    angel_id: Mapped[int] = mapped_column(ForeignKey("angel.id"))
    polo_id: Mapped[int] = mapped_column(ForeignKey("polo.id"))
    data_limite: Mapped[datetime] = mapped_column(LOCAL_TIME)
    data_de_atendimento: Mapped[datetime | None] = mapped_column(LOCAL_TIME)
    status: Mapped[str] = mapped_column(server_default="PENDING")
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None]
    import_id: Mapped[UUID | None]

    client: Mapped[Client] = relationship(lazy="raise")
    angel: Mapped[Angel] = relationship(lazy="raise")
    polo: Mapped[Polo] = relationship(lazy="raise")

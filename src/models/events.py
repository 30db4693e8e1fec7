"""Events, which are never changed, and how far they have come."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Numeric, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from src.models.base import Base
from src.models.clients import Client


class Event(Base):
    """A deposit or withdraw. Within a client `t` names it; in the global order it does so everywhere."""

    __tablename__ = "event"
    __table_args__ = (
        CheckConstraint("t >= 0", name="t"),
        CheckConstraint("type IN ('deposit', 'withdraw')", name="type"),
        CheckConstraint("amount > 0", name="amount"),
        # One entry per row in these two, whatever the order: the second net, and what lists are read by.
        Index("uq_event_t", "t", unique=True, postgresql_where=text("is_global")),
        Index("ix_event_t_client_id", "t", "client_id", postgresql_where=text("NOT is_global")),
        Index("uq_event_event_id", "event_id", unique=True, postgresql_where=text("event_id IS NOT NULL")),
        # The latest of one type of a client, however many of the other type have come since.
        Index("ix_event_deposit", "client_id", "t", postgresql_where=text("type = 'deposit'")),
        Index("ix_event_withdraw", "client_id", "t", postgresql_where=text("type = 'withdraw'")),
        Index("ix_event_import_id", "import_id", postgresql_using="brin"),
    )

    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"), primary_key=True)
    t: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    is_global: Mapped[bool]
    type: Mapped[str]
    amount: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    # The how manyth of the client's events of this type it is, and what these add up to with it: a window of
    # any length is the difference of two rows.
    number: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[Decimal] = mapped_column(Numeric(28, 2))
    event_id: Mapped[str | None]
    answer: Mapped[str | None]  # as it was sent, where an event_id may ask for it again
    import_id: Mapped[UUID | None]

    client: Mapped[Client] = relationship(lazy="raise")


class EventOrder(Base):
    """The order and the unit that the first event fixed: one row, or none."""

    __tablename__ = "event_order"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, server_default="1")
    ordering: Mapped[str]
    time_unit: Mapped[str]


class EventHighWater(Base):
    """The latest t of a stream: 0 is that of all events, the others are those of single clients.

    Every write of events moves it, and only from where the writer saw it.
    """

    __tablename__ = "event_high_water"
    __table_args__ = ({"postgresql_with": {"fillfactor": "10"}},)

    stream: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    t: Mapped[int] = mapped_column(BigInteger)

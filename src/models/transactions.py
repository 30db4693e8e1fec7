"""A transaction: a buy or sell of a client. Partitioned by date; its key is unique over all partitions."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Numeric, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from src.models.base import Base
from src.models.clients import Client


class Transaction(Base):
    __tablename__ = "transaction"
    __table_args__ = (
        CheckConstraint("length(transaction_id) BETWEEN 1 AND 50", name="transaction_id"),
        CheckConstraint("transaction_type IN ('buy', 'sell')", name="type"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        CheckConstraint(
            "CASE transaction_type WHEN 'buy' THEN amount >= 0 ELSE amount <= 0 END", name="sign"
        ),
        CheckConstraint(
            "transaction_date >= '1970-01-01 00:00+00' AND transaction_date < '2100-01-01 00:00+00'",
            name="date",
        ),
        Index("ix_transaction_client_id_transaction_date", "client_id", "transaction_date"),
        Index("ix_transaction_import_id", "import_id", postgresql_using="brin"),
        {"postgresql_partition_by": "RANGE (transaction_date)"},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    transaction_date: Mapped[datetime] = mapped_column(primary_key=True)
    transaction_id: Mapped[str]
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"))
    transaction_type: Mapped[str]
    currency: Mapped[str]
    amount: Mapped[Decimal] = mapped_column(Numeric(15, 2))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    import_id: Mapped[UUID | None]

    client: Mapped[Client] = relationship(lazy="raise")


class TransactionKey(Base):
    """Every transaction id once, whatever its date: kept by triggers on `transaction`."""

    __tablename__ = "transaction_key"

    transaction_id: Mapped[str] = mapped_column(primary_key=True)

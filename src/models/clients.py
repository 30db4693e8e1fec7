"""A client: the one record that attendances, transactions and events point to."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, Numeric, Sequence, func, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from src.models.base import Base

CLIENT_NUMBER = Sequence("client_number", metadata=Base.metadata)  # of clients that come without an id


class Client(Base):
    """One known only from another dataset has nothing but its external id."""

    __tablename__ = "client"
    __table_args__ = (
        CheckConstraint("length(external_id) BETWEEN 1 AND 50", name="external_id"),
        CheckConstraint("email = lower(email) AND position('@' in email) > 1", name="email"),
        # Not a unique index: checked at the end of a statement, two clients can swap their addresses in it.
        ExcludeConstraint(
            ("email", "="),
            name="ex_client_email",
            using="btree",
            where=text("deleted_at IS NULL AND email IS NOT NULL"),
            deferrable=True,
            initially="IMMEDIATE",
        ),
        Index("ix_client_import_id", "import_id", postgresql_using="brin"),
        # Like that constraint, without the many clients of whom nothing but the external id is known.
        Index(
            "ix_client_country_id",
            text("lower(country)"),
            "id",
            postgresql_where=text("country IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    external_id: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str | None]
    email: Mapped[str | None]
    date_of_birth: Mapped[date | None]
    country: Mapped[str | None]
    account_balance: Mapped[Decimal] = mapped_column(Numeric(15, 2), server_default="0")
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None]
    import_id: Mapped[UUID | None]

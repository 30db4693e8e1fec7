"""Rollups of the atendimentos, kept by triggers in the transaction of whatever changes them. An attended
one counts on its done day, as on time or late; one that is not attended yet is open on its limit day."""

from datetime import date

from sqlalchemy import BigInteger, Computed, Integer, SmallInteger
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from src.models.base import Base


class MonthRollup(Base):
    """A month of an angel in a polo, of an angel everywhere, or of a polo as a whole: 0 stands for all."""

    __tablename__ = "indicator_month"
    __table_args__ = {"postgresql_with": {"fillfactor": "60"}}

    polo_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    angel_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    month: Mapped[date] = mapped_column(primary_key=True)  # its first day
    on_time: Mapped[int]
    late: Mapped[int]
    open: Mapped[int]
    days: Mapped[list[int]] = mapped_column(ARRAY(Integer))  # 31 on time, then 31 late, then 31 open


class AngelRollup(Base):
    """All that an angel ever did."""

    __tablename__ = "indicator_angel"

    angel_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    on_time: Mapped[int] = mapped_column(BigInteger)
    late: Mapped[int] = mapped_column(BigInteger)
    open: Mapped[int] = mapped_column(BigInteger)


class PoloRollup(Base):
    """All that was ever done in a polo, by the weekday: 1 is Monday."""

    __tablename__ = "indicator_polo"

    polo_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    weekday: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    on_time: Mapped[int] = mapped_column(BigInteger)
    late: Mapped[int] = mapped_column(BigInteger)
    open: Mapped[int] = mapped_column(BigInteger)


class ClientRollup(Base):
    """All that was ever done for 31 clients whose ids follow each other: an import changes many of them."""

    __tablename__ = "indicator_client_stretch"
    __table_args__ = {"postgresql_with": {"fillfactor": "60"}}

    stretch: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)  # their ids // 31
    counts: Mapped[list[int]] = mapped_column(ARRAY(Integer))  # 31 on time, then 31 late, then 31 open
    most: Mapped[int] = mapped_column(Computed("indicator_most(counts)", persisted=True))  # of one of them

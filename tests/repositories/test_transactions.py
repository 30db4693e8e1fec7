"""Transactions in their partitions: what a range reads, and that an id is unique over all of them."""

import re
from datetime import date

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from src.api.schemas.values import day_bounds
from src.domain.paging import PageQuery
from src.models import Client
from src.repositories.transactions import CONDITIONS
from src.wiring import Services, services
from tests.committing import Workshop

INSERT = """INSERT INTO transaction (transaction_id, client_id, transaction_type, transaction_date, currency, amount)
    VALUES (:key, :client, 'buy', :date, 'EUR', 1)"""
MANY = 6


@pytest.fixture
def client(workshop: Workshop) -> Client:
    with services() as s:
        return s.client_rows.create("7", {})


def insert(client: Client, key: str, day: str) -> None:
    with services() as s:
        s.session.execute(text(INSERT), {"key": key, "client": client.id, "date": f"{day} 00:00+00"})


def keys(s: Services) -> list[str]:
    return list(s.session.scalars(text("SELECT transaction_id FROM transaction_key ORDER BY 1")))


def partitions_read(s: Services, **filters: object) -> set[str]:
    """The partitions in the plan of the very statement that the list executes."""
    statement = s.transaction_rows._statement(PageQuery("-transaction_date"), ())
    for name, value in filters.items():
        statement = statement.where(CONDITIONS[name](value))
    compiled = statement.compile(s.session.get_bind(), compile_kwargs={"literal_binds": True})
    plan = "\n".join(s.session.scalars(text(f"EXPLAIN {str(compiled).replace(':', chr(92) + ':')}")))
    return set(re.findall(r"transaction_(\d{4}) ", plan))


def test_a_range_of_days_reads_only_the_partitions_that_it_touches(
    workshop: Workshop, client: Client
) -> None:
    insert(client, "t1", "2021-06-30")
    since, until = day_bounds(date(2019, 12, 31))[0], day_bounds(date(2020, 1, 1))[1]
    with services() as s:
        assert partitions_read(s, since=since, until=until) == {"2015", "2020"}
        assert partitions_read(s, since=day_bounds(date(2095, 1, 1))[0]) == {"2095"}
        assert partitions_read(s, until=day_bounds(date(1974, 12, 31))[1]) == {"1970"}
        assert len(partitions_read(s)) == 26, "without dates all are read"


def test_every_day_from_1970_to_2099_has_a_partition_and_no_other_has(client: Client) -> None:
    for day in ("1970-01-01", "1974-12-31", "1975-01-01", "2099-12-31"):
        insert(client, day, day)
    for day in ("1969-12-31", "2100-01-01"):
        with pytest.raises(IntegrityError, match="transaction"):
            insert(client, day, day)


def test_an_id_is_unique_over_all_partitions(client: Client) -> None:
    insert(client, "t1", "1980-01-01")
    with pytest.raises(IntegrityError, match="pk_transaction_key"):
        insert(client, "t1", "2020-01-01")


def test_twins_in_different_partitions_at_once_make_one_row(workshop: Workshop, client: Client) -> None:
    def make(number: int) -> bool:
        try:
            insert(client, "t1", f"{1980 + 5 * number}-01-01")
        except IntegrityError:
            return False
        return True

    for _ in range(3):
        assert sum(workshop.together(make, MANY)) == 1
        with services() as s:
            assert s.session.scalar(text("SELECT count(*) FROM transaction")) == 1
            assert keys(s) == ["t1"]
            s.session.execute(text("DELETE FROM transaction"))
            assert keys(s) == []


def test_a_second_one_waits_for_the_first_and_follows_what_becomes_of_it(
    workshop: Workshop, client: Client
) -> None:
    with pytest.raises(RuntimeError), services() as s:
        s.session.execute(text(INSERT), {"key": "t1", "client": client.id, "date": "1980-01-01"})
        second = workshop.in_thread(lambda: insert(client, "t1", "2020-01-01"))
        workshop.await_lock_waiters(1)
        raise RuntimeError("the first gives up")
    second.result(timeout=30)
    with services() as s:
        assert s.session.scalar(text("SELECT extract(year FROM transaction_date) FROM transaction")) == 2020


def test_a_copy_is_held_to_it_too_and_takes_all_or_nothing(client: Client) -> None:
    insert(client, "t3", "1980-01-01")
    lines = "".join(f"t{n}\t{client.id}\tbuy\t2020-01-0{n}\tEUR\t1\n" for n in range(1, 5))
    columns = "transaction_id, client_id, transaction_type, transaction_date, currency, amount"
    with pytest.raises(Exception, match="pk_transaction_key"), services() as s:
        driver = s.session.connection().connection.driver_connection
        assert driver is not None
        with driver.cursor().copy(f"COPY transaction ({columns}) FROM STDIN") as copy:
            copy.write(lines)
    with services() as s:
        assert keys(s) == ["t3"]


def test_it_holds_where_triggers_are_switched_off_for_speed(client: Client) -> None:
    insert(client, "t1", "1980-01-01")
    with pytest.raises(IntegrityError, match="pk_transaction_key"), services() as s:
        s.session.execute(text("SET LOCAL session_replication_role = replica"))
        s.session.execute(text(INSERT), {"key": "t1", "client": client.id, "date": "2020-01-01"})


def test_a_changed_date_moves_the_row_and_keeps_the_key(client: Client) -> None:
    insert(client, "t1", "1980-01-01")
    with services() as s:
        s.session.execute(text("UPDATE transaction SET transaction_date = '2020-01-01 00:00+00'"))
        assert keys(s) == ["t1"]
    with pytest.raises(IntegrityError, match="pk_transaction_key"):
        insert(client, "t1", "1980-01-01")

"""Rollups equal brute force after any history, whoever writes and however; and nobody waits in a circle."""

import random
from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from tests.committing import Workshop

each = pytest.mark.parametrize
NAMES = {"client": 4, "angel": 3, "polo": 3}
FIRST = datetime(2023, 12, 28, 22, 0)
# On a February with 29 days, over the end of a year, around midnight.
CELLS = """
    SELECT angel_id, polo_id, client_id, coalesce(data_de_atendimento, data_limite)::date AS day,
        CASE WHEN data_de_atendimento IS NULL THEN 2 WHEN data_de_atendimento <= data_limite THEN 0 ELSE 1 END,
        count(*)
    FROM atendimento WHERE deleted_at IS NULL GROUP BY 1, 2, 3, 4, 5
"""
COUNTS = ("on_time", "late", "open")


class History:
    """Random statements on a few names, in one transaction."""

    def __init__(self, connection: Connection, seed: int) -> None:
        self.connection = connection
        self.random = random.Random(seed)
        for table, count in NAMES.items():
            column = "external_id" if table == "client" else "name"
            self.run(
                f"INSERT INTO {table} ({column}) SELECT number::text FROM generate_series(1, {count}) AS number"
            )
        self.ids = {table: self.connection.scalars(text(f"SELECT id FROM {table}")).all() for table in NAMES}

    def run(self, statement: str, **values: Any) -> None:
        self.connection.execute(text(statement), values)

    def moment(self) -> datetime:
        hours = self.random.choice((1, 48, 70 * 24, 400 * 24))
        return FIRST + timedelta(minutes=self.random.randrange(60 * hours))

    def row(self) -> tuple[Any, ...]:
        limit = self.moment()
        done = self.random.choice((None, limit, limit + timedelta(microseconds=1), self.moment()))
        deleted = self.random.choice((None, None, None, FIRST))
        names = (self.random.choice(self.ids[table]) for table in ("client", "angel", "polo"))
        return (*names, limit, done, deleted)

    def rows(self) -> list[tuple[Any, ...]]:
        return [self.row() for _ in range(self.random.choice((1, 2, 30)))]

    def insert(self) -> None:
        for row in self.rows():
            self.run("INSERT INTO atendimento (client_id, angel_id, polo_id, data_limite, data_de_atendimento, "
                     "deleted_at) VALUES (:a, :b, :c, :d, :e, :f)", **dict(zip("abcdef", row, strict=True)))  # fmt: skip

    def insert_from_a_query(self) -> None:
        self.run("""INSERT INTO atendimento (client_id, angel_id, polo_id, data_limite, data_de_atendimento)
            SELECT client_id, angel_id, polo_id, data_limite - interval '33 days', data_limite FROM atendimento
            ORDER BY id LIMIT 9""")

    def copy(self) -> None:
        driver: Any = self.connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy(
            "COPY atendimento (client_id, angel_id, polo_id, data_limite, data_de_atendimento, deleted_at) FROM STDIN"
        ) as copy:  # fmt: skip
            for row in self.rows():
                copy.write_row(row)

    def update(self) -> None:
        column = self.random.choice(("data_limite", "data_de_atendimento"))
        self.run(f"UPDATE atendimento SET {column} = :moment WHERE id % 3 = :rest",
                 moment=self.moment(), rest=self.random.randrange(3))  # fmt: skip

    def move(self) -> None:
        table = self.random.choice(tuple(NAMES))
        self.run(f"UPDATE atendimento SET {table}_id = :id WHERE id % 5 = :rest",
                 id=self.random.choice(self.ids[table]), rest=self.random.randrange(5))  # fmt: skip

    def upsert(self) -> None:
        self.run("""INSERT INTO atendimento (external_id, client_id, angel_id, polo_id, data_limite)
            VALUES (:key, :a, :b, :c, :d) ON CONFLICT (external_id) WHERE deleted_at IS NULL
            DO UPDATE SET data_de_atendimento = excluded.data_limite, polo_id = excluded.polo_id""",
                 key=str(self.random.randrange(3)), **dict(zip("abcd", self.row()[:4], strict=True)))  # fmt: skip

    def change_what_does_not_count(self) -> None:
        self.run("UPDATE atendimento SET status = 'X', version = version + 1")

    def delete_softly(self) -> None:
        self.run(
            "UPDATE atendimento SET deleted_at = now() WHERE id % 7 = :rest", rest=self.random.randrange(7)
        )

    def restore(self) -> None:
        self.run("UPDATE atendimento SET deleted_at = NULL WHERE id % 4 = 1 AND external_id IS NULL")

    def delete(self) -> None:
        self.run("DELETE FROM atendimento WHERE id % 6 = :rest", rest=self.random.randrange(6))

    def go_on(self) -> None:
        steps = (self.insert, self.insert_from_a_query, self.copy, self.update, self.move, self.upsert,
                 self.change_what_does_not_count, self.delete_softly, self.restore, self.delete)  # fmt: skip
        self.random.choice(steps)()

    def check(self) -> None:
        months, angels, polos, clients = brute_force(self.connection)
        assert kept_months(self.connection) == months
        assert kept(self.connection, "indicator_angel", "angel_id") == angels
        assert kept(self.connection, "indicator_polo", "polo_id, weekday") == polos
        assert kept_clients(self.connection) == clients


def brute_force(connection: Connection) -> tuple[Counter[Any], ...]:
    """What each rollup should hold, counted row by row."""
    months: Counter[Any] = Counter()
    angels: Counter[Any] = Counter()
    polos: Counter[Any] = Counter()
    clients: Counter[Any] = Counter()
    for angel, polo, client, day, kind, count in connection.execute(text(CELLS)):
        for place in ((polo, angel), (0, angel), (polo, 0)):
            months[*place, day, kind] += count
            months[*place, day.replace(day=1), f"all {COUNTS[kind]}"] += count
        angels[angel, COUNTS[kind]] += count
        polos[polo, day.isoweekday(), COUNTS[kind]] += count
        clients[client, COUNTS[kind]] += count
    return months, angels, polos, clients


def kept_months(connection: Connection) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for row in connection.execute(text("SELECT * FROM indicator_month")).mappings():
        place, month = (row["polo_id"], row["angel_id"]), row["month"]
        for name in COUNTS:
            found[*place, month, f"all {name}"] = row[name]
        for number, count in enumerate(row["days"]):
            if count:  # there is no 31 February
                found[*place, date(month.year, month.month, number % 31 + 1), number // 31] = count
    return +found


def kept(connection: Connection, table: str, key: str) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for row in connection.execute(text(f"SELECT {key}, on_time, late, open FROM {table}")):
        for name, count in zip(COUNTS, row[-3:], strict=True):
            found[*row[:-3], name] = count
    assert not [key for key, count in found.items() if count < 0]
    return +found


def kept_clients(connection: Connection) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for stretch, counts, most in connection.execute(text("SELECT * FROM indicator_client_stretch")):
        assert min(counts) >= 0
        assert most == max(sum(counts[client::31]) for client in range(31))
        for number, count in enumerate(counts):
            found[stretch * 31 + number % 31, COUNTS[number // 31]] = count
    return +found


@each("role", ["origin", "replica"])
@each("seed", range(6))
def test_rollups_equal_brute_force_after_any_history(connection: Connection, seed: int, role: str) -> None:
    history = History(connection, seed)
    history.run(f"SET LOCAL session_replication_role = {role}")
    for _ in range(40):
        history.go_on()
        history.check()


def test_what_is_rolled_back_does_not_count(connection: Connection) -> None:
    history = History(connection, 7)
    history.insert()
    with connection.begin_nested() as step:
        history.copy()
        history.delete()
        step.rollback()
    history.check()


def test_an_emptied_table_has_empty_rollups(connection: Connection) -> None:
    history = History(connection, 7)
    history.copy()
    history.run("TRUNCATE atendimento")
    history.check()
    history.copy()
    history.check()


ROW = (
    "INSERT INTO atendimento (client_id, angel_id, polo_id, data_limite) VALUES (1, :angel, 1, '2024-02-29')"
)


def prepare(workshop: Workshop, angels: int) -> None:
    with workshop.database.unit_of_work() as session:
        session.execute(text("INSERT INTO client (external_id) VALUES ('7')"))
        session.execute(text("INSERT INTO polo (name) VALUES ('Centro')"))
        session.execute(
            text("INSERT INTO angel (name) SELECT n::text FROM generate_series(1, :n) AS n"), {"n": angels}
        )


def total(workshop: Workshop) -> int:
    with workshop.database.unit_of_work() as session:
        return session.scalars(text("SELECT sum(open) FROM indicator_angel")).one()


def test_transactions_that_touch_the_same_rollups_in_any_order_end(workshop: Workshop) -> None:
    angels, writers = 6, 12
    prepare(workshop, angels)

    def write(number: int) -> None:
        order = list(range(1, angels + 1))
        random.Random(number).shuffle(order)
        with workshop.database.unit_of_work() as session:
            for angel in order:
                session.execute(text(ROW), {"angel": angel})

    workshop.together(write, writers)
    assert total(workshop) == angels * writers


def test_a_long_insert_keeps_others_waiting_only_from_its_end_on(workshop: Workshop) -> None:
    prepare(workshop, 1)

    def add(session: Session) -> None:
        session.execute(text(ROW), {"angel": 1})

    with workshop.database.unit_of_work() as session:
        session.execute(text("SELECT 1 FROM atendimento"))
        with workshop.another_database().unit_of_work() as other:
            add(other)
        add(session)
        waiting = workshop.in_thread(lambda: add_alone(workshop))
        workshop.await_lock_waiters(1)
        with workshop.another_database().unit_of_work() as other:
            other.execute(text("UPDATE atendimento SET status = 'DONE'"))  # counts nothing: waits for nobody
    waiting.result(timeout=20)
    assert total(workshop) == 3


def add_alone(workshop: Workshop) -> None:
    with workshop.another_database().unit_of_work() as session:
        session.execute(text(ROW), {"angel": 1})

"""The tables that the jobs of tests write to."""

from sqlalchemy import text

from src.database import Database

LEDGER = "CREATE TABLE ledger (job_id uuid, fence bigint, line integer, PRIMARY KEY (job_id, line))"
RUNS = "CREATE TABLE runs (job_id uuid, at timestamptz DEFAULT clock_timestamp())"


def make_tables(database: Database) -> None:
    with database.bind.engine.begin() as connection:
        connection.exec_driver_sql(LEDGER)
        connection.exec_driver_sql(RUNS)


def has_tables(database: Database) -> bool:
    with database.unit_of_work() as session:
        return session.scalar(text("SELECT to_regclass('ledger')")) is not None

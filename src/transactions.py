"""Transactions of statements written by hand: what those who write them need, in a session as without one."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from psycopg import RawCursor
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from src.statements import SINCE, Call, Row, Value, rows_of

BEGIN, COMMIT = Call("BEGIN"), Call("COMMIT")
OUTCOME_PATIENCE = 20.0
# The transaction's number, and since when the server has not crashed.
TRANSACTION = f"pg_current_xact_id_if_assigned()::text || ' ' || {SINCE}"
ASSIGNED = f"pg_current_xact_id()::text || ' ' || {SINCE}"  # now, for one that is going to write
READ_OUTCOME = text("""SELECT pg_xact_status(CAST(:xid AS xid8)) FROM pg_stat_wal
    WHERE coalesce(stats_reset, '-infinity')::text = :since""")


class Transaction(Protocol):
    """What is done together, or not at all."""

    def run(self, statement: str, *values: Value) -> list[Row]: ...

    def run_all(self, *calls: Call) -> list[list[Row]]:
        """The rows of each, in one round trip."""
        ...

    def finish(self, statement: str, *values: Value) -> list[Row] | None:
        """Run the last statement. None: it is committed, but its rows were lost on the way."""
        ...

    def run_alone(self, statement: str, *values: Value) -> list[Row] | None:
        """The same of one that nothing comes before: all of it is one round trip."""
        ...

    @property
    def number(self) -> str | None:
        """What it will be known by, should the commit's answer be lost."""
        ...

    def note(self, number: str) -> None:
        """Let it be known by this, which was read in it."""
        ...

    def session(self) -> AbstractContextManager[Session]:
        """To read what is changed seldom."""
        ...


class InSession:
    """Part of a session's unit of work, which commits it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def run(self, statement: str, *values: Value) -> list[Row]:
        connection = self._session.connection()
        connection.info["wrote"] = True
        return run_on(connection, statement, values)

    def run_all(self, *calls: Call) -> list[list[Row]]:
        return [self.run(call.statement, *call.values) for call in calls]

    def finish(self, statement: str, *values: Value) -> list[Row] | None:
        return self.run(statement, *values)

    def run_alone(self, statement: str, *values: Value) -> list[Row] | None:
        """When it fails, the unit of work goes on without it."""
        with self._session.begin_nested():
            return self.run(statement, *values)

    @property
    def number(self) -> str | None:
        found: str | None = self._session.info.get("transaction")
        return found

    def note(self, number: str) -> None:
        self._session.info["transaction"] = number

    def session(self) -> AbstractContextManager[Session]:
        return nullcontext(self._session)


def run_on(connection: Connection, statement: str, values: Sequence[Value]) -> list[Row]:
    """The rows of a statement on the connection of a session, in its transaction."""
    driver: Any = connection.connection.driver_connection
    with RawCursor(driver) as cursor:
        cursor.execute(statement, [value if value is None else str(value) for value in values])
        return rows_of(cursor.pgresult)


def was_committed(engine: Engine, transaction: str) -> bool:
    """Read the outcome back, waiting for a restarting database; still running counts as no answer yet.

    After a crash nobody can tell, and what nobody can tell is not taken for done.
    """
    xid, _, since = transaction.partition(" ")
    deadline = time.monotonic() + OUTCOME_PATIENCE
    while True:
        try:
            with engine.connect() as connection:
                status = connection.scalar(READ_OUTCOME, {"xid": xid, "since": since})
            if status != "in progress":
                return bool(status == "committed")
        except (OperationalError, InterfaceError, PoolTimeout):
            if time.monotonic() > deadline:
                raise
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)

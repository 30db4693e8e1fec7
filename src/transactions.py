"""Transactions of statements written by hand: what those who write them need, in a session as without one."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from psycopg import RawCursor
from sqlalchemy import Connection, Engine, TextClause, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from src.statements import Call, Row, ServerSession, Value, rows_of

BEGIN, COMMIT = Call("BEGIN"), Call("COMMIT")
OUTCOME_PATIENCE = 20.0
# The transaction's number, and since when the server has not crashed: a crash begins the statistics anew, and
# gives numbers that never reached the disk to others, whose outcome would be taken for ours.
SINCE = "(SELECT coalesce(stats_reset, '-infinity')::text FROM pg_stat_wal)"
TRANSACTION = f"pg_current_xact_id_if_assigned()::text || ' ' || {SINCE}"
READ_OUTCOME = text("""SELECT pg_xact_status(CAST(:xid AS xid8)) FROM pg_stat_wal
    WHERE coalesce(stats_reset, '-infinity')::text = :since""")
LEAVE_MILLISECONDS = 1_000
END_SESSION = text("""SELECT pg_terminate_backend(pid, :patience) FROM pg_stat_activity
    WHERE pid = CAST(:pid AS int) AND backend_start::text = :since""")


class Transaction(Protocol):
    """What is done together, or not at all."""

    def run(self, statement: str, *values: Value) -> list[Row]: ...

    def run_all(self, *calls: Call) -> list[list[Row]]:
        """The rows of each, in one round trip."""
        ...

    def finish(self, statement: str, *values: Value) -> list[Row] | None:
        """Run the last statement. None: its rows were lost on the way. Whether it is committed, tables tell,
        since nothing of it is under way any more."""
        ...

    def run_alone(self, statement: str, *values: Value) -> list[Row] | None:
        """The same of one that nothing comes before: all of it is one round trip."""
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
    status = _asked_until(
        engine, READ_OUTCOME, {"xid": xid, "since": since}, lambda status: status != "in progress"
    )
    return bool(status == "committed")


def end_session(engine: Engine, session: ServerSession) -> None:
    """See to it that a session whose connection is lost does nothing more: neither is it at work, nor does
    anything that was sent to it still arrive."""
    values = {"pid": session.pid, "since": session.since, "patience": LEAVE_MILLISECONDS}
    if _asked_until(engine, END_SESSION, values, lambda has_ended: has_ended is not False) is False:
        raise OperationalError(str(END_SESSION), None, TimeoutError())


def _asked_until(
    engine: Engine, statement: TextClause, values: Mapping[str, object], is_it: Callable[[Any], bool]
) -> Any:
    """What it says in the end, however often it must be asked until then, also of a restarting database."""
    deadline = time.monotonic() + OUTCOME_PATIENCE
    while True:
        try:
            with engine.connect() as connection:
                found = connection.scalar(statement, values)
            if is_it(found) or time.monotonic() > deadline:
                return found
        except (OperationalError, InterfaceError, PoolTimeout):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)

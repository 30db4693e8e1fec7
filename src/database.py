"""The engine and the unit of work: the only place that commits or rolls back."""

import logging
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from src.domain.errors import Unavailable
from src.lines import Lines
from src.statements import Call, Row, Statements, Value
from src.transactions import (
    BEGIN,
    COMMIT,
    TRANSACTION,
    InSession,
    Transaction,
    end_session,
    run_on,
    was_committed,
)

log = logging.getLogger(__name__)
UNAVAILABLE = (
    OperationalError,
    InterfaceError,
    InternalError,
    PoolTimeout,
    psycopg.OperationalError,  # of a COPY, and of statements written by hand
    psycopg.InterfaceError,
    psycopg.InternalError,
)
READS = ("SELECT", "SHOW")


class DatabaseUnavailable(Unavailable):
    slug = "database-unavailable"
    title = "The database does not answer at the moment"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long statements, locks and idle transactions may last, and how many connections there are."""

    name: str
    statement_ms: int = 5_000
    lock_ms: int = 2_000
    idle_ms: int = 15_000
    pool_size: int = 10
    pool_wait_s: float = 1.8  # so that a client has its 503 within 2 s


WEB = Limits("web")
WORKER = Limits("worker", statement_ms=600_000, pool_size=2)  # a job's, and what it commits ahead
HEARTBEAT = Limits("heartbeat", statement_ms=3_000, pool_size=1)
SCHEDULER = Limits("scheduler", pool_size=2)
COMMAND = Limits("command", statement_ms=600_000, lock_ms=10_000, pool_size=2)


def make_engine(url: str, limits: Limits) -> Engine:
    """An engine whose sessions carry their limits, so that nothing waits for ever."""
    options = {
        "timezone": "UTC",
        "statement_timeout": limits.statement_ms,
        "lock_timeout": limits.lock_ms,
        "idle_in_transaction_session_timeout": limits.idle_ms,
        "client_connection_check_interval": 5_000,
        # For staged rows. From its first temporary table on, which a refresh has as well, a session keeps it.
        "temp_buffers": "64MB",
    }
    engine = create_engine(
        url,
        pool_size=limits.pool_size,
        max_overflow=0,
        pool_timeout=limits.pool_wait_s,
        pool_recycle=1_800,
        hide_parameters=True,  # what people send stays out of the logs
        connect_args={
            "application_name": f"indicators-{limits.name}",
            "connect_timeout": 2,
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
            "keepalives_idle": 30,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
        },
    )
    event.listen(engine, "checkout", _refuse_ended)
    event.listen(engine, "begin", _forget_writes)
    event.listen(engine, "before_cursor_execute", _note_writes)
    return engine


class Database:
    """Hands out units of work on an engine, or, in tests, on one connection that is rolled back."""

    def __init__(self, bind: Engine | Connection) -> None:
        self.bind = bind
        self._lines = Lines.of(bind.engine)
        event.listen(bind.engine, "engine_disposed", self._hang_up)

    @contextmanager
    def unit_of_work(self) -> Iterator[Session]:
        """Commit on success, roll back on any exception; what waits for the commit runs after it."""
        session = Session(self.bind, expire_on_commit=False, join_transaction_mode="create_savepoint")
        try:
            yield session
            self._commit(session)
        except UNAVAILABLE as error:
            _roll_back(session)
            raise DatabaseUnavailable(_reason(error), retry_after=2) from error
        except BaseException:
            _roll_back(session)
            raise
        finally:
            session.close()
        for action in session.info.get("after_commit", []):
            _follow(action)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """For what is done thousands of times a second: no session, and two round trips for all of it."""
        if isinstance(self.bind, Connection):
            with self.unit_of_work() as session:
                yield InSession(session)
            return
        with self._lent() as statements:
            direct = Direct(self, statements)
            yield direct
            direct.end()

    def ask(self, statement: str, *values: Value) -> list[Row]:
        """The rows of one statement written by hand, its own transaction: for what each request asks.

        A session takes longer to set up and down than such a statement takes.
        """
        if isinstance(self.bind, Connection):
            return run_on(self.bind, statement, values)
        with self._lent() as statements:
            return statements.run(Call(statement, values))[0]

    @contextmanager
    def _lent(self) -> Iterator[Statements]:
        try:
            with self._lines.lent() as statements:
                yield statements
        except UNAVAILABLE as error:
            raise DatabaseUnavailable(_reason(error), retry_after=2) from error

    def _commit(self, session: Session) -> None:
        """Commit; when the connection breaks meanwhile, ask the database what became of it."""
        session.flush()
        transaction: str | None = None
        if session.in_transaction() and session.connection().info.get("wrote"):
            transaction = session.scalar(text(f"SELECT {TRANSACTION}"))
        try:
            session.commit()
        except (OperationalError, InterfaceError) as error:
            if transaction is None or not error.connection_invalidated:
                raise
            if not was_committed(self.bind.engine, transaction):
                raise

    def dispose(self) -> None:
        """Forget all connections (after a fork: without closing the parent's)."""
        self._lines = Lines.of(self.bind.engine)
        self.bind.engine.dispose(close=False)

    def _hang_up(self, _engine: Engine) -> None:
        self._lines.close()


class Direct:
    """A transaction whose BEGIN travels with its first statement, and its COMMIT with its last."""

    def __init__(self, database: Database, statements: Statements) -> None:
        self.session = database.unit_of_work
        self._engine = database.bind.engine
        self._statements = statements

    def run(self, statement: str, *values: Value) -> list[Row]:
        return self.run_all(Call(statement, values))[0]

    def run_all(self, *calls: Call) -> list[list[Row]]:
        if self._statements.is_idle:
            return self._statements.run(BEGIN, *calls)[1:]
        return self._statements.run(*calls)

    def finish(self, statement: str, *values: Value) -> list[Row] | None:
        return self._unless_lost(lambda: self._statements.run(Call(statement, values), COMMIT)[0])

    def run_alone(self, statement: str, *values: Value) -> list[Row] | None:
        return self._unless_lost(lambda: self._statements.run_alone(Call(statement, values)))

    def end(self) -> None:
        """Commit, if that is still to be done, and can be."""
        if not self._statements.is_idle and not self._statements.is_broken:
            self._statements.run(COMMIT)

    def _unless_lost(self, commit: Callable[[], list[Row]]) -> list[Row] | None:
        """What it finds; None, when the connection breaks meanwhile."""
        try:
            return commit()
        except psycopg.OperationalError:
            if not self._statements.is_broken:
                raise
            end_session(self._engine, self._statements.session)
            return None


@contextmanager
def savepoint(session: Session, *, is_kept: bool = True) -> Iterator[None]:
    """Writes that go with the unit of work, or, for a dry run, are given up at the end.

    Of what is given up, nothing follows the commit either.
    """
    following = list(session.info.get("after_commit", ()))
    try:
        with session.begin_nested() as point:
            yield
            if is_kept:
                following = session.info.get("after_commit", following)
            else:
                point.rollback()
    finally:
        session.info["after_commit"] = following


def after_commit(session: Session, action: Callable[[], object]) -> None:
    """Run this when the session's unit of work is committed; never, when it is rolled back."""
    session.info.setdefault("after_commit", []).append(action)


def driver_connection(session: Session) -> Any:
    """psycopg's connection under the session, in the same transaction, for statements written by hand."""
    connection = session.connection()
    connection.info["wrote"] = True
    return connection.connection.driver_connection


def _roll_back(session: Session) -> None:
    """A connection that the server has ended is rolled back already, and of no more use."""
    try:
        session.rollback()
    except DBAPIError:
        session.invalidate()


def _follow(action: Callable[[], object]) -> None:
    """What is committed stays so: whatever fails now is left to the scheduler or to the sweep."""
    try:
        action()
    except Exception:
        log.exception("committed, but something that was to follow failed")


def _refuse_ended(connection: Any, _record: Any, _proxy: Any) -> None:
    """A server that ended an idle session said so, and the socket has something to read: another connection
    is taken. It costs no round trip, as asking the server before each use would."""
    if connection.closed or select.select([connection.fileno()], (), (), 0)[0]:
        raise DisconnectionError("the server has ended this session")


def _forget_writes(connection: Connection) -> None:
    connection.info["wrote"] = False


def _note_writes(connection: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
    if not statement.lstrip()[:6].upper().startswith(READS):
        connection.info["wrote"] = True


def _reason(error: Exception) -> str:
    """A sentence for the client; the server's own words stay in the log."""
    if isinstance(error, PoolTimeout):
        return "All connections to the database are busy; try again in a moment."
    state = getattr(getattr(error, "orig", error), "sqlstate", None) or ""
    known = {
        "57014": "The database took too long for this; try again, or ask for less.",
        "55P03": "Someone else is changing this just now; try again in a moment.",
        "53100": "The database has no room left.",
        "53300": "The database has no connection left; try again in a moment.",
    }
    return known.get(state, "The database does not answer at the moment; try again shortly.")

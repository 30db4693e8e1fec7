"""The engine and the unit of work: the only place that commits or rolls back."""

import logging
import select
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from src.domain.errors import Unavailable

log = logging.getLogger(__name__)
OUTCOME_PATIENCE = 20.0
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
# The transaction's number, and since when the server has not crashed: a crash begins the statistics anew, and
# gives numbers that never reached the disk to others, whose outcome would be taken for ours.
TRANSACTION = """pg_current_xact_id_if_assigned()::text || ' ' ||
    (SELECT coalesce(stats_reset, '-infinity')::text FROM pg_stat_wal)"""
READ_OUTCOME = text("""SELECT pg_xact_status(CAST(:xid AS xid8)) FROM pg_stat_wal
    WHERE coalesce(stats_reset, '-infinity')::text = :since""")


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

    def ask(self, statement: str, values: Mapping[str, Any]) -> list[Any]:
        """The rows of one statement written by hand, its own transaction: for what each request asks.

        A session takes longer to set up and down than such a statement takes.
        """
        if isinstance(self.bind, Connection):
            return _rows(self.bind.connection.driver_connection, statement, values)
        try:
            pooled = self.bind.raw_connection()
            driver: Any = pooled.driver_connection
            try:
                driver.autocommit = True
                rows = _rows(driver, statement, values)
                driver.autocommit = False
            except BaseException:
                pooled.invalidate()
                raise
            pooled.close()
        except UNAVAILABLE as error:
            raise DatabaseUnavailable(_reason(error), retry_after=2) from error
        return rows

    def _commit(self, session: Session) -> None:
        """Commit; when the connection breaks meanwhile, ask the database what became of it."""
        session.flush()
        transaction = session.info.pop("transaction", None)
        if transaction is None and session.in_transaction() and session.connection().info.get("wrote"):
            transaction = session.scalar(text(f"SELECT {TRANSACTION}"))
        try:
            session.commit()
        except (OperationalError, InterfaceError) as error:
            is_lost = transaction is not None and error.connection_invalidated
            if not is_lost or not self._was_committed(transaction):
                raise

    def _was_committed(self, transaction: str) -> bool:
        """Read the outcome back, waiting for a restarting database; still running counts as no answer yet.

        After a crash nobody can tell, and what nobody can tell is not taken for done.
        """
        xid, _, since = transaction.partition(" ")
        deadline = time.monotonic() + OUTCOME_PATIENCE
        while True:
            try:
                with self.bind.engine.connect() as connection:
                    status = connection.scalar(READ_OUTCOME, {"xid": xid, "since": since})
                if status != "in progress":
                    return bool(status == "committed")
            except (OperationalError, InterfaceError, PoolTimeout):
                if time.monotonic() > deadline:
                    raise
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)

    def dispose(self) -> None:
        """Forget all connections (after a fork: without closing the parent's)."""
        self.bind.engine.dispose(close=False)


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


def note_transaction(session: Session, transaction: str | None) -> None:
    """A statement written by hand told its TRANSACTION: the commit need not ask for it."""
    session.info["transaction"] = transaction


def _rows(driver: Any, statement: str, values: Mapping[str, Any]) -> list[Any]:
    cursor = driver.execute(statement, values, prepare=True)
    return list(cursor) if cursor.description else []


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

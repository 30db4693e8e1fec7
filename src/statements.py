"""Statements that libpq runs as they were prepared, several in one round trip: for what each request does.

A cursor takes ten times as long as such a statement leaves to do. Values go and come as text.
"""

import select
from collections.abc import Collection, Iterable
from itertools import count
from typing import Any, NamedTuple

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, PipelineStatus, TransactionStatus

from src.meanwhile import catch_up

Value = str | int | None
Row = tuple[bytes | None, ...]
MOST_KEPT = 100  # prepared statements of a connection
NUMBERS = count(1)
WHO_IS_THIS = b"SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()"
QUOTED = str.maketrans({'"': '\\"', "\\": "\\\\"})


class Call(NamedTuple):
    """A statement with $1, $2, …, and their values."""

    statement: str
    values: tuple[Value, ...] = ()


class Reading(NamedTuple):
    """What was read, and how: whoever finds it the same later may go by what followed from it."""

    call: Call
    rows: tuple[Row, ...]


class NoLongerSo(Exception):
    """Some of what callers went by reads otherwise by now. Nothing is stored."""

    def __init__(self, readings: Collection[Reading]) -> None:
        super().__init__(readings)
        self.readings = readings


class ServerSession(NamedTuple):
    """A session as the server knows it: its process, and since when."""

    pid: str
    since: str


class Statements:
    """Of one connection; what was prepared on it is kept with it."""

    def __init__(self, driver: Any) -> None:
        self._libpq = driver.pgconn
        self._kept: dict[str, bytes] = {}  # the one that was used last at the end
        self._poll = select.poll()
        found = self._libpq.exec_(WHO_IS_THIS)
        self._check(found)
        self.session = ServerSession(told(found.get_value(0, 0)), told(found.get_value(0, 1)))

    @property
    def is_idle(self) -> bool:
        """Whether no transaction is open."""
        return bool(self._libpq.transaction_status == TransactionStatus.IDLE)

    @property
    def is_broken(self) -> bool:
        """Whether it is of no more use: lost, or left in the middle of an answer."""
        libpq = self._libpq
        return bool(libpq.status != ConnStatus.OK or libpq.pipeline_status != PipelineStatus.OFF)

    def is_fit(self) -> bool:
        """Whether others may use it, now that what was open is rolled back."""
        if not self.is_broken and not self.is_idle:
            self._libpq.exec_(b"ROLLBACK")
        return not self.is_broken and self.is_idle

    def run(self, *calls: Call) -> list[list[Row]]:
        """The rows of each. When one fails, those behind it are not run."""
        names = [self._name(call.statement) if call.values else None for call in calls]
        libpq = self._libpq
        libpq.enter_pipeline_mode()
        for name, call in zip(names, calls, strict=True):
            if name is None:  # BEGIN, COMMIT
                libpq.send_query_params(call.statement.encode(), None)
            else:
                libpq.send_query_prepared(name, [_text(value) for value in call.values])
        libpq.pipeline_sync()
        self._send()
        results = [self._result() for _ in range(len(calls) + 1)]
        libpq.get_result()
        libpq.exit_pipeline_mode()
        for result in results:
            self._check(result)
        return [rows_of(result) for result in results[:-1]]

    def run_alone(self, call: Call) -> list[Row]:
        """One that is a transaction by itself: without all that it takes to send several."""
        name = self._name(call.statement)
        self._libpq.send_query_prepared(name, [_text(value) for value in call.values])
        self._send()
        result = self._result()
        self._arrive()  # its transaction has ended only now
        self._libpq.get_result()
        self._check(result)
        return rows_of(result)

    def _name(self, statement: str) -> bytes:
        """Under which it is prepared on this connection, by now if not before."""
        name = self._kept.pop(statement, None)
        if name is None:
            if len(self._kept) >= MOST_KEPT:
                oldest = next(iter(self._kept))
                self._check(self._libpq.exec_(b"DEALLOCATE " + self._kept.pop(oldest)))
            name = b"kept_%d" % next(NUMBERS)
            self._check(self._libpq.prepare(name, statement.encode()))
        self._kept[statement] = name
        return name

    def _send(self) -> None:
        """A server that is answering already may wait until it is listened to."""
        while self._libpq.flush():
            if self._wait(select.POLLIN | select.POLLOUT) & select.POLLIN:
                self._libpq.consume_input()

    def _result(self) -> Any:
        """The next result; between two there is a None."""
        libpq = self._libpq
        while True:
            self._arrive()
            result = libpq.get_result()
            if libpq.status != ConnStatus.OK:
                raise psycopg.OperationalError("the connection is lost")
            if result is not None:
                return result

    def _arrive(self) -> None:
        """Until what comes next is here. libpq waits for it as well, but with all threads of the process."""
        libpq = self._libpq
        if libpq.is_busy():
            catch_up()
        while libpq.is_busy():
            self._wait(select.POLLIN)
            libpq.consume_input()

    def _check(self, result: Any) -> None:
        """Raise what went wrong. Of a connection that is lost, libpq tells no more than that."""
        if self._libpq.status != ConnStatus.OK:
            raise psycopg.OperationalError("the connection is lost")
        if result.status == ExecStatus.FATAL_ERROR:
            raise error_from_result(result)

    def _wait(self, events: int) -> int:
        self._poll.register(self._libpq.socket, events)
        return self._poll.poll()[0][1]


def told(value: bytes | None) -> str:
    """A value that came, as text; NULL is none."""
    return (value or b"").decode()


def rows_of(result: Any) -> list[Row]:
    """As they came."""
    width, get = result.nfields, result.get_value
    return [tuple([get(row, column) for column in range(width)]) for row in range(result.ntuples)]


def _text(value: Value) -> bytes | None:
    return None if value is None else str(value).encode()


def array_of(values: Iterable[object]) -> str:
    """An array as PostgreSQL reads it, of values that need no quotes."""
    return f"{{{','.join(map(str, values))}}}"


def texts_of(values: Iterable[str | None]) -> str:
    """An array of any texts."""
    return array_of("NULL" if one is None else f'"{one.translate(QUOTED)}"' for one in values)

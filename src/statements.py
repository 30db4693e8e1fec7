"""Statements that libpq runs as they were prepared, several in one round trip: for what each request does.

A cursor takes ten times as long as such a statement leaves to do. Values go and come as text.
"""

import select
from collections.abc import Callable, Collection, Iterable
from itertools import count
from typing import Any, NamedTuple

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, PipelineStatus, TransactionStatus

Value = str | int | None
Row = tuple[bytes | None, ...]
MOST_KEPT = 100  # prepared statements of a connection
NUMBERS = count(1)
QUOTED = str.maketrans({'"': '\\"', "\\": "\\\\"})


class Call(NamedTuple):
    """A statement with $1, $2, …, and their values."""

    statement: str
    values: tuple[Value, ...] = ()


NUMBER = "SELECT pg_current_xact_id()"
# Since when the server has not crashed: a crash begins the statistics anew, and gives numbers that never
# reached the disk to others, whose outcome would be taken for ours.
SINCE = "(SELECT coalesce(stats_reset, '-infinity')::text FROM pg_stat_wal)"


class Reading(NamedTuple):
    """What was read, and how: whoever finds it the same later may go by what followed from it."""

    call: Call
    rows: tuple[Row, ...]


class NoLongerSo(Exception):
    """Some of what callers went by reads otherwise by now. Nothing is stored."""

    def __init__(self, readings: Collection[Reading]) -> None:
        super().__init__(readings)
        self.readings = readings


class Statements:
    """Of one connection; what was prepared on it is kept with it."""

    def __init__(self, driver: Any) -> None:
        self._libpq = driver.pgconn
        self._kept: dict[str, bytes] = {}
        self._poll = select.poll()
        self._since: str | None = None

    @property
    def since(self) -> str:
        """Since when the server has not crashed. As long as this connection lives, it does not either."""
        if self._since is None:
            self._since = told(self._libpq.exec_(f"SELECT {SINCE}".encode()).get_value(0, 0))
        return self._since

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
        return self._answers(len(calls))

    def run_alone(self, call: Call, note: Callable[[str], object]) -> list[Row]:
        """One that is a transaction by itself, in one round trip.

        The transaction's number, and since when it means this one, is noted as soon as it comes, ahead of the
        statement's end: should the connection break meanwhile, one can ask what became of it.
        """
        since = self.since
        number, name = self._name(NUMBER), self._name(call.statement)
        libpq = self._libpq
        libpq.enter_pipeline_mode()
        libpq.send_query_prepared(number, None)
        libpq.send_flush_request()
        libpq.send_query_prepared(name, [_text(value) for value in call.values])
        return self._answers(2, lambda rows: note(f"{told(rows[0][0])} {since}"))[1]

    def _answers(self, count: int, tell: Callable[[list[Row]], object] | None = None) -> list[list[Row]]:
        """What came of so many statements, once all of it is there; what the first found is told at once."""
        libpq = self._libpq
        libpq.pipeline_sync()
        self._send()
        results = [self._result()]
        if tell is not None and results[0].status == ExecStatus.TUPLES_OK:
            tell(rows_of(results[0]))
        results += [self._result() for _ in range(count)]
        libpq.get_result()
        libpq.exit_pipeline_mode()
        for result in results:
            self._check(result)
        return [rows_of(result) for result in results[:-1]]

    def _name(self, statement: str) -> bytes:
        """Under which it is prepared on this connection, by now if not before."""
        name = self._kept.get(statement)
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
            while libpq.is_busy():
                self._wait(select.POLLIN)
                libpq.consume_input()
            result = libpq.get_result()
            if libpq.status != ConnStatus.OK:
                raise psycopg.OperationalError("the connection is lost")
            if result is not None:
                return result

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

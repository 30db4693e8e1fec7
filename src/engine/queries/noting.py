"""What is told of rows while they are written, so that nobody reads their file again for it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from inspect import Parameter, Signature
from threading import Lock
from typing import TYPE_CHECKING

from src.engine.queries.statements import NoteStatement

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

MOST_HELD = 122_880  # rows that are not in their table yet: as many as it keeps together


@contextmanager
def taking(notes: Sequence[NoteStatement], session: "DuckDBPyConnection") -> Iterator[None]:
    """While rows are written, in other sessions: their notes become tables of this one."""
    lock = Lock()  # one statement of the session at a time
    tables = [_Table(note, session, lock) for note in notes]
    for table in tables:
        table.create()
    try:
        yield
    except Exception as error:  # of an error of ours, DuckDB hands on no more than a text
        failure = next((table.failure for table in tables if table.failure), None)
        if failure is None:
            raise
        raise failure from error
    for table in tables:
        table.add_held()


class _Table:
    """Notes of one kind. Several threads take them, in turn."""

    def __init__(self, note: NoteStatement, session: "DuckDBPyConnection", lock: Lock) -> None:
        self._note = note
        self._session = session
        self._lock = lock
        self._held: list[Sequence[pa.ChunkedArray]] = []
        self._rows = 0
        self.failure: Exception | None = None

    def create(self) -> None:
        """The table, and the function that adds to it."""
        from duckdb.func import ARROW, SPECIAL

        first, *others = self._note.columns
        columns = ", ".join([f"{first} bigint", *(f"{name} varchar" for name in others)])
        self._session.execute(f"create temp table {self._note.name} ({columns})")
        self._session.create_function(
            self._note.name,
            self._function(),
            ["BIGINT", *("VARCHAR" for _ in others)],
            "BOOLEAN",
            type=ARROW,
            null_handling=SPECIAL,
            side_effects=True,
        )

    def _function(self) -> "Callable[..., pa.Array]":
        """As DuckDB wants it, which counts the parameters, and would evaluate what is said of their types."""

        def take(*columns):  # type: ignore[no-untyped-def]
            return self._take(columns)

        named = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in self._note.columns]
        take.__signature__ = Signature(named)  # type: ignore[attr-defined]
        return take

    def _take(self, columns: "Sequence[pa.ChunkedArray]") -> "pa.Array":
        """Some rows that are just passing by: all of them may."""
        import pyarrow as pa

        count = len(columns[0])
        try:
            with self._lock:
                self._held.append(columns)
                self._rows += count
                if self._rows >= MOST_HELD:
                    self.add_held()
        except Exception as error:
            self.failure = error
            raise
        return pa.repeat(True, count)

    def add_held(self) -> None:
        import pyarrow as pa

        if self._held:
            names = list(self._note.columns)
            rows = pa.concat_tables(pa.table(list(columns), names) for columns in self._held)
            self._held, self._rows = [], 0
            self._session.register("held", rows.combine_chunks())
            self._session.execute(f"insert into {self._note.name} from held")
            self._session.unregister("held")

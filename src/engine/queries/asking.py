"""Statements asked of DuckDB, one after the other: what is found first, then the result."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.engine.duck import batches_of
from src.engine.queries.bits import Bits
from src.engine.queries.distinct import find_kept, numbered
from src.engine.queries.sources import Source
from src.engine.queries.statements import Asked, PartStatement, Statements
from src.engine.queries.writing import ROWS_PER_BATCH, write
from src.engine.values import OnProgress

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

Watch = Callable[["DuckDBPyConnection"], None]  # from now on, how far this one is, is what is told
SECONDS_BETWEEN_LOOKS = 0.2
MOST_NUMBERED_BY_SQL = 500_000


@dataclass(frozen=True)
class Answer:
    """How many rows were found, and which sources were not read as they were proven to be."""

    rows: int
    misread: set[str]


def answers(
    both: "Sequence[DuckDBPyConnection]",
    every: Sequence[Asked],
    sources: Mapping[str, Source],
    folder: Path,
    watch: Watch,
) -> list[Answer]:
    """One after the other up to those that find nothing; then the first of the rest beside the others."""
    watch(both[0])

    def answer(asked: Asked, session: "DuckDBPyConnection" = both[0]) -> Answer:
        asking = Asking(session, {name: sources[name] for name in asked.sources}, folder, watch)
        for part in asked.statements.parts:
            asking.find(part)
        written = asking.write(asked.statements, Path(asked.target))
        return Answer(written, asking.misread)

    found: list[Answer] = []
    first = list(takewhile(lambda asked: asked.must_be_empty, every))
    for asked in first:
        found.append(answer(asked))
        if found[-1].rows:
            return found
    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(lambda: [answer(asked, both[1]) for asked in every[len(first) + 1 :]])
        return [*found, *map(answer, every[len(first) : len(first) + 1]), *others.result()]


@dataclass(frozen=True)
class Asking:
    """A connection that knows the sources, and the sets of row numbers that were found so far.

    `misread` are the sources that were not read as they were proven to be.
    """

    connection: "DuckDBPyConnection"
    sources: Mapping[str, Source]
    folder: Path
    watch: Watch
    sets: dict[str, Bits] = field(default_factory=dict)
    misread: set[str] = field(default_factory=set)

    def find(self, part: PartStatement) -> None:
        """Row numbers of a file become a string of bits, as long as the file; all else becomes a table."""
        if part.refusal is not None:
            part.refuse(self.connection.execute(f"select row, cell from ({part.select}) limit 1").fetchall())
        elif part.set_of is not None:
            self.sets[part.name] = self._numbers(part, self.sources[part.set_of].rows)
            _share(self.connection, part.name, self.sets[part.name])
        else:
            self.connection.execute(f"create or replace temp table {part.name} as {part.select}")
            if not part.may_stop:
                self._look(self.connection)

    def _numbers(self, part: PartStatement, rows: int) -> Bits:
        if part.keep is not None:
            return find_kept(part, part.keep, rows, self.folder, self._batches)
        found = Bits(rows)
        for batch in self._batches(f"select row from ({part.select})"):
            found.add(batch["row"].to_numpy())
        return found

    def _batches(self, select: str) -> "Iterator[pa.RecordBatch]":
        yield from batches_of(self.connection, select, ROWS_PER_BATCH)
        self._look(self.connection)

    def write(self, statements: Statements, target: Path) -> int:
        """The result. Where its rows need their numbers, and are many, they are numbered on their way."""
        (name, source), *others = self.sources.items()
        is_long = not others and source.text and source.rows > MOST_NUMBERED_BY_SQL
        if not (is_long and statements.is_divisible):
            written = write(self.connection, statements, target)
            self._look(self.connection)
            return written
        with self.connection.cursor() as connection:
            self.watch(connection)
            for known, bits in self.sets.items():
                _share(connection, known, bits)
            columns = [column for column in source.columns if f'"{column}"' in statements.select]
            connection.register(name, self._numbered(name, columns))
            return write(connection, statements, target)

    def _numbered(self, name: str, columns: Sequence[str]) -> "pa.RecordBatchReader":
        """All rows of a source in its order. DuckDB numbers them too, but lets one thread do it all then."""
        import pyarrow as pa

        schema = pa.schema([("row", pa.int64()), *((column, pa.string()) for column in columns)])
        batches = self._batches(f"select {', '.join(columns)} from {name}")
        return pa.RecordBatchReader.from_batches(schema, numbered(batches))

    def _look(self, connection: "DuckDBPyConnection") -> None:
        """Note the sources that were not read to the end as they were proven to be, by the last statement.

        One that stops early, at a limit, has a reason not to.
        """
        rows = {str(one.files[0]): (name, one.rows) for name, one in self.sources.items() if one.text}
        operators = list(_operators(json.loads(connection.get_profiling_information(format="json"))))
        if any("LIMIT" in operator["type"] for operator in operators):
            return
        for operator in operators:
            name, proven = rows.get(operator.get("extra_info", {}).get("Filename(s)", ""), ("", 0))
            if name and operator["rows_scanned"] != proven:
                self.misread.add(name)


def _share(connection: "DuckDBPyConnection", name: str, bits: Bits) -> None:
    """Make a set known to the statements of a connection."""
    connection.execute(f"set variable {name} = (select $1::blob::bit)", [bits.to_bytes()])


def _operators(plan: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for operator in (*plan.get("operator", ()), *plan.get("children", ())):
        yield operator
        yield from _operators(operator)


@contextmanager
def watching(on_progress: OnProgress) -> Iterator[Watch]:
    """Tell how far the statement is that is executed by the connection that is watched."""
    import duckdb

    is_over = threading.Event()
    watched: list[DuckDBPyConnection] = []

    def look() -> None:
        while not is_over.wait(SECONDS_BETWEEN_LOOKS):
            with suppress(IndexError, duckdb.ConnectionException):  # none yet, or closed already
                on_progress(max(0, int(watched[-1].query_progress())), 100, "percent")

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watched.append
    finally:
        is_over.set()
        thread.join()

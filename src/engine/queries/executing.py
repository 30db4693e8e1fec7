"""The child's part of a query: its sources as views of a locked DuckDB, then its statements."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from src.engine.duck import THREADS, connect, quoted
from src.engine.queries.statements import PartStatement, Statements
from src.engine.queries.writing import write
from src.engine.reading.relation import COLUMNS_PER_FILE, Relation, column_names
from src.engine.values import OnProgress, Sandbox

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SECONDS_BETWEEN_LOOKS = 0.2
LOOKED_AFTER: Mapping[str, object] = {
    "enable_progress_bar": True,
    "enable_progress_bar_print": False,
    "enable_profiling": "no_output",
}


@dataclass(frozen=True)
class Source:
    """What a view is made of: converted columns, a regular file as it is, or what a cluster found."""

    rows: int
    relation: Relation | None = None
    text: Mapping[str, Any] | None = None
    found: Mapping[str, Any] | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        relation = data["relation"]
        relation = Relation.from_json(relation) if relation else None
        return cls(data["rows"], relation, data["text"], data["found"])

    @property
    def files(self) -> list[Path]:
        if self.found:
            return [Path(file) for file in self.found["files"]]
        if self.relation:
            return [Path(file) for file in self.relation.files]
        return [Path((self.text or {})["path"])]

    def view(self) -> str:
        """The rows with their numbers, which are the order of the file."""
        if self.found:
            return _found(**self.found)
        if self.relation:
            return _columns(self.relation)
        return _text(**(self.text or {}))


def read_query(
    arguments: Mapping[str, Any], folder: Path, sandbox: Sandbox, on_progress: OnProgress
) -> dict[str, Any]:
    """Execute the statements, and write what is selected to the file `target`.

    `misread` are the sources that DuckDB did not read as they were proven to be: then nothing counts.
    """
    statements, target = Statements.from_json(arguments["statements"]), Path(arguments["target"])
    sources = {name: Source.from_json(source) for name, source in arguments["sources"].items()}
    paths = [path for source in sources.values() for path in source.files]
    settings = {**LOOKED_AFTER, "threads": THREADS}
    if statements.is_joined:  # rows come out in order if they pass by one after the other, and on the left
        settings |= {"threads": 1, "disabled_optimizers": "build_side_probe_side,join_order"}
    misread: set[str] = set()
    with (
        connect(folder, paths, sandbox, target.parent, in_order=True, more=settings) as connection,
        _watched(connection, on_progress),
    ):
        for name, source in sources.items():
            connection.execute(f"create view {name} as {source.view()}")
        for part in statements.parts:
            _find(connection, part, sources)
            if not part.may_stop:
                misread |= _misread(connection, sources)
        written = write(connection, statements, target)
        misread |= _misread(connection, sources)
    return {"rows_out": written, "misread": sorted(misread)}


def _text(
    path: str, width: int, delimiter: str, quote: str, *, has_header: bool, has_breaks: bool, longest: int
) -> str:
    """A regular file, told how it is written; from several places at once only if no cell holds a line end.

    The kind of line ends is not told: with `new_line` set, DuckDB 2.0 finds no rows at all.
    """
    names = [f"c{place}" for place in range(width)]
    columns = ", ".join(f"{name}: 'VARCHAR'" for name in names)
    return (
        f"select row_number() over () - 1 as row, {', '.join(names)} from read_csv({quoted(path)}, "
        f"auto_detect = false, header = {has_header}, columns = {{{columns}}}, delim = {quoted(delimiter)}, "
        f"quote = {quoted(quote)}, escape = {quoted(quote)}, allow_quoted_nulls = false, strict_mode = true, "
        f"null_padding = false, parallel = {not has_breaks}, max_line_size = {longest})"
    )


def _columns(relation: Relation) -> str:
    """Columns that were converted; where they are in several files, row by row beside each other."""
    width, first = len(relation.names), relation.files[0]
    if width <= COLUMNS_PER_FILE:
        names = ", ".join(column_names(width, 0))
        source = f"read_parquet({quoted(first)}, file_row_number = true)"
        return f"select file_row_number as row, {names} from {source}"
    files = " positional join ".join(f"read_parquet({quoted(file)})" for file in relation.files)
    names = ", ".join(f"c{place}" for place in range(width))
    return f"select row_number() over () - 1 as row, {names} from {files}"


def _find(connection: "DuckDBPyConnection", part: PartStatement, sources: Mapping[str, Source]) -> None:
    """Row numbers of a file become a string of bits, as long as the file; all else becomes a table."""
    if part.refusal is not None:
        part.refuse(connection.execute(f"select row, cell from ({part.select}) limit 1").fetchall())
    elif part.set_of is not None:
        last = max(0, sources[part.set_of].rows - 1)
        bits = f"select bitstring_agg(row, 0::bigint, {last}::bigint) from ({part.select})"
        connection.execute(f"set variable {part.name} = ({bits})")
    else:
        connection.execute(f"create temp table {part.name} as {part.select}")


def _found(files: list[str], columns: list[str], times: list[str]) -> str:
    """Typed columns in several files, one after the other. Their times are in UTC, and say so; ours don't."""
    selected = [f"cast({name} as timestamp) as {name}" if name in times else name for name in columns]
    paths = ", ".join(map(quoted, files))
    return f"select row_number() over () - 1 as row, {', '.join(selected)} from read_parquet([{paths}])"


def _misread(connection: "DuckDBPyConnection", sources: Mapping[str, Source]) -> set[str]:
    """The sources that were not read to the end as they were proven to be, by the last statement.

    One that stops early, at a limit, has a reason not to.
    """
    rows = {str(source.files[0]): (name, source.rows) for name, source in sources.items() if source.text}
    operators = list(_operators(json.loads(connection.get_profiling_information(format="json"))))
    if any("LIMIT" in operator["type"] for operator in operators):
        return set()
    found = set()
    for operator in operators:
        name, proven = rows.get(operator.get("extra_info", {}).get("Filename(s)", ""), ("", 0))
        if name and operator["rows_scanned"] != proven:
            found.add(name)
    return found


def _operators(plan: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for operator in (*plan.get("operator", ()), *plan.get("children", ())):
        yield operator
        yield from _operators(operator)


@contextmanager
def _watched(connection: "DuckDBPyConnection", on_progress: OnProgress) -> Iterator[None]:
    """Tell how far the statement is that is executed."""
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(SECONDS_BETWEEN_LOOKS):
            on_progress(max(0, int(connection.query_progress())), 100, "percent")

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()

"""Parquet files, whatever types they have: their values as texts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from src.engine.duck import batches_of, connect, quoted, refusing_damage
from src.engine.reading.formats import EmptyFile
from src.engine.reading.records import check_width
from src.engine.reading.relation import Relation, column_files, column_names
from src.engine.values import OnProgress, ReadLimits, Sandbox

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

ROWS_PER_GROUP = 20_480


@dataclass(frozen=True)
class _Described:
    """A Parquet file for SQL: what to select from, each column as text, its names, its rows."""

    source: str
    texts: list[str]
    kinds: list[str]
    names: list[str]
    rows: int


def head_of_parquet(
    path: Path, rows: int, folder: Path, limits: ReadLimits, sandbox: Sandbox
) -> tuple[list[str], list[list[str]], bool]:
    """The names, the first rows in the file's order, and whether there are more."""
    with connect(folder, [path], sandbox, in_order=True) as connection, refusing_damage():
        table = _describe(connection, path, limits.columns)
        query = f"select {', '.join(table.texts)} from {table.source} limit {int(rows)}"
        found = connection.execute(query).fetchall()
    texts = [["" if cell is None else cell for cell in row] for row in found]
    return table.names, texts, table.rows > rows


def stream_of_parquet(
    path: Path, folder: Path, limits: ReadLimits, sandbox: Sandbox, marks: Mapping[int, str]
) -> "Iterator[pa.RecordBatch]":
    """All columns in the file's order; numbers are written plainly, with the mark that their column has."""
    with connect(folder, [path], sandbox, in_order=True) as connection, refusing_damage():
        table = _describe(connection, path, limits.columns)
        texts = [_plainly(f"c{place}", kind, marks.get(place, ".")) for place, kind in enumerate(table.kinds)]
        query = f"select {', '.join(texts)} from {table.source}"
        yield from batches_of(connection, query, ROWS_PER_GROUP)


def from_parquet(
    folder: Path, path: Path, spill: Path, limits: ReadLimits, sandbox: Sandbox, on_progress: OnProgress
) -> Relation:
    """Convert the columns to texts, a file of them at a time."""
    with connect(spill, [path], sandbox, folder) as connection, refusing_damage():
        table = _describe(connection, path, limits.columns)
        width = len(table.names)
        files = column_files(folder, width)
        for number, file in enumerate(files):
            on_progress(number, len(files), "parts converted")
            names = column_names(width, number)
            first = int(names[0][1:])
            texts = ", ".join(table.texts[first : first + len(names)])
            connection.execute(
                f"copy (select {texts} from {table.source}) to {quoted(file)} "
                f"(format parquet, compression lz4_raw, row_group_size {ROWS_PER_GROUP})"
            )
    return Relation([str(file) for file in files], table.names, table.rows)


def _describe(connection: "DuckDBPyConnection", path: Path, columns: int) -> _Described:
    found = connection.execute(f"describe select * from read_parquet({quoted(path)})").fetchall()
    check_width(len(found), columns)
    if not found:
        raise EmptyFile("The Parquet file has no columns.")
    aliases = ", ".join(f"c{place}" for place in range(len(found)))
    source = f"read_parquet({quoted(path)}) as t({aliases})"
    ((rows,),) = connection.execute(f"select count(*) from {source}").fetchall()
    texts = [_as_text(f"c{place}", kind) for place, (_, kind, *_) in enumerate(found)]
    return _Described(source, texts, [kind for _, kind, *_ in found], [name for name, *_ in found], rows)


def _plainly(column: str, kind: str, mark: str) -> str:
    """Like the cells of a workbook: no noise of binary fractions, no zeros at the end; UTC is a Z."""
    text = f"cast({column} as varchar)"
    if kind == "DOUBLE":
        is_whole = f"{column} = trunc({column}) and abs({column}) < 1e38"  # all digits count: it may be an id
        digits = f"cast(cast({column} as hugeint) as varchar)"
        written = f"case when abs({column}) < 1e15 then printf('%.15g', {column}) else {text} end"
        text = f"case when isnan({column}) then null when {is_whole} then {digits} else {written} end"
    elif kind == "FLOAT":
        text = f"case when isnan({column}) then null else {text} end"
    if kind in ("FLOAT", "DOUBLE") or kind.startswith("DECIMAL"):
        text = rf"replace(regexp_replace({text}, '\.0+$|(\.[0-9]*[1-9])0+$', '\1'), '.', {quoted(mark)})"
    elif kind == "TIMESTAMP WITH TIME ZONE":
        text = rf"regexp_replace({text}, '\+00$', 'Z')"
    return f"{text} as {column}"


def _as_text(column: str, kind: str) -> str:
    """What is not a number counts as empty."""
    text = f"cast({column} as varchar)"
    if kind in ("FLOAT", "DOUBLE"):
        text = f"case when isnan({column}) then null else {text} end"
    return f"{text} as {column}"

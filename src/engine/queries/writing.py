"""The result of a query as a file: CSV and JSON lines by DuckDB, Parquet and workbooks batch by batch.

The same rows give the same bytes.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from src.engine.duck import quoted
from src.engine.export import harmless, xlsx_file
from src.engine.queries.statements import Statements

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

ROWS_PER_BATCH = 122_880
CSV = """quote '"', escape '"', delimiter ','"""
LINES = "quote '', escape '', delimiter '\x01'"
MOST_DIGITS = 15  # of a number in a workbook
MOST_EXACT = 38  # of a decimal


def write(
    connection: "DuckDBPyConnection", statements: Statements, target: Path, *, piece: int | None = None
) -> int:
    """Execute what selects the result, write it to `target`, and tell how many rows it has.

    A `piece` of a result, of which the first is number 0, is found by one thread: rows are in order as they
    come, and to put them into it would take memory.
    """
    in_turn = "" if piece is None else ", preserve_order false"
    if statements.format == "csv":
        header = None if piece else header_of(statements.headers)
        return _copy(connection, statements.select, target, CSV + in_turn, header)
    if statements.format == "jsonl":
        return _copy(connection, statements.select, target, LINES + in_turn)
    batches = cast("pa.RecordBatchReader", connection.sql(statements.select).to_arrow_reader(ROWS_PER_BATCH))
    if statements.format == "parquet":
        return _parquet(batches, statements.headers, target)
    return _workbook(batches, statements, target)


def _copy(
    connection: "DuckDBPyConnection", select: str, target: Path, options: str, header: str | None = None
) -> int:
    """A header in words of ours: DuckDB would change one of two names that differ in nothing but capitals."""
    if header is not None:
        options += f", prefix {quoted(header)}, suffix '\n'"
    ((written,),) = connection.execute(
        f"copy ({select}) to {quoted(target)} (format csv, header false, {options})"
    ).fetchall()
    if header is not None and not written:  # the suffix, meant for the last row, would be an empty one
        target.write_bytes(header.encode())
    return int(written)


def header_of(names: Sequence[str]) -> str:
    """The names as the first line of a CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(map(harmless, names))
    return line.getvalue()


def _parquet(batches: "pa.RecordBatchReader", headers: list[str], target: Path) -> int:
    """Texts of the file as texts, and computed values as what they are."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    rows = 0
    kinds = [_widest(kind) for kind in batches.schema.types]
    schema = pa.schema(list(zip(headers, kinds, strict=True)))
    with ParquetWriter(target, schema, compression="zstd") as writer:
        for batch in batches:
            columns = [column.cast(kind) for column, kind in zip(batch.columns, kinds, strict=True)]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            rows += batch.num_rows
    return rows


def _widest(kind: "pa.DataType") -> "pa.DataType":
    """Decimals with as many digits as there can be: how many a result needs, engines tell differently."""
    import pyarrow as pa

    return pa.decimal128(MOST_EXACT, kind.scale) if isinstance(kind, pa.Decimal128Type) else kind


def _workbook(batches: "pa.RecordBatchReader", statements: Statements, target: Path) -> int:
    count = 0

    def rows() -> Iterator[list[Any]]:
        nonlocal count
        for batch in batches:
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                count += 1
                yield [
                    _number(cell) if is_number else cell
                    for cell, is_number in zip(row, statements.are_numbers, strict=True)
                ]

    with target.open("wb") as out:
        for piece in xlsx_file(statements.headers, rows()):
            out.write(piece)
    return count


def _number(text: str | None) -> str | int | float | None:
    """A number where a spreadsheet shows it as it is written; else the text: it may be 007, or 1.10."""
    if text is None or sum(map(str.isdigit, text)) > MOST_DIGITS:
        return text
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        return value if str(value) == text else text
    return text

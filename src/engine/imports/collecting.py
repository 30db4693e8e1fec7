"""The rows that were refused, as they stand in the file: found again by line, and put beside their faults."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from src.engine.duck import batches_of, connect, quoted
from src.engine.reading.faults import SCHEMA, WITH_CELLS, with_cells
from src.engine.reading.originals import Originals, RecordCells, TableCells
from src.engine.reading.rows import ROWS, Row, cells_of
from src.engine.reading.sources import Source, mended_rows, open_source
from src.engine.reading.utf8 import Places
from src.engine.values import Detected, OnProgress, ReadLimits, Sandbox

FAULTS_AT_A_TIME = 20_000


@dataclass(frozen=True)
class Part:
    """Some rows of the file, by their lines, whose cells can be had."""

    lines: Places
    cells: Originals


def read_originals(
    arguments: Mapping[str, Any], folder: Path, sandbox: Sandbox, on_progress: OnProgress
) -> dict[str, Any]:
    """The child's part: read the source once more, and write the faults with the cells of their rows."""
    detected, limits = Detected.from_json(arguments["detected"]), ReadLimits.from_json(arguments["limits"])
    encoding, target = arguments["encoding"], Path(arguments["target"])
    source = open_source(
        Path(arguments["path"]),
        detected if encoding is None else Detected(**{**vars(detected), "encoding": encoding}),
        folder,
        limits,
        sandbox,
        on_progress,
        is_encoding_given=encoding is not None,
    )
    written = 0
    with ParquetWriter(target, WITH_CELLS, compression="zstd") as writer:
        faults = _Faults(_sorted(arguments["faults"], folder, sandbox))
        for part in _parts(source, {int(place): mark for place, mark in arguments["marks"].items()}):
            if len(part.lines):
                written += _write(writer, faults.until(int(part.lines[-1])), part)
        nothing = Part(np.empty(0, np.int64), [])
        while batch := faults.rest():
            written += _write(writer, batch, nothing)
    return {"faults": written}


class _Faults:
    """Faults in the order of their lines, taken as far as the file was read."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._next: pa.RecordBatch | None = next(batches, None)

    def until(self, line: int) -> Iterator[pa.RecordBatch]:
        """The faults of the lines up to this one."""
        while self._next is not None:
            size = int(np.searchsorted(self._next.column("line").to_numpy(), line, side="right"))
            if size:
                yield self._next.slice(0, size)
            if size < self._next.num_rows:
                self._next = self._next.slice(size)
                return
            self._next = next(self._batches, None)

    def rest(self) -> list[pa.RecordBatch]:
        """One more batch, of lines that the file does not have."""
        last, self._next = self._next, next(self._batches, None)
        return [] if last is None else [last]


def _sorted(files: Sequence[str], folder: Path, sandbox: Sandbox) -> Iterator[pa.RecordBatch]:
    """All faults by line; those of one line in the order in which they were written."""
    columns = ", ".join(f'"{name}"' for name in SCHEMA.names)
    with connect(folder, [Path(file) for file in files], sandbox, in_order=True) as connection:
        parts = " union all ".join(
            f"select {columns}, {place} as file, row_number() over () as place from {_read(file)}"
            for place, file in enumerate(files)
        )
        query = f"select {columns} from ({parts}) order by line, file, place"
        for batch in batches_of(connection, query, FAULTS_AT_A_TIME):
            yield batch.cast(SCHEMA)


def _read(file: str) -> str:
    """How DuckDB reads faults: the database writes its own as CSV, what is there in quotes."""
    if not file.endswith(".csv"):
        return f"read_parquet({quoted(file)})"
    kinds = {name: "bigint" if name == "line" else "varchar" for name in SCHEMA.names}
    types = ", ".join(f"{quoted(name)}: {quoted(kind)}" for name, kind in kinds.items())
    return (
        f"read_csv({quoted(file)}, columns = {{{types}}}, header = false, auto_detect = false, delim = ',', "
        """quote = '"', escape = '"', allow_quoted_nulls = false, parallel = false)"""
    )


def _parts(source: Source, marks: Mapping[int, str]) -> Iterator[Part]:
    """Typed numbers have the mark with which they were loaded: only so they mean the same in a correction."""
    if source.is_delimited:
        yield from _delimited(source)
    elif source.detected.format == "mended":
        for lines, columns, _ in mended_rows(source.path, len(source.detected.columns)):
            yield Part(lines, TableCells(columns))
    elif source.detected.format == "parquet":
        for line, table in source.tables(marks=marks):
            yield Part(np.arange(table.num_rows) + line, TableCells(table.columns))
    else:
        yield from _row_by_row(source.rows(), marks)


def _delimited(source: Source) -> Iterator[Part]:
    shaper = source.shaper([])
    for records in shaper.records(source.blocks()):
        rows = shaper.rows(records)
        yield Part(records.lines[rows], RecordCells(records, rows, shaper.delimiter, shaper.quote))


def _row_by_row(rows: Iterator[Row], marks: Mapping[int, str]) -> Iterator[Part]:
    pending: list[Row] = []

    def part() -> Part:
        cells = [cells_of(row, marks) for row in pending]
        return Part(np.array([row.line for row in pending], np.int64), cells)

    for row in rows:
        pending.append(row)
        if len(pending) == ROWS:
            yield part()
            pending = []
    yield part()


def _write(writer: ParquetWriter, faults: Iterator[pa.RecordBatch] | list[pa.RecordBatch], part: Part) -> int:
    """Write faults with the cells of their rows; the rows of lines that are unknown have none."""
    written = 0
    for batch in faults:
        writer.write_batch(with_cells(batch, part.lines, part.cells))
        written += batch.num_rows
    return written

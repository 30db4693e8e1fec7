"""Any file of rows as batches of texts: the one place that knows how each format is opened for a load."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.parquet import ParquetFile

from src.engine.reading.content import unpack
from src.engine.reading.originals import TableCells
from src.engine.reading.parquet import stream_of_parquet
from src.engine.reading.rows import Row, batches, places_among, rows_of_json_lines, rows_of_workbook
from src.engine.reading.shaping import Batch, Shaper
from src.engine.reading.utf8 import Places, encoding_of_text, utf8_blocks
from src.engine.reading.workbooks import check_workbook
from src.engine.values import Detected, OnProgress, ReadLimits, Sandbox

MENDED_ROWS = 2_000  # each may be as long as a record may be


@dataclass(frozen=True)
class Source:
    """A plain file and what is needed to read it."""

    path: Path
    detected: Detected
    encoding: str | None
    folder: Path
    limits: ReadLimits
    sandbox: Sandbox
    on_progress: OnProgress
    has_errors: bool = False  # whether cells of the workbook may hold errors

    @property
    def is_delimited(self) -> bool:
        return self.detected.format in ("csv", "tsv", "txt")

    def blocks(self) -> Iterator[bytes]:
        """The text, as UTF-8."""
        return utf8_blocks(self.path, self.encoding or "utf-8", self.on_progress)

    def rows(self) -> Iterator[Row]:
        """The rows of a workbook or of JSON lines."""
        if self.detected.format == "xlsx":
            longest = self.limits.record_bytes
            return rows_of_workbook(self.path, self.detected, longest, has_errors=self.has_errors)
        return rows_of_json_lines(self.blocks(), self.detected, self.limits.record_bytes)

    def shaper(self, positions: list[int]) -> Shaper:
        return Shaper(self.detected, positions, self.encoding or "utf-8", self.limits.record_bytes)

    def tables(self, *, marks: Mapping[int, str] | None = None) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The texts of a Parquet file, each stretch with the number of its first row."""
        line = 1
        for table in stream_of_parquet(self.path, self.folder, self.limits, self.sandbox, marks or {}):
            yield line, table
            line += table.num_rows
            self.on_progress(line, line, "rows read")

    def batches(self, marks: dict[int, str]) -> Iterator[Batch]:
        """The wanted columns, each with the decimal mark that its typed numbers get."""
        if self.is_delimited:
            return self.shaper(list(marks)).batches(self.blocks())
        if self.detected.format == "mended":
            return (
                Batch(
                    lines,
                    np.arange(len(lines)),
                    [columns[position] for position in marks],
                    [],
                    TableCells(columns),
                    places_among(errors, marks),
                )
                for lines, columns, errors in mended_rows(self.path, len(self.detected.columns))
            )
        if self.detected.format == "parquet":
            return (_batch(line, table, marks) for line, table in self.tables(marks=marks))
        return batches(self.rows(), marks)


def open_source(
    path: Path,
    detected: Detected,
    folder: Path,
    limits: ReadLimits,
    sandbox: Sandbox,
    on_progress: OnProgress,
    *,
    is_encoding_given: bool,
) -> Source:
    """Unpack the file, and find out how its text is encoded, unless somebody said so."""
    on_progress(0, 1, "files")
    plain = unpack(path, detected.packing, folder / "unpacked", limits)
    encoding, has_errors = detected.encoding, False
    if detected.format == "xlsx":
        has_errors = check_workbook(plain, limits)
    elif detected.format not in ("parquet", "mended") and not (is_encoding_given and encoding):
        encoding = encoding_of_text(plain, on_progress)
    return Source(plain, detected, encoding, folder, limits, sandbox, on_progress, has_errors)


def mended_rows(path: Path, width: int) -> Iterator[tuple[Places, list[pa.Array], list[list[int]]]]:
    """The rows of a correction: the lines that they have in the first file, its columns, and where in each
    row an error of a workbook stands."""
    with ParquetFile(path) as file:
        for table in file.iter_batches(batch_size=MENDED_ROWS):
            cells = table.column("cells")
            columns = [pc.list_element(cells, place) for place in range(width)]
            yield table.column("line").to_numpy(), columns, table.column("errors").to_pylist()


def _batch(line: int, table: pa.RecordBatch, marks: dict[int, str]) -> Batch:
    rows = np.arange(table.num_rows)
    cells = [pc.fill_null(table.column(position), "") for position in marks]
    return Batch(rows + line, rows, cells, [], TableCells(table.columns))

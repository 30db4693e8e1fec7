"""The rows that were not loaded, in a Parquet file: one row per fault, beside it the row's own cells."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from src.domain.rejects import WHOLE_ROW, Reject
from src.engine.export import fitting

FAULTS_AT_A_TIME = 20_000
ROWS_AT_A_TIME = 200  # each may be as long as a record may be
FAULT_COLUMNS = ("line", "column", "code", "value", "detail")
LINE_COLUMN, CODE_COLUMN = "_line", "_code"
ADDED_COLUMNS = (LINE_COLUMN, "_column", CODE_COLUMN, "_message")
REST_COLUMN = "_rest"  # where rows have more cells than the header


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row with all its faults, as it stands in the file."""

    line: int
    faults: tuple[Reject, ...]
    cells: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        faults = [asdict(fault) | {"message": fault.message} for fault in self.faults]
        return {"line": self.line, "errors": faults, "row": list(self.cells)}

    def as_cells(self, width: int, *, has_rest: bool) -> list[Any]:
        """As a row of a table to mend: the cells, evened out, and then what is wrong with them."""
        columns, codes = ("; ".join(dict.fromkeys(parts)) for parts in self._parts())
        message = self.faults[0].message if len(self.faults) == 1 else " ".join(map(_placed, self.faults))
        cells = cells_to_mend(self.cells, width)
        if any(fault.code == "giant_line" for fault in self.faults):
            cells = [fitting(cell) for cell in cells]  # or no table could hold it
        rest = [rest_of(self.cells, width)] if has_rest else []
        return [*cells, self.line, columns, codes, message, *rest]

    def _parts(self) -> tuple[list[str], list[str]]:
        return [fault.column for fault in self.faults], [fault.code for fault in self.faults]


def _placed(fault: Reject) -> str:
    """Its message, with the column in front: several stand in one cell."""
    return fault.message if fault.column == WHOLE_ROW else f"{fault.column}: {fault.message}"


def rewrite_rejects(source: Path, target: Path, change: Callable[[RejectedRow], RejectedRow]) -> None:
    """Write all rejected rows anew, each as `change` answers it."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter, read_schema

    schema, rest = read_schema(source), rejected_rows(source)
    with ParquetWriter(target, schema, compression="zstd") as writer:
        while part := list(islice(rest, ROWS_AT_A_TIME)):
            faults = [
                asdict(fault) | {"cells": row.cells} for row in map(change, part) for fault in row.faults
            ]
            writer.write_batch(pa.RecordBatch.from_pylist(faults, schema))


def read_rejects(path: Path, first: int, most: int) -> list[RejectedRow]:
    """Some of the rejected rows, in the order of their lines, counted from 0. Of the parts of the file that
    come before them, only the lines are read."""
    part, place = _place_of(path, first)
    return list(islice(rejected_rows(path, part), place, place + most))


def rejected_rows(path: Path, part: int = 0) -> Iterator[RejectedRow]:
    """All rejected rows, from a part of the file on; some of them in memory at a time."""
    for line, faults in groupby(_faults(path, part), key=itemgetter("line")):
        found = list(faults)
        rejects = (Reject(line, *(fault[name] for name in FAULT_COLUMNS[1:])) for fault in found)
        yield RejectedRow(line, tuple(rejects), tuple(found[0]["cells"]))


def _faults(path: Path, part: int) -> Iterator[dict[str, Any]]:
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        parts = range(part, file.num_row_groups)
        for batch in file.iter_batches(batch_size=ROWS_AT_A_TIME, row_groups=parts):
            yield from batch.to_pylist()


def _place_of(path: Path, number: int) -> tuple[int, int]:
    """The part of the file in which a rejected row begins, and which one it is there."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        before, last = 0, None
        for part in range(file.num_row_groups):
            lines = file.read_row_group(part, columns=["line"])["line"].unique().to_pylist()
            goes_on = last in lines  # a row of the part before
            begun = len(lines) - goes_on
            if before + begun > number:
                return part, number - before + goes_on
            before, last = before + begun, lines[-1] if lines else last
        return file.num_row_groups, 0


def table_columns(headers: Sequence[str], *, has_rest: bool) -> list[str]:
    """The header of the table of rejects: the file's own, and what is added."""
    return [*headers, *ADDED_COLUMNS, *[REST_COLUMN] * has_rest]


def cells_to_mend(cells: Sequence[str], width: int) -> list[str]:
    """The cells of a row as they stand in that table: as many as the header has."""
    return [*cells[:width], *[""] * (width - len(cells))]


def rest_of(cells: Sequence[str], width: int) -> str:
    """The cells right of the header, as a line of CSV."""
    if len(cells) <= width:
        return ""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells[width:])
    return line.getvalue()

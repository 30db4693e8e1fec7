"""The rows that were not loaded, in a Parquet file: one row per fault, beside it the row's own cells."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from src.domain.rejects import Reject

FAULTS_AT_A_TIME = 20_000
ROWS_AT_A_TIME = 200  # each may be as long as a record may be
FAULT_COLUMNS = ("line", "column", "code", "value", "detail")
ADDED_COLUMNS = ("_line", "_column", "_code", "_message")


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row with all its faults, as it stands in the file."""

    line: int
    faults: tuple[Reject, ...]
    cells: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        faults = [asdict(fault) | {"message": fault.message} for fault in self.faults]
        return {"line": self.line, "errors": faults, "row": list(self.cells)}

    def as_cells(self, width: int) -> list[Any]:
        """As a row of a table to mend: the cells, evened out, and then what is wrong with them."""
        cells = [*self.cells[:width], *[""] * (width - len(self.cells))]
        columns, codes = ("; ".join(dict.fromkeys(parts)) for parts in self._parts())
        return [*cells, self.line, columns, codes, " ".join(fault.message for fault in self.faults)]

    def _parts(self) -> tuple[list[str], list[str]]:
        return [fault.column for fault in self.faults], [fault.code for fault in self.faults]


def write_faults(path: Path, faults: Iterable[tuple[int, str, str, str, str]]) -> None:
    """Write faults that were found elsewhere than in the reading, in the same form."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    schema = pa.schema([("line", pa.int64()), *((name, pa.string()) for name in FAULT_COLUMNS[1:])])
    rest = iter(faults)
    with ParquetWriter(path, schema) as writer:
        while part := list(islice(rest, FAULTS_AT_A_TIME)):
            writer.write_batch(pa.record_batch(list(map(list, zip(*part, strict=True))), schema=schema))


def read_rejects(path: Path, first: int, most: int) -> list[RejectedRow]:
    """Some of the rejected rows, in the order of their lines, counted from 0."""
    return list(islice(rejected_rows(path), first, first + most))


def rejected_rows(path: Path) -> Iterator[RejectedRow]:
    """All rejected rows, a group of them in memory at a time."""
    for line, faults in groupby(_faults(path), key=itemgetter("line")):
        found = list(faults)
        rejects = (Reject(line, *(fault[name] for name in FAULT_COLUMNS[1:])) for fault in found)
        yield RejectedRow(line, tuple(rejects), tuple(found[0]["cells"]))


def _faults(path: Path) -> Iterator[dict[str, Any]]:
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=ROWS_AT_A_TIME):
            yield from batch.to_pylist()


def table_columns(headers: Sequence[str]) -> list[str]:
    """The header of the table of rejects: the file's own, and what is added."""
    return [*headers, *ADDED_COLUMNS]

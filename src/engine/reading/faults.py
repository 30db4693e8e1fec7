"""Faults of rows: found in batches, counted by column and code, and kept in a Parquet file by line."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.parquet import ParquetWriter

from src.engine.reading.originals import Originals
from src.engine.reading.utf8 import Places

SCHEMA = pa.schema(
    [
        ("line", pa.int64()),
        ("column", pa.string()),
        ("code", pa.string()),
        ("value", pa.string()),
        ("detail", pa.string()),
    ]
)
WITH_CELLS = pa.schema([*SCHEMA, pa.field("cells", pa.list_(pa.string()))])
LONGEST_VALUE = 1000
ROWS_PER_GROUP = 50_000


@dataclass(frozen=True)
class Found:
    """Rows of one batch, by their places in it, that have the same fault in the same column."""

    code: str
    rows: Places
    values: pa.Array  # as they stand in the file
    detail: str | Sequence[str] = ""
    column: str = ""


@dataclass
class FaultFile:
    """Writes faults batch by batch, each sorted by line; what was written stays readable after an error.

    With cells, it is a file of rejects as well, if all faults are in it.
    """

    path: Path
    most_rejects: int | None = None
    has_cells: bool = False
    rejected: int = 0
    summary: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))

    def __enter__(self) -> Self:
        schema = WITH_CELLS if self.has_cells else SCHEMA
        self._writer = ParquetWriter(self.path, schema, compression="zstd")
        self._pending: list[pa.RecordBatch] = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._writer:
            self._flush()

    @property
    def are_too_many(self) -> bool:
        return self.most_rejects is not None and self.rejected > self.most_rejects

    def add(self, lines: Places, found: Sequence[Found], originals: Originals | None = None) -> None:
        """The faults of one batch, whose rows have these lines, and these cells."""
        if not found:
            return
        batch = pa.concat_batches([_batch(lines, group) for group in found])
        order = np.argsort(batch.column("line").to_numpy(), kind="stable")
        batch = batch.take(pa.array(order))
        self._pending.append(with_cells(batch, lines, originals) if self.has_cells else batch)
        if self.has_cells or sum(batch.num_rows for batch in self._pending) >= ROWS_PER_GROUP:
            self._flush()
        for group in found:
            self.summary[group.column][group.code] += len(group.rows)
        self.rejected += len(np.unique(np.concatenate([group.rows for group in found])))

    def _flush(self) -> None:
        if self._pending:
            self._writer.write_table(pa.Table.from_batches(self._pending))
        self._pending = []


def with_cells(faults: pa.RecordBatch, lines: Places, originals: Originals | None) -> pa.RecordBatch:
    """Faults with the cells of their rows, which are among rows of these lines; others have none."""
    own, codes = np.unique(faults.column("line").to_numpy(), return_inverse=True)
    places = np.searchsorted(lines, own)
    cells = [
        originals[place] if originals and place < len(lines) and lines[place] == line else []
        for place, line in zip(places.tolist(), own.tolist(), strict=True)
    ]
    column = pa.array(cells, pa.list_(pa.string())).take(pa.array(codes))
    return pa.record_batch([*faults.columns, column], schema=WITH_CELLS)


def _batch(lines: Places, group: Found) -> pa.RecordBatch:
    size = len(group.rows)
    details = [group.detail] * size if isinstance(group.detail, str) else group.detail
    columns = [
        pa.array(lines[group.rows], pa.int64()),
        pa.array([group.column] * size, pa.string()),
        pa.array([group.code] * size, pa.string()),
        pc.utf8_slice_codeunits(group.values.cast(pa.string()), 0, LONGEST_VALUE),
        pa.array(details, pa.string()),
    ]
    return pa.record_batch(columns, schema=SCHEMA)

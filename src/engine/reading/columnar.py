"""Rows of texts into columns on disk.

What is proven regular is parsed by Arrow, which reads a file from its start to its end. DuckDB's reader
works from several places at once, and guesses wrongly where records begin if cells hold line ends.
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from src.engine.reading.records import ragged
from src.engine.reading.relation import Relation, column_files, column_names
from src.engine.values import MIB, OnProgress, Regular

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import csv

GROUP_BYTES = 16 * MIB
CELLS_PER_BATCH = 200_000
CHARACTERS_PER_BATCH = 8 * MIB
THREADS = 2


class ColumnFiles:
    """Takes batches of rows and writes them in groups."""

    def __init__(self, folder: Path, width: int) -> None:
        import pyarrow as pa

        self.paths = column_files(folder, width)
        self.rows = 0
        self._parts = [column_names(width, number) for number in range(len(self.paths))]
        self.names = [name for part in self._parts for name in part]
        self._schema = pa.schema([(name, pa.string()) for name in self.names])
        self._writers: list[Any] = []
        self._open = ExitStack()
        self._pending: list[pa.RecordBatch] = []
        self._bytes = 0

    def relation(self, names: Sequence[str]) -> Relation:
        """What was written."""
        return Relation([str(path) for path in self.paths], names, self.rows)

    def __enter__(self) -> Self:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        for path, part in zip(self.paths, self._parts, strict=True):
            schema = pa.schema([(name, pa.string()) for name in part])
            writer = ParquetWriter(path, schema, compression="lz4", write_statistics=False)
            self._writers.append(self._open.enter_context(writer))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._open:
            if error is None:
                self._flush()

    def add(self, batch: "pa.RecordBatch") -> None:
        self.rows += batch.num_rows
        self._pending.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        group = pa.Table.from_batches(self._pending, self._schema)
        for writer, part in zip(self._writers, self._parts, strict=True):
            writer.write_table(group.select(part))
        self._pending, self._bytes = [], 0


def from_regular(
    folder: Path,
    path: Path,
    proof: Regular,
    names: Sequence[str],
    *,
    has_header: bool,
    longest: int,
    on_progress: OnProgress,
) -> Relation:
    """Convert a regular file; as many rows must come out as were counted in the proof."""
    import pyarrow as pa
    from pyarrow import csv

    pa.set_cpu_count(THREADS)
    with ColumnFiles(folder, len(names)) as files:
        reader = csv.open_csv(
            path,
            csv.ReadOptions(
                block_size=longest + 1, column_names=files.names, skip_rows_after_names=int(has_header)
            ),
            csv.ParseOptions(
                delimiter=proof.delimiter,
                quote_char=proof.quote,
                newlines_in_values=True,
                ignore_empty_lines=proof.width > 1,
            ),
            _as_texts(files.names),
        )
        for batch in reader:
            files.add(batch)
            on_progress(files.rows, proof.records, "rows converted")
    if files.rows != proof.records - has_header:
        raise RuntimeError(f"{files.rows} rows were converted where {proof.records} records were counted")
    return files.relation(names)


def _as_texts(names: Sequence[str]) -> "csv.ConvertOptions":
    """A quoted empty cell is not a missing one."""
    import pyarrow as pa
    from pyarrow import csv

    return csv.ConvertOptions(
        check_utf8=False,
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )


def from_records(folder: Path, records: Iterable[tuple[int, list[str]]], names: Sequence[str]) -> Relation:
    """Convert rows one by one; each must be as wide as the first. An empty cell counts as missing."""
    rows: list[list[str]] = []
    characters = 0
    with ColumnFiles(folder, len(names)) as files:
        for line, record in records:
            if len(record) != len(names):
                raise ragged(line, len(record), len(names))
            rows.append(record)
            characters += sum(map(len, record))
            if len(rows) * len(names) >= CELLS_PER_BATCH or characters >= CHARACTERS_PER_BATCH:
                files.add(_batch(rows, files.names))
                rows, characters = [], 0
        if rows:
            files.add(_batch(rows, files.names))
    return files.relation(names)


def _batch(rows: Sequence[Sequence[str]], names: Sequence[str]) -> "pa.RecordBatch":
    import pyarrow as pa

    columns = [pa.array([cell or None for cell in cells], pa.string()) for cells in zip(*rows, strict=True)]
    return pa.record_batch(columns, names=names)

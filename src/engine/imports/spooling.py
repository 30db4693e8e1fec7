"""Good rows once more on disk, so that they can go to their table as they are when all is known of them."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa


class Spool:
    """Writes batches one after the other, or nothing without a path."""

    def __init__(self, path: Path | None, schema: pa.Schema) -> None:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._writer = pa.ipc.new_stream(path, schema, options=options) if path else None
        self._schema = schema

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer:
            self._writer.close()

    def add(self, batch: pa.RecordBatch) -> None:
        if self._writer:
            self._writer.write_batch(batch)


def spool_schema(path: Path) -> pa.Schema:
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
        return reader.schema


def read_spool(path: Path, rows: int) -> Iterator[pa.Table]:
    """The rows in the order of the file, at least so many at a time."""
    with (
        pa.OSFile(str(path)) as file,
        pa.ipc.open_stream(file) as reader,
    ):  # mapped, it would all count as ours
        batches: list[pa.RecordBatch] = []
        for batch in reader:
            batches.append(batch)
            if sum(one.num_rows for one in batches) >= rows:
                yield pa.Table.from_batches(batches)
                batches = []
        if batches:
            yield pa.Table.from_batches(batches)

"""Rows spread over buckets by their hash: each is small enough to look at in memory, all of them need not be.

What is little stays in memory, in one bucket; more goes to disk.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from src.engine.values import MIB

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Bucket = Callable[[], Iterator[pa.Table]]  # its rows, part by part, as often as they are asked for

COUNT = 128
SHIFT = 64 - 7  # the highest bits of a hash say which bucket it belongs to
MOST_HELD = 16 * MIB
MOST_AT_ONCE = 32 * MIB


class Buckets:
    """Takes batches with a column `hash`, and gives the rows back bucket by bucket."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, Any] = {}
        self._open = ExitStack()
        self._held: list[pa.RecordBatch] = []
        self._bytes = 0

    def __enter__(self) -> Self:
        self._folder.mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        for bucket in self._files:
            self._path(bucket).unlink()
        self._folder.rmdir()

    def add(self, batch: "pa.RecordBatch") -> None:
        self._held.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= MOST_HELD:
            self._spill()

    def close(self) -> "Iterator[Bucket]":
        """The buckets, once all rows are there."""
        import pyarrow as pa

        if not self._files:
            table = pa.Table.from_batches(self._held) if self._held else None
            yield lambda: iter([table] if table is not None else [])
            return
        self._spill()
        self._open.close()
        for bucket in sorted(self._files):
            yield partial(_tables, self._path(bucket))

    def _spill(self) -> None:
        import numpy as np
        import pyarrow as pa

        if not self._held:
            return
        table = pa.Table.from_batches(self._held).combine_chunks()
        buckets = (hashes_of(table) >> np.uint64(SHIFT)).astype(np.uint8)
        order = np.argsort(buckets, kind="stable")
        table, bounds = table.take(pa.array(order)), np.searchsorted(buckets[order], np.arange(COUNT + 1))
        for bucket in np.unique(buckets):
            first, end = int(bounds[bucket]), int(bounds[bucket + 1])
            self._file(int(bucket), table.schema).write_table(table.slice(first, end - first))
        self._held, self._bytes = [], 0

    def _file(self, bucket: int, schema: "pa.Schema") -> Any:
        import pyarrow as pa

        if bucket not in self._files:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            file = self._open.enter_context(pa.OSFile(str(self._path(bucket)), "wb"))
            writer = self._open.enter_context(pa.ipc.new_stream(file, schema, options=options))
            self._files[bucket] = writer
        return self._files[bucket]

    def _path(self, bucket: int) -> Path:
        return self._folder / f"{bucket}.arrows"


def _tables(path: Path) -> "Iterator[pa.Table]":
    """What was written, in pieces that are neither tiny nor huge."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as batches:
        for batch in batches:
            held.append(batch)
            if sum(one.nbytes for one in held) >= MOST_AT_ONCE:
                yield pa.Table.from_batches(held).combine_chunks()
                held = []
    if held:
        yield pa.Table.from_batches(held).combine_chunks()


def hashes_of(table: "pa.Table") -> "NDArray[np.uint64]":
    hashes: NDArray[np.uint64] = table["hash"].to_numpy()
    return hashes

"""Good rows as a binary COPY stream: in a file, or through a pipe, where who reads slowly slows us down."""

import os
import queue
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
from pgpq import ArrowToPostgresBinaryEncoder

from src.domain.datasets import Field
from src.engine.imports.plans import LoadPlan

BLOCKS_AHEAD = 1  # while one is written
ARROW_TYPES = {"date": pa.date32(), "datetime": pa.timestamp("us")}


class CopyStream:
    """Takes columns and writes them from a thread of its own, so that parsing and loading overlap."""

    def __init__(self, schema: pa.Schema, pipe: int) -> None:
        self._encoder = ArrowToPostgresBinaryEncoder(schema)
        self._pipe = pipe
        self._blocks: queue.Queue[bytes | None] = queue.Queue(BLOCKS_AHEAD)
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._put(self._encoder.write_header())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What was taken is written out, and the end of the stream only if all went well."""
        if error is None:
            self._blocks.put(self._encoder.finish())
        self._blocks.put(None)
        self._thread.join()
        os.close(self._pipe)
        if self._failure and error is None:
            raise self._failure

    @property
    def is_full(self) -> bool:
        """However much is sent."""
        return False

    def add(self, rows: pa.RecordBatch) -> None:
        if len(rows):
            self._put(self._encoder.write_batch(rows))

    def _put(self, block: bytes) -> None:
        if self._failure:
            raise self._failure
        self._blocks.put(block)

    def _write(self) -> None:
        while (block := self._blocks.get()) is not None:
            rest = memoryview(block)
            try:
                while rest and not self._failure:
                    rest = rest[os.write(self._pipe, rest) :]
            except OSError as error:
                self._failure = error


def write_copy(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """A file that COPY takes as a whole."""
    encoder = ArrowToPostgresBinaryEncoder(schema)
    with path.open("wb") as file:
        file.write(encoder.write_header())
        for batch in batches:
            file.write(encoder.write_batch(batch))
        file.write(encoder.finish())


def row_schema(plan: LoadPlan) -> pa.Schema:
    """Of good rows: their line, then the mapped columns by number."""
    return _schema([column.field for column in plan.columns])


def refused_schema(plan: LoadPlan) -> pa.Schema:
    """Of the others: their line, then the mapped columns that are compared."""
    return _schema([column.field for column in plan.columns if column.field.name in plan.compared])


def _schema(fields: Sequence[Field]) -> pa.Schema:
    types = [_arrow_type(field) for field in fields]
    return pa.schema([("line", pa.int64()), *((f"c{place}", kind) for place, kind in enumerate(types))])


def _arrow_type(field: Field) -> pa.DataType:
    if field.type == "decimal":
        return pa.decimal128(field.digits, field.places)
    return ARROW_TYPES.get(field.type, pa.string())

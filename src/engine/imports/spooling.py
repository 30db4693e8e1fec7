"""Good rows on disk, block by block, with numbers in place of names; the caller hears of each block.

So rows can be written while the file is still being read: by another child, that the caller tells the ids.
"""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from src.domain.datasets import Field
from src.engine.imports.copying import CopyStream, refused_schema, row_schema
from src.engine.imports.plans import LoadPlan

# Rows of a block are sorted together, so that neighbours in an index are written together: the more there are
# already, the farther apart are those of few.
FIRST_ROWS, ROWS, MOST_ROWS = 8_192, 65_536, 131_072
PART = 16
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
MOST_NAMES = 1_000_000  # they are in the memory of one process


class Spool:
    """Takes rows; a full block goes to a file, and what the database must be asked about it to the pipe."""

    def __init__(self, folder: Path, plan: LoadPlan, pipe: int, *, key: int | None, lead: int) -> None:
        self._folder, self._pipe, self._key, self._lead = folder, pipe, key, lead
        fields = [column.field for column in plan.columns]
        self._schema = spool_schema(plan)
        self._plain = row_schema(plan)
        self._numbers = {place: _Numbers() for place, field in enumerate(fields) if field.reference}
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._blocks = self._kept = 0
        self._wanted = FIRST_ROWS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._waiting:
            self._write()
        os.close(self._pipe)

    @property
    def is_full(self) -> bool:
        return sum(len(numbers) for numbers in self._numbers.values()) > MOST_NAMES

    def add(self, rows: pa.RecordBatch) -> None:
        while len(rows):
            part = rows.slice(0, self._wanted - self._rows)
            self._waiting.append(part)
            self._rows += len(part)
            rows = rows.slice(len(part))
            if self._rows == self._wanted:
                self._write()
                self._wanted = rows_of_next(self._wanted, self._kept)
                os.read(self._lead, 1)  # until the writing has come near

    def _write(self) -> None:
        columns = [
            column.combine_chunks() for column in pa.Table.from_batches(self._waiting, self._plain).columns
        ]
        told: dict[str, Any] = {"block": self._blocks, "rows": self._rows, "names": {}}
        if self._key is not None:
            is_key = columns[self._key + 1].is_valid()
            lines, keys = (columns[place].filter(is_key) for place in (0, self._key + 1))
            told |= {"lines": sql_array(lines.cast(pa.string())), "keys": sql_array(keys)}
        for place, numbers in self._numbers.items():
            columns[place + 1], fresh = numbers.of(columns[place + 1])
            if len(fresh):
                told["names"][place] = sql_array(fresh)
        block = pa.record_batch(columns, schema=self._schema)
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_stream(block_path(self._folder, self._blocks), self._schema, options=options) as file:
            file.write_batch(block)
        rest = memoryview(json.dumps(told).encode() + b"\n")
        while rest:
            rest = rest[os.write(self._pipe, rest) :]
        self._kept += self._rows
        self._waiting, self._rows, self._blocks = [], 0, self._blocks + 1


def rows_of_next(last: int, kept: int) -> int:
    """The first blocks are small, so that writing begins soon; of a long file they become larger."""
    return max(min(2 * last, ROWS), min(kept // PART, MOST_ROWS))


class Refused:
    """What is compared of refused rows: for the database, and with a path for the child that writes."""

    def __init__(self, plan: LoadPlan, stream: str, path: Path | None = None) -> None:
        self._stream = CopyStream(refused_schema(plan), os.open(stream, NEW_FILE, 0o600))
        self._kept = pa.ipc.new_stream(path, refused_schema(plan)) if path else None

    def __enter__(self) -> Self:
        self._stream.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.__exit__(kind, error, trace)
        if self._kept:
            self._kept.close()

    def add(self, rows: pa.RecordBatch) -> None:
        if len(rows):
            self._stream.add(rows)
            if self._kept:
                self._kept.write_batch(rows)


class _Numbers:
    """A number for each name, in the order in which they come up."""

    def __init__(self) -> None:
        self._known = pa.array([], pa.string())

    def __len__(self) -> int:
        return len(self._known)

    def of(self, names: pa.Array) -> tuple[pa.Array, pa.Array]:
        """The numbers of these names, and the names that are new."""
        coded = names.dictionary_encode()
        numbers = pc.index_in(coded.dictionary, value_set=self._known)
        is_new = numbers.is_null()
        fresh = coded.dictionary.filter(is_new)
        found = numbers.fill_null(0).to_numpy().copy()
        found[is_new.to_numpy(zero_copy_only=False)] = len(self._known) + np.arange(len(fresh))
        self._known = pa.concat_arrays([self._known, fresh])
        return pa.array(found, pa.int32()).take(coded.indices), fresh


def sql_array(texts: pa.Array) -> str:
    """The array as PostgreSQL writes it: the caller hands it on as it is, without an object for each text."""
    for mark in ("\\", '"'):
        texts = pc.replace_substring(texts, mark, f"\\{mark}")
    return '{"' + '","'.join(texts.to_pylist()) + '"}' if len(texts) else "{}"


def spool_schema(plan: LoadPlan) -> pa.Schema:
    """Of a block: as rows are, with the numbers of names."""
    fields: Sequence[Field] = [column.field for column in plan.columns]
    schema = row_schema(plan)
    for place, field in enumerate(fields):
        if field.reference:
            schema = schema.set(place + 1, pa.field(schema.names[place + 1], pa.int32()))
    return schema


def refused_path(folder: Path) -> Path:
    return folder / "refused.arrows"


def block_path(folder: Path, number: int) -> Path:
    return folder / f"rows-{number}.arrows"


def read_block(path: Path, columns: list[int] | None = None) -> pa.Table:
    """The rows of one file, or only some columns of them."""
    options = pa.ipc.IpcReadOptions(included_fields=columns, use_threads=False)
    with (
        pa.OSFile(str(path)) as file,  # mapped, it would all count as ours
        pa.ipc.open_stream(file, options=options) as reader,
    ):
        return reader.read_all()


def rows_of(path: Path, size: int) -> Iterator[pa.Table]:
    """Some rows of a file at a time."""
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
        waiting: list[pa.RecordBatch] = []
        for batch in reader:
            waiting.append(batch)
            if sum(one.num_rows for one in waiting) >= size:
                yield pa.Table.from_batches(waiting)
                waiting = []
        if waiting:
            yield pa.Table.from_batches(waiting)

"""Rows counted by month, as the rollups keep them: beside the writing, from the rows that are written.

What counts where is what the triggers of the table say; a test compares both.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pgpq import ArrowToPostgresBinaryEncoder

from src.domain.datasets import Folds

DAY = 86_400_000_000  # microseconds
PLACES = 93  # of a month: 31 days on time, 31 late, 31 open
KINDS = ("on_time", "late", "open")
CELL = pa.schema(
    [
        ("place", pa.int32()),
        ("who", pa.int32()),
        ("month", pa.int32()),
        ("day", pa.int16()),
        ("count", pa.int32()),
    ]
)
VISIT = pa.schema([("whom", pa.int64()), ("kind", pa.int16()), ("count", pa.int32())])
BUCKETS = 16  # added up one by one, so that little is in memory twice
MOST_WAITING = 50_000  # rows of a bucket that were not added up yet
MONTHS_AT_A_TIME = 4_000
MONTH = pa.schema(
    [
        ("place", pa.int32()),
        ("who", pa.int32()),
        ("month", pa.date32()),
        *((kind, pa.int32()) for kind in KINDS),
        ("days", pa.list_(pa.int32())),
    ]
)
WHOM = pa.schema([("whom", pa.int64()), *((kind, pa.int32()) for kind in KINDS)])
Integers = npt.NDArray[np.int64]


class Folding:
    """Takes the rows, and writes two files of COPY: months of place and person, and totals by client."""

    def __init__(self, folds: Folds, folder: Path) -> None:
        self._folds = folds
        self._folder = folder
        self._cells = _Sums(CELL, "who")
        self._visits = _Sums(VISIT, "whom")

    def add(self, rows: pa.RecordBatch) -> None:
        folds = self._folds
        due, done, is_open = (
            _moments(rows[folds.due]),
            np.zeros(len(rows), np.int64),
            np.ones(len(rows), bool),
        )
        if folds.done in rows.schema.names:
            done = _moments(rows[folds.done])
            is_open = rows[folds.done].is_null().to_numpy(zero_copy_only=False)
        kind = np.where(is_open, 2, np.where(done <= due, 0, 1))
        day = np.floor_divide(np.where(is_open, due, done), DAY).astype("datetime64[D]")
        month = day.astype("datetime64[M]").astype("datetime64[D]")
        number = (day - month).astype(np.int64) + 31 * kind
        self._cells.add([rows[folds.place], rows[folds.who], month.astype(np.int64), number])
        self._visits.add([rows[folds.whom], kind])

    def finish(self) -> None:
        with open(self._folder / "months", "wb") as file:
            _write(file, MONTH, self._months())
        with open(self._folder / "clients", "wb") as file:
            _write(file, WHOM, map(_totals, self._visits.totals()))

    def _months(self) -> Iterator[pa.RecordBatch]:
        """Of a person in a place, of a person everywhere, and of a place as a whole."""
        places = CELL.empty_table()
        for cells in self._cells.totals():
            yield from _months(cells)
            yield from _months(_added(_zero(cells, "place")))
            places = _added(pa.concat_tables([places, _added(_zero(cells, "who"))]))
        yield from _months(places)


class _Sums:
    """How often each combination of whole numbers occurs, in buckets by one of them."""

    def __init__(self, schema: pa.Schema, by: str) -> None:
        self._schema = schema
        self._by = by
        self._buckets: list[list[pa.Table]] = [[] for _ in range(BUCKETS)]
        self._waiting = [0] * BUCKETS

    def add(self, columns: list[pa.Array | Integers]) -> None:
        ones = np.ones(len(columns[0]), np.int32)
        arrays = (
            pa.array(column).cast(field.type)
            for column, field in zip([*columns, ones], self._schema, strict=True)
        )
        part = pa.table(list(arrays), schema=self._schema)
        bucket = part[self._by].to_numpy() % BUCKETS
        for number, parts in enumerate(self._buckets):
            parts.append(part.filter(pa.array(bucket == number)))
            self._waiting[number] += len(parts[-1])
            if self._waiting[number] > MOST_WAITING:
                parts[:], self._waiting[number] = [_added(pa.concat_tables(parts))], 0

    def totals(self) -> Iterator[pa.Table]:
        """Of each bucket that has some."""
        for parts in self._buckets:
            if parts:
                yield _added(pa.concat_tables(parts))


def _added(table: pa.Table) -> pa.Table:
    names = table.schema.names[:-1]
    summed = table.group_by(names, use_threads=False).aggregate([("count", "sum")])
    return summed.select([*names, "count_sum"]).rename_columns(table.schema.names).cast(table.schema)


def _zero(table: pa.Table, name: str) -> pa.Table:
    """The same for all of them together."""
    zeros = pa.array(np.zeros(len(table), np.int32))
    return table.set_column(table.schema.get_field_index(name), name, zeros)


def _write(file: IO[bytes], schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    encoder = ArrowToPostgresBinaryEncoder(schema)
    file.write(encoder.write_header())
    for batch in batches:
        file.write(encoder.write_batch(batch))
    file.write(encoder.finish())


def _moments(column: pa.Array) -> Integers:
    moments: Integers = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return moments


def _months(cells: pa.Table) -> Iterator[pa.RecordBatch]:
    """A row for each month of a place and a person, some at a time, with an array of its days."""
    ordered = cells.sort_by([(name, "ascending") for name in ("place", "who", "month")])
    place, who, month, day, count = (column.to_numpy() for column in ordered.columns)
    is_first = np.ones(len(place), bool)
    is_first[1:] = (np.diff(place) != 0) | (np.diff(who) != 0) | (np.diff(month) != 0)
    starts = np.flatnonzero(is_first)
    ends = [*starts[MONTHS_AT_A_TIME::MONTHS_AT_A_TIME].tolist(), len(place)]
    begin = 0
    for end in ends:
        here = slice(begin, end)
        firsts = starts[(starts >= begin) & (starts < end)]
        days = np.zeros((len(firsts), PLACES), np.int32)
        np.add.at(days, (np.cumsum(is_first[here]) - 1, day[here]), count[here])
        keys = [place[firsts].astype(np.int32), who[firsts].astype(np.int32), month[firsts].astype(np.int32)]
        yield _month_rows(keys, days)
        begin = end


def _month_rows(keys: list[npt.NDArray[np.int32]], days: npt.NDArray[np.int32]) -> pa.RecordBatch:
    sums = [days[:, 31 * kind : 31 * (kind + 1)].sum(axis=1, dtype=np.int32) for kind in range(3)]
    offsets = np.arange(0, days.size + 1, PLACES, dtype=np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(days.ravel()))
    place, who, month = (pa.array(key) for key in keys)
    return pa.record_batch([place, who, month.cast(pa.date32()), *map(pa.array, sums), lists], schema=MONTH)


def _totals(cells: pa.Table) -> pa.RecordBatch:
    """A row for each client."""
    whom, where = np.unique(cells["whom"].to_numpy(), return_inverse=True)
    counts = np.zeros((len(whom), len(KINDS)), np.int32)
    np.add.at(counts, (where, cells["kind"].to_numpy()), cells["count"].to_numpy())
    return pa.record_batch([pa.array(whom), *(pa.array(counts[:, kind]) for kind in range(3))], schema=WHOM)

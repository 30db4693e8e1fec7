"""Rows counted by month, as the rollups keep them: beside the writing, from the rows that are written.

What counts where is what the triggers of the table say; a test compares both.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pgpq import ArrowToPostgresBinaryEncoder

from src.domain.datasets import Folds

DAY = 86_400_000_000  # microseconds
PLACES = 93  # of a month: 31 days on time, 31 late, 31 open
CELLS = ("place", "who", "month", "day")
MOST_PARTS = 2_000_000  # rows of parts that were not added up yet
MONTHS_AT_A_TIME = 20_000
KINDS = ("on_time", "late", "open")
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
        self._cells = _Sum(CELLS)
        self._whom = _Sum(("whom", "kind"))

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
        place = (day - month).astype(np.int64) + 31 * kind
        self._cells.add([rows[folds.place], rows[folds.who], month.astype(np.int64), place])
        self._whom.add([rows[folds.whom], kind])

    def finish(self) -> None:
        cells = self._cells.total()
        none = pa.array(np.zeros(len(cells), np.int32))
        with open(self._folder / "months", "wb") as file:
            encoder = ArrowToPostgresBinaryEncoder(MONTH)
            file.write(encoder.write_header())
            for instead in ({}, {"place": none}, {"who": none}):
                part = cells
                for name, zeros in instead.items():
                    part = part.set_column(part.schema.get_field_index(name), name, zeros)
                file.writelines(encoder.write_batch(batch) for batch in _months(part))
            file.write(encoder.finish())
        with open(self._folder / "clients", "wb") as file:
            encoder = ArrowToPostgresBinaryEncoder(WHOM)
            file.write(encoder.write_header() + encoder.write_batch(_totals(self._whom.total())))
            file.write(encoder.finish())


class _Sum:
    """How often each combination of whole numbers occurs, in memory that is bounded by how many there are."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = list(names)
        self._parts: list[pa.Table] = []
        self._waiting = 0

    def add(self, columns: list[pa.Array | npt.NDArray[np.int64]]) -> None:
        table = pa.table([pa.array(column).cast(pa.int64()) for column in columns], names=self._names)
        part = table.group_by(self._names).aggregate([([], "count_all")])
        self._parts.append(part.rename_columns([*self._names, "count"]))
        self._waiting += len(part)
        if self._waiting > MOST_PARTS:
            self._parts, self._waiting = [self.total()], 0

    def total(self) -> pa.Table:
        if not self._parts:
            return pa.table(
                [pa.array([], pa.int64())] * (len(self._names) + 1), names=[*self._names, "count"]
            )
        return _added(pa.concat_tables(self._parts), self._names)


def _added(table: pa.Table, names: list[str]) -> pa.Table:
    summed = table.group_by(names).aggregate([("count", "sum")])
    return summed.select([*names, "count_sum"]).rename_columns([*names, "count"])


def _moments(column: pa.Array) -> Integers:
    moments: Integers = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return moments


def _months(cells: pa.Table) -> Iterator[pa.RecordBatch]:
    """A row for each month of a place and a person, some at a time, with an array of its days."""
    ordered = _added(cells, list(CELLS)).sort_by([(name, "ascending") for name in CELLS[:3]])
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

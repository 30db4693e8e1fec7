"""Rows counted by month, as the rollups keep them: beside the writing, from the rows that are written.

What counts where is what the triggers of the table say; a test compares both.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from src.domain.datasets import Folds
from src.engine.imports.copying import write_copy

DAY = 86_400_000_000  # microseconds
PLACES = 93  # of a month: 31 days on time, 31 late, 31 open; so of clients, 31 whose ids follow each other
CLIENTS = 31
KINDS = ("on_time", "late", "open")
# A cell is one number: of whom and where (a code), of the month since 1970, and of its place in the month.
CELL_BITS, PLACE_BITS = 24, 7
ANY_YEAR = 50_000  # months before 1970 are numbers above 0, too
BUCKETS = 16  # of persons, added up one by one, so that little is in memory twice
MOST_WAITING = 50_000  # numbers of a bucket that were not added up yet
ROWS_AT_A_TIME = 4_000
MONTH = pa.schema(
    [
        ("place", pa.int32()),
        ("who", pa.int32()),
        ("month", pa.date32()),
        *((kind, pa.int32()) for kind in KINDS),
        ("days", pa.list_(pa.int32())),
    ]
)
STRETCH = pa.schema([("stretch", pa.int64()), ("counts", pa.list_(pa.int32()))])
WHO = pa.schema([("who", pa.int32()), *((kind, pa.int64()) for kind in KINDS)])
WEEKDAYS = pa.schema(
    [("place", pa.int32()), ("weekday", pa.int16()), *((kind, pa.int64()) for kind in KINDS)]
)
WEEKDAY_BITS = 3
THURSDAY = 4  # was the first of 1970; 1 is Monday
Integers = npt.NDArray[np.int64]
Halves = npt.NDArray[np.int32]


class Folding:
    """Takes the rows, and writes a file of COPY for each rollup: months of place and person, totals by client
    and by person, and weekdays of places."""

    def __init__(self, folds: Folds, folder: Path) -> None:
        self._folds = folds
        self._folder = folder
        self._codes: dict[int, int] = {}  # of places and persons that occur together
        self._cells = [_Counts() for _ in range(BUCKETS)]
        self._visits, self._persons, self._weekdays = _Counts(), _Counts(), _Counts()

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
        month = day.astype("datetime64[M]")
        place = (day - month.astype("datetime64[D]")).astype(np.int64) + 31 * kind
        cell = (month.astype(np.int64) + ANY_YEAR << PLACE_BITS) + place
        numbers, bucket = (self._pairs(rows) << CELL_BITS) + cell, rows[folds.who].to_numpy() % BUCKETS
        for own, counts in enumerate(self._cells):
            counts.add(numbers[bucket == own])
        stretch, client = np.divmod(rows[folds.whom].to_numpy(), CLIENTS)
        self._visits.add((stretch << PLACE_BITS) + client + CLIENTS * kind)

    def finish(self) -> None:
        """The months first: the others are added up on their way."""
        write_copy(self._folder / "months", MONTH, self._months())
        write_copy(self._folder / "clients", STRETCH, _stretches(*self._visits.sums()))
        who, counts = self._persons.by_kind()
        write_copy(self._folder / "angels", WHO, [_totals(WHO, [who], counts)])
        place, counts = self._weekdays.by_kind()
        keys = [place >> WEEKDAY_BITS, place & (2**WEEKDAY_BITS - 1)]
        write_copy(self._folder / "polos", WEEKDAYS, [_totals(WEEKDAYS, keys, counts)])

    def _pairs(self, rows: pa.RecordBatch) -> Integers:
        """Of each row, the code of its place and person."""
        place, who = (rows[name].to_numpy().astype(np.int64) for name in (self._folds.place, self._folds.who))
        pairs, where = np.unique((place << 32) + who, return_inverse=True)
        codes = [self._codes.setdefault(pair, len(self._codes)) for pair in pairs.tolist()]
        return np.array(codes, np.int64)[where]

    def _months(self) -> Iterator[pa.RecordBatch]:
        """Of a person in a place, of a person everywhere, and of a place as a whole."""
        pairs = np.fromiter(self._codes, np.int64, len(self._codes))
        places = _Counts()
        for cells in self._cells:
            numbers, counts = cells.sums()
            pair, cell = pairs[numbers >> CELL_BITS], numbers & (2**CELL_BITS - 1)
            place, who = pair >> 32, pair & (2**32 - 1)
            yield from _months(place, who, cell, counts)
            yield from _months(np.zeros_like(place), who, cell, counts)
            self._persons.take(who * len(KINDS) + _kind(cell), counts)
            places.take((place << CELL_BITS) + cell, counts)
        numbers, counts = places.sums()
        place, cell = numbers >> CELL_BITS, numbers & (2**CELL_BITS - 1)
        yield from _months(place, np.zeros_like(place), cell, counts)
        weekday = (place << WEEKDAY_BITS) + _weekday(cell)
        self._weekdays.take(weekday * len(KINDS) + _kind(cell), counts)


class _Counts:
    """How often each of many numbers occurs."""

    def __init__(self) -> None:
        self._parts: list[tuple[Integers, Halves]] = []
        self._waiting = 0

    def add(self, numbers: Integers) -> None:
        found, counts = np.unique(numbers, return_counts=True)
        self.take(found, counts.astype(np.int32))

    def take(self, numbers: Integers, counts: Halves) -> None:
        self._parts.append((numbers, counts))
        self._waiting += len(numbers)
        if self._waiting > max(MOST_WAITING, len(self._parts[0][0])):
            self.sums()

    def sums(self) -> tuple[Integers, Halves]:
        """Each number once, in order, and how often there was one."""
        if not any(len(numbers) for numbers, _ in self._parts):
            return np.empty(0, np.int64), np.empty(0, np.int32)
        numbers, counts = (np.concatenate(parts) for parts in zip(*self._parts, strict=True))
        order = np.argsort(numbers)
        numbers, counts = numbers[order], counts[order]
        starts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))
        self._parts, self._waiting = [(numbers[starts], np.add.reduceat(counts, starts, dtype=np.int32))], 0
        return self._parts[0]

    def by_kind(self) -> tuple[Integers, Halves]:
        """Of numbers that are keys by kinds: each key once, in order, with a count for each kind."""
        numbers, found = self.sums()
        keys, where = np.unique(numbers // len(KINDS), return_inverse=True)
        counts = np.zeros((len(keys), len(KINDS)), np.int32)
        counts[where, numbers % len(KINDS)] = found
        return keys, counts


def _totals(schema: pa.Schema, keys: Sequence[Integers], counts: Halves) -> pa.RecordBatch:
    columns = zip([*keys, *counts.T.copy()], schema.types, strict=True)
    return pa.record_batch([pa.array(column).cast(type_) for column, type_ in columns], schema=schema)


def _kind(cell: Integers) -> Integers:
    kind: Integers = (cell & (2**PLACE_BITS - 1)) // 31
    return kind


def _weekday(cell: Integers) -> Integers:
    """Of the day that a cell counts: 1 is Monday."""
    month = ((cell >> PLACE_BITS) - ANY_YEAR).astype("datetime64[M]").astype("datetime64[D]")
    day = month.astype(np.int64) + (cell & (2**PLACE_BITS - 1)) % 31
    weekday: Integers = (day + THURSDAY - 1) % 7 + 1
    return weekday


def _moments(column: pa.Array) -> Integers:
    moments: Integers = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return moments


def _months(place: Integers, who: Integers, cell: Integers, count: Halves) -> Iterator[pa.RecordBatch]:
    """A row for each month of a place and a person, with an array of its days."""
    order = np.lexsort((cell, who, place))
    place, who, cell, count = place[order], who[order], cell[order], count[order]
    keys = [place, who, cell >> PLACE_BITS]
    for (places, persons, months), days in _spread(keys, cell & (2**PLACE_BITS - 1), count):
        sums = [days[:, 31 * kind : 31 * (kind + 1)].sum(axis=1, dtype=np.int32) for kind in range(3)]
        dates = (months - ANY_YEAR).astype("datetime64[M]").astype("datetime64[D]")
        whose = (pa.array(numbers.astype(np.int32)) for numbers in (places, persons))
        yield pa.record_batch([*whose, pa.array(dates), *map(pa.array, sums), _lists(days)], schema=MONTH)


def _stretches(numbers: Integers, count: Halves) -> Iterator[pa.RecordBatch]:
    """A row for each stretch of clients, with an array of their counts."""
    for (stretch,), counts in _spread([numbers >> PLACE_BITS], numbers & (2**PLACE_BITS - 1), count):
        yield pa.record_batch([pa.array(stretch), _lists(counts)], schema=STRETCH)


def _spread(
    keys: Sequence[Integers], number: Integers, count: Halves
) -> Iterator[tuple[list[Integers], Halves]]:
    """Of what is sorted by its keys: each of them once, with an array of its counts; some at a time."""
    if not len(number):
        return
    is_first = np.ones(len(number), bool)
    is_first[1:] = np.logical_or.reduce([np.diff(key) != 0 for key in keys])
    starts = np.flatnonzero(is_first)
    begin = 0
    for end in (*starts[ROWS_AT_A_TIME::ROWS_AT_A_TIME].tolist(), len(number)):
        here = slice(begin, end)
        firsts = starts[(starts >= begin) & (starts < end)]
        counts = np.zeros((len(firsts), PLACES), np.int32)
        np.add.at(counts, (np.cumsum(is_first[here]) - 1, number[here]), count[here])
        yield [key[firsts] for key in keys], counts
        begin = end


def _lists(counts: Halves) -> pa.ListArray:
    offsets = np.arange(0, counts.size + 1, PLACES, dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(counts.ravel()))

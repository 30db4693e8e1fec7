"""Columns of a table from those that were read: ids in place of the numbers of names, and what is missing."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from src.engine.imports.copying import write_copy
from src.engine.imports.plans import LoadPlan
from src.engine.imports.spooling import spool_schema
from src.engine.imports.writing import RowPlan, TargetColumn

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
INTEGERS = {"integer": pa.int32(), "bigint": pa.int64()}
NONE = -1  # for an id
IDS = pa.schema([("id", pa.int64())])


class Maker:
    """Makes one column of the table."""

    def __init__(self, column: TargetColumn, stored: pa.DataType, header: str) -> None:
        self.name, self.code, self.header = column.name, column.code, header
        self._default = column.default
        self.has_ids = column.type is not None
        self.type = INTEGERS[column.type] if column.type else stored
        self._ids = np.empty(0, np.int64)
        self._names: dict[int, str] = {}  # of those that have no id
        self._is_used = np.empty(0, bool)

    def learn(self, ids: list[int | None], unknown: Mapping[str, str]) -> None:
        """The ids of the next names; of those that have none, the name by its place among these."""
        self._names |= {len(self._ids) + int(place): name for place, name in unknown.items()}
        self._ids = np.append(self._ids, np.array([NONE if id_ is None else id_ for id_ in ids], np.int64))
        self._is_used = np.append(self._is_used, np.zeros(len(ids), bool))

    def is_unknown(self, numbers: pa.Array) -> Flags:
        found: Flags = self._ids[numbers.to_numpy()] == NONE
        return found

    def names(self, numbers: Integers) -> pa.Array:
        """Of unknown ones."""
        return pa.array([self._names[number] for number in numbers.tolist()], pa.string())

    def make(self, values: pa.Array) -> pa.Array:
        if self.has_ids:
            numbers = values.to_numpy()
            self._is_used[numbers] = True
            return pa.array(self._ids[numbers].astype(self.type.to_pandas_dtype()))
        if self._default is None:
            return values
        return values.fill_null(pa.scalar(self._default).cast(values.type))

    def used(self) -> Integers:
        """The ids that written rows have."""
        used: Integers = self._ids[self._is_used]
        return used

    def unused(self) -> Integers:
        """The ids that were told, and that no row has."""
        unused: Integers = self._ids[~self._is_used & (self._ids != NONE)]
        return unused


class FreshIds:
    """Ids for the rows that are written, in the order in which they are told."""

    def __init__(self) -> None:
        self._ids = np.empty(0, np.int64)

    def learn(self, stretches: Iterable[tuple[int, int]]) -> None:
        """As the first one and how many, of each."""
        fresh = [np.arange(first, first + count) for first, count in stretches]
        self._ids = np.concatenate([self._ids, *fresh])

    def keep(self, count: int) -> None:
        """As many as are still needed: of rows that are refused, nothing stays in memory."""
        self._ids = self._ids[:count].copy()

    def take(self, count: int) -> pa.Array:
        taken, self._ids = self._ids[:count], self._ids[count:]
        return pa.array(taken)


def write_ids(path: Path, ids: Integers) -> None:
    """As a COPY stream of one column: there may be a million of them."""
    write_copy(path, IDS, [pa.record_batch([pa.array(ids)], schema=IDS)])


def makers_of(plan: RowPlan, load_plan: LoadPlan) -> list[Maker]:
    """In the order of the columns."""
    stored = spool_schema(load_plan).types[1:]
    headers = map(load_plan.header, load_plan.columns)
    return [Maker(*parts) for parts in zip(plan.columns, stored, headers, strict=True)]

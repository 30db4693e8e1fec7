"""Rows that a query speaks of: an Ibis table of texts, its columns with their readings, and their order.

Nothing here runs. A step is a pure function from `Rows` to `Rows`; `running` runs what comes of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Self

import ibis
import ibis.expr.types as ir
from ibis import Deferred

from src.engine.queries.functions import hashed
from src.engine.queries.readings import as_text, harmless, reading_of, typed
from src.engine.queries.statements import Keep
from src.engine.values import Column, Regular

ROW = "row"  # where a row stands in its file, from 0; a column that nobody sees


@dataclass(frozen=True)
class QueryColumn:
    """A column, where the table has it, and whether no cell of it can look like a formula."""

    key: str  # a name of ours: two names of a file may differ in nothing but capitals
    reading: Column
    is_harmless: bool = False

    @property
    def name(self) -> str:
        return self.reading.name


@dataclass(frozen=True)
class Key:
    """A column of the table that rows are sorted by; what is null comes last."""

    column: str
    is_descending: bool = False

    def of(self, table: ir.Table) -> ir.Value:
        column = table[self.column]
        return column.desc(nulls_first=False) if self.is_descending else column.asc(nulls_first=False)


IN_PLACE = (Key(ROW),)


@dataclass(frozen=True)
class Choice:
    """Rows of which one is kept for each key: a table of `row`, the `hash` of the key, and its columns."""

    table: ir.Table
    keep: Keep


@dataclass(frozen=True)
class Part:
    """A table that is found before the rows are, under a name that they ask for it by.

    `is_set`: row numbers of the source. `may_stop`: it may be known before a file is read to its end.
    `choice`: how to find them without a table of all groups, for an engine that can't keep one.
    With a `refusal` nothing is asked: it holds cells with the numbers of their rows, and there must be none.
    """

    name: str
    table: ir.Table
    is_set: bool = False
    may_stop: bool = False
    refusal: str | None = None
    choice: Choice | None = None


@dataclass(frozen=True)
class Note:
    """A part that can be found while rows pass by, instead of by a reading of its own.

    It has the numbers of some rows, and texts: those of the rows for which `is_told` is true.
    """

    part: Part
    is_told: Deferred
    texts: Sequence[Deferred]


@dataclass(frozen=True)
class Rows:
    """A table with the hidden column `row`, and what is known about it.

    `order` is what the rows are sorted by in the end; `is_streamed`, they need not be: an engine that takes
    one after the other finds them in that order.
    `source` is the file whose rows these are, numbered as they stand there unless `is_renumbered`.
    `notes` may be taken of these rows by an engine that makes them all; of fewer, they would be wrong.
    """

    table: ir.Table
    columns: tuple[QueryColumn, ...]
    source: str
    order: tuple[Key, ...] = IN_PLACE
    is_streamed: bool = True
    is_renumbered: bool = False
    parts: tuple[Part, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def column(self, name: str) -> QueryColumn:
        return next(column for column in self.columns if column.name == name)

    def cell(self, name: str) -> ir.Value:
        """A column as the table has it: the texts of the file, or computed values."""
        return self.table[self.column(name).key]

    def text(self, name: str) -> ir.StringValue:
        """A column as texts, as they come out."""
        return as_text(self.cell(name))

    def shown(self, name: str) -> ir.StringValue:
        """The same for a spreadsheet, which must not take a text for a formula."""
        return self.text(name) if self.column(name).is_harmless else harmless(self.text(name))

    def proven_by(self, proof: Regular) -> Self:
        """The same, as it is known in which columns of the source's file a cell begins like a formula."""
        if proof.signed is None:
            return self
        proven = {*keys_of_file(proof.width)} - {key_of_file(place) for place in proof.signed}
        columns = (replace(one, is_harmless=one.is_harmless or one.key in proven) for one in self.columns)
        return replace(self, columns=tuple(columns))

    def identity(self, name: str) -> ir.StringValue:
        """A column as what makes rows equal: its exact texts; a missing cell equals an empty one."""
        return self.text(name).fill_null("")

    def value(self, name: str) -> ir.Value:
        """A column as values of its type; null where a cell is empty or cannot be read."""
        cell = self.cell(name)
        return typed(cell, self.column(name).reading) if isinstance(cell, ir.StringValue) else cell

    def where(self, predicate: ir.BooleanValue) -> Self:
        """The rows for which it is true."""
        return replace(self, table=self.table.filter(predicate), notes=())

    def among(self, numbers: ir.Table) -> Self:
        """The rows whose numbers are in the column `row` of another table, which is found first."""
        return self._kept(numbers.select(ROW), is_set=not self.is_renumbered)

    def one_of_each(self, names: Sequence[str], keep: Keep) -> Self:
        """One row for each combination of texts in these columns."""
        rows = self.numbered()
        keys = {f"key_{place}": rows.identity(name) for place, name in enumerate(names)}
        keyed = rows.table.select(**{ROW: rows.table[ROW], "hash": hashed(*keys.values()), **keys})
        number = keyed[ROW].min() if keep == "first" else keyed[ROW].max()
        numbers = keyed.group_by(list(keys)).agg(**{ROW: number}).select(ROW)
        return rows._kept(numbers, is_set=True, choice=Choice(keyed, keep))  # noqa: SLF001 # its own kind

    def _kept(self, numbers: ir.Table, *, is_set: bool, choice: Choice | None = None) -> Self:
        part = Part(self._next_part, numbers, is_set=is_set, choice=choice)
        found = ibis.table(numbers.schema(), name=part.name)
        return replace(self, parts=(*self.parts, part)).where(self.table[ROW].isin(found[ROW]))

    @property
    def _next_part(self) -> str:
        return f"part_{self.source}_{len(self.parts)}"

    def unless_any(self, bad: ir.BooleanValue, name: str, refusal: str) -> Self:
        """The same rows, provided that nothing is wrong with any; else a cell that is bad is named."""
        cells = self.table.filter(bad).select(**{ROW: self.table[ROW], "cell": self.text(name)})
        part = Part(self._next_part, cells, may_stop=True, refusal=refusal)
        return replace(self, parts=(*self.parts, part))

    def with_values(
        self, values: Mapping[str, ir.Value], readings: Mapping[str, Column] | None = None
    ) -> Self:
        """Columns computed: in the place of those that have such a name, else behind the last."""
        keys = dict(zip(values, self.new_keys(len(values)), strict=True))
        added = {
            name: QueryColumn(
                keys[name],
                (readings or {}).get(name) or reading_of(name, value),
                is_harmless=not isinstance(value, ir.StringValue),
            )
            for name, value in values.items()
        }
        old = [added.pop(column.name, column) for column in self.columns]
        table = self.table.mutate(**{keys[name]: value for name, value in values.items()})
        return replace(self, table=table, columns=(*old, *added.values()))

    def selected(self, names: Iterable[str]) -> Self:
        """These columns, in this order."""
        return replace(self, columns=tuple(self.column(name) for name in names))

    def renamed(self, names: Mapping[str, str]) -> Self:
        """Other names for some columns."""
        columns = [
            replace(column, reading=replace(column.reading, name=names.get(column.name, column.name)))
            for column in self.columns
        ]
        return replace(self, columns=tuple(columns))

    def sorted_by(self, keys: Sequence[tuple[ir.Value, bool]]) -> Self:
        """In another order, each key rising, or falling if it says so; ties keep the order they had."""
        names = self.new_keys(len(keys))
        table = self.table.mutate(**{name: key for name, (key, _) in zip(names, keys, strict=True)})
        order = [Key(name, is_descending) for name, (_, is_descending) in zip(names, keys, strict=True)]
        return replace(self, table=table, order=(*order, *self.order), is_streamed=False)

    def numbered(self) -> Self:
        """The same rows, with numbers that rise in their order."""
        if self.order == IN_PLACE:
            return self
        number = ibis.row_number().over(order_by=[key.of(self.table) for key in self.order])
        table = self.table.mutate(**{ROW: number})
        return replace(self, table=table, order=IN_PLACE, is_streamed=False, is_renumbered=True)

    def first(self, most: int, skip: int = 0) -> Self:
        """So many of the rows."""
        return replace(self, table=self.in_order().limit(most, offset=skip), notes=())

    def in_order(self) -> ir.Table:
        """The table, sorted where it has to be."""
        if self.is_streamed:
            return self.table
        return self.table.order_by([key.of(self.table) for key in self.order])

    def joined(
        self,
        other: Self,
        on: Sequence[tuple[ir.Value, ir.Value]],
        taken: Mapping[str, str],
        *,
        is_inner: bool = False,
        is_unique: bool = False,
    ) -> Self:
        """Beside each row those of `other` that match; `taken` are the names that its columns get here.

        A row that matches several comes several times, in the order of `other`; `is_unique` promises that
        none does. What matched nothing has nulls, also in the hidden column `<source of other>_row`.
        """
        matched = f"{other.source}_{ROW}"
        while matched in self.table.columns:  # the same table, joined once more
            matched += "_"
        left, right = self._beside(other, on, taken, matched)
        pairs = [(f"on_{place}", f"{other.source}_on_{place}") for place in range(len(on))]
        table = left.table.join(right, pairs, how="inner" if is_inner else "left")
        return replace(
            left,
            table=table.drop(*(name for pair in pairs for name in pair)),
            order=self.order if is_unique else (*self.order, Key(matched)),
            is_streamed=self.is_streamed and is_unique,
            parts=(*self.parts, *other.parts),
            notes=(),
        )

    def _beside(
        self, other: Self, on: Sequence[tuple[ir.Value, ir.Value]], taken: Mapping[str, str], matched: str
    ) -> tuple[Self, ir.Table]:
        """Both sides of a join, with the keys to join on, and the columns that come out of it."""
        other, keys = other.numbered(), dict(zip(taken, self.new_keys(len(taken)), strict=True))
        left = self.table.mutate(**{f"on_{place}": value for place, (value, _) in enumerate(on)})
        right = other.table.select(
            **{f"{other.source}_on_{place}": value for place, (_, value) in enumerate(on)},
            **{keys[name]: other.cell(name) for name in taken},
            **{matched: other.table[ROW]},
        )
        added = [replace(other.column(name), key=keys[name]) for name in taken]
        named = [
            replace(column, reading=replace(column.reading, name=taken[column.name])) for column in added
        ]
        return replace(self, table=left, columns=(*self.columns, *named)), right

    def new_keys(self, wanted: int) -> list[str]:
        """Names for columns that the table does not have yet."""
        free = (key for number in count() if (key := f"c{number}") not in self.table.columns)
        return [next(free) for _ in range(wanted)]


def scan(source: str, columns: Sequence[Column], *, is_proven: bool = True) -> Rows:
    """The rows of a file as they stand in it. `is_proven`: all cells are what their column's type says."""
    keys = keys_of_file(len(columns))
    table = ibis.table({ROW: "int64", **dict.fromkeys(keys, "string")}, name=source)
    found = tuple(
        QueryColumn(key, column, is_proven and column.type in ("integer", "decimal", "date", "datetime"))
        for key, column in zip(keys, columns, strict=True)
    )
    return Rows(table=table, columns=found, source=source)


def keys_of_file(width: int) -> list[str]:
    """Where a table has the texts of a file, in the order of its columns; nothing else ever stands there."""
    return [key_of_file(place) for place in range(width)]


def key_of_file(place: int) -> str:
    return f"c{place}"

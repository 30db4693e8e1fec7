"""Rows grouped by keys, in the order in which the keys first occur."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from src.engine.queries.readings import is_empty, reading_of
from src.engine.queries.rows import IN_PLACE, ROW, QueryColumn, Rows

Function = Callable[[Rows, str], ir.Value]
WHOLE = dt.Decimal(38, 0)


def aggregated(rows: Rows, by: Sequence[str], values: Sequence[Mapping[str, Any]]) -> Rows:
    """One row for each combination of texts in `by`; without any, one for all."""
    rows = rows.numbered()
    keys = {f"group_{place}": rows.identity(name) for place, name in enumerate(by)}
    rows = replace(rows, table=rows.table.mutate(**keys))
    found = {f"value_{place}": _found(rows, one) for place, one in enumerate(values)}
    figures = {**found, ROW: rows.table[ROW].min()}
    table = rows.table.group_by(list(keys)).agg(**figures) if keys else rows.table.agg(**figures)
    columns = [
        QueryColumn(key, rows.column(name).reading, rows.column(name).is_harmless)
        for key, name in zip(keys, by, strict=True)
    ]
    for (key, value), one in zip(found.items(), values, strict=True):
        columns.append(
            QueryColumn(key, reading_of(one["name"], value), not isinstance(value, ir.StringValue))
        )
    return replace(
        rows, table=table, columns=tuple(columns), order=IN_PLACE, is_streamed=False, is_renumbered=True
    )


def _found(rows: Rows, one: Mapping[str, Any]) -> ir.Value:
    column = one.get("column")
    return rows.table.count() if column is None else FUNCTIONS[one["function"]](rows, column)


def _there(rows: Rows, name: str) -> ir.Value:
    """The values, nothing where a cell is empty."""
    cell = rows.value(name)
    return is_empty(rows.text(name)).ifelse(None, cell) if isinstance(cell, ir.StringValue) else cell


def _mean(values: ir.Value) -> ir.Value:
    """Of exact numbers: whole and broken parts are summed up exactly, so that the order of rows says nothing.

    Several threads or machines add in an order of their own, and sums of doubles depend on it.
    """
    kind = values.type()
    if not (kind.is_integer() or kind.is_decimal()):
        return values.cast("float64").mean()
    whole = values.floor().cast(WHOLE) if kind.is_decimal() else values.cast(WHOLE)
    total = _as_double(whole.sum())
    if kind.is_decimal():
        total = total + _as_double((values - whole.cast(kind)).sum())
    return total / values.count().nullif(0).cast("float64")


def _as_double(total: ir.Value) -> ir.Value:
    """Read from its text, which is exact up to the last step."""
    return total.cast("string").cast("float64")


FUNCTIONS: Mapping[str, Function] = {
    "count": lambda rows, name: _there(rows, name).count(),
    "count_distinct": lambda rows, name: _there(rows, name).nunique(),
    "sum": lambda rows, name: _there(rows, name).sum(),
    "avg": lambda rows, name: _mean(_there(rows, name)),
    "min": lambda rows, name: _there(rows, name).min(),
    "max": lambda rows, name: _there(rows, name).max(),
}

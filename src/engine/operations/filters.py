"""Which rows a filter keeps: numbers compared as numbers, dates as dates, texts as texts."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import reduce
from math import ceil, floor
from operator import and_, or_
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from src.domain.patterns import check_pattern
from src.engine.operations.literals import Literal, literal
from src.engine.queries.readings import EXACT, is_empty, number
from src.engine.queries.rows import Rows
from src.engine.values import Column

MOST_WHOLE, MOST_PLACES = 10**18, 18  # of a column of integers, and of an exact number


def condition(rows: Rows, one: Mapping[str, Any]) -> ir.BooleanValue:
    """One filter. Empty cells pass `!=`, `not_contains` and `is_empty`, and fail all others."""
    name, operator, value = one["column"], one["operator"], one.get("value")
    empty = is_empty(rows.text(name))
    if operator == "is_empty":
        return empty
    if operator == "not_empty":
        return ~empty
    if operator in TEXT_TESTS:
        passes = TEXT_TESTS[operator](rows.text(name), str(value))
        return passes & ~empty
    if operator == "not_contains":
        return empty | ~rows.text(name).contains(str(value))
    if operator == "!=":
        return empty | ~_compared(rows, name, "==", value).fill_null(False)
    passes = _compared(rows, name, operator, value)
    return passes & ~empty if rows.column(name).reading.type == "text" else passes


def conditions(rows: Rows, arguments: Mapping[str, Any]) -> ir.BooleanValue:
    """All filters, or any of them."""
    join = and_ if arguments["match"] == "all" else or_
    return reduce(join, (condition(rows, one) for one in arguments["filters"]))


def _matches(text: ir.StringValue, pattern: str) -> ir.BooleanValue:
    check_pattern(pattern)
    return text.re_search(pattern)


TEXT_TESTS: Mapping[str, Callable[[ir.StringValue, str], ir.BooleanValue]] = {
    "contains": lambda text, value: text.contains(value),
    "starts_with": lambda text, value: text.startswith(value),
    "ends_with": lambda text, value: text.endswith(value),
    "regex": _matches,
}


def _compared(rows: Rows, name: str, operator: str, value: Any) -> ir.BooleanValue:
    """Not true where a cell cannot be read: to ask whether it is null would mean to compute all of it."""
    column = rows.column(name).reading
    if operator == "between":
        low, high = (literal(column, bound) for bound in value)
        return _test(rows, name, ">=", low) & _test(rows, name, "<=", high)
    if operator == "in":
        return reduce(or_, (_test(rows, name, "==", literal(column, one)) for one in value))
    return _test(rows, name, operator, literal(column, value))


def _test(rows: Rows, name: str, operator: str, value: Literal) -> ir.BooleanValue:
    cell, column = rows.cell(name), rows.column(name).reading
    if isinstance(value, Decimal):
        if column.type == "integer":
            return _whole(rows.value(name), operator, value)
        if isinstance(cell, ir.StringValue):
            return _exact(cell, column, operator, value)
        if isinstance(cell, ir.DecimalValue) and _is_exact(value):
            return COMPARISONS[operator](cell, ibis.literal(value))
        return COMPARISONS[operator](cell.cast("float64"), float(value))
    if isinstance(value, datetime | date):
        return COMPARISONS[operator](rows.value(name), ibis.literal(value))
    return COMPARISONS[operator](rows.value(name), value)


def _whole(cell: ir.IntegerValue, operator: str, value: Decimal) -> ir.BooleanValue:
    """Integers beside a number that may be none, or greater than any of them."""
    if abs(value) > MOST_WHOLE:
        value = Decimal(MOST_WHOLE if value > 0 else -MOST_WHOLE)
    if value == value.to_integral_value():
        return COMPARISONS[operator](cell, int(value))
    if operator == "==":
        return cell.isnull() & False
    return cell > floor(value) if operator in (">", ">=") else cell < ceil(value)


def _exact(text: ir.StringValue, column: Column, operator: str, value: Decimal) -> ir.BooleanValue:
    """Compared as doubles, which is fast; the few that tie are compared digit by digit.

    What cannot pass is sorted out first: of a condition, the engine computes the rest only for what is left.
    """
    double, near = number(text, column, dt.float64), float(value)
    if not _is_exact(value):
        return COMPARISONS[operator](double, near)
    exact = COMPARISONS[operator](number(text, column, EXACT), ibis.literal(value, type=EXACT))
    exact = exact.fill_null(operator not in (">", "<"))
    if operator == "==":
        return (double == near) & exact
    side = operator[0]
    return COMPARISONS[f"{side}="](double, near) & (COMPARISONS[side](double, near) | exact)


def _is_exact(value: Decimal) -> bool:
    exponent = value.normalize().as_tuple().exponent
    return abs(value) < 10**20 and isinstance(exponent, int) and -exponent <= MOST_PLACES


COMPARISONS: Mapping[str, Callable[[Any, Any], ir.BooleanValue]] = {
    "==": lambda cell, value: cell == value,
    ">": lambda cell, value: cell > value,
    ">=": lambda cell, value: cell >= value,
    "<": lambda cell, value: cell < value,
    "<=": lambda cell, value: cell <= value,
}

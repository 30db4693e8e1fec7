"""A formula's value for one row: exactly, slowly, and without the engine. Both must agree on every cell."""

import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import reduce
from typing import Any

from src.domain.formulas.errors import Uncomputable
from src.domain.formulas.numbers import ARITHMETIC, CONTEXT, CONVERSIONS, fits
from src.domain.formulas.text import text_of
from src.domain.formulas.texts import TEXTS
from src.domain.formulas.tree import Call, Column, Constant, Formula, Node, Value
from src.domain.formulas.types import Type

Row = Mapping[str, Value | int]


def evaluate(formula: Formula, row: Row, rows: Sequence[Row] = ()) -> Value:
    """The value, or Uncomputable with the reason. `rows` are those of the group, for aggregates."""
    return _Evaluation(row, rows).value(formula.tree)


class _Evaluation:
    """One row, and the rows of its group."""

    def __init__(self, row: Row, rows: Sequence[Row]) -> None:
        self.row = row
        self.rows = rows

    def value(self, node: Node) -> Value:
        if isinstance(node, Constant):
            return _text(node.type, node.value)
        if isinstance(node, Column):
            return _cell(node.type, self.row.get(node.name))
        if special := _SPECIAL.get(node.name):
            return special(self, node)
        values = [self.value(argument) for argument in node.arguments]
        if node.name in ARITHMETIC:
            return self.arithmetic(node, values)
        if node.name in _COMPARISONS:
            return _compared(node.name, *values)
        return TEXTS[node.name](*values)

    def arithmetic(self, node: Call, values: list[Value]) -> Value:
        if node.name in CONVERSIONS:
            return None if values[0] is None else ARITHMETIC[node.name](node.type, *values)
        return ARITHMETIC[node.name](node.type, *map(_zero_if_missing, node.arguments, values))

    def choose(self, node: Call) -> Value:
        test, then, otherwise = node.arguments
        return self.value(then if self.value(test) else otherwise)

    def all(self, node: Call) -> Value:
        return all(self.value(argument) for argument in node.arguments)

    def any(self, node: Call) -> Value:
        return any(self.value(argument) for argument in node.arguments)

    def negation(self, node: Call) -> Value:
        return not self.value(node.arguments[0])

    def within(self, node: Call) -> Value:
        value, *choices = (self.value(argument) for argument in node.arguments)
        return value is not None and value in choices

    def is_missing(self, node: Call) -> Value:
        return _is_missing(self.value(node.arguments[0]))

    def coalesce(self, node: Call) -> Value:
        """The first that is there; what comes after it is not looked at."""
        for argument in node.arguments:
            if not _is_missing(value := self.value(argument)):
                return value
        return _text(node.type, None)

    def to_text(self, node: Call) -> Value:
        return text_of(self.value(node.arguments[0]))

    def extreme(self, node: Call) -> Value:
        """Of values: a missing number is 0, a missing text is empty, a missing day is left out."""
        values: list[Any] = [_zero_if_missing(part, self.value(part)) for part in node.arguments]
        there = [value for value in values if value is not None]
        return (max if node.name == "max" else min)(there, default=None)

    def impossible(self, node: Call) -> Value:
        raise Uncomputable(node.name)

    def over_rows(self, node: Call) -> Value:
        """Of a group: missing values are left out."""
        if not node.arguments:
            return Decimal(len(self.rows))
        values = [_Evaluation(row, ()).value(node.arguments[0]) for row in self.rows]
        there: list[Any] = [value for value in values if not _is_missing(value)]
        return _AGGREGATES[node.name](node.type, there)


def _cell(type_: Type, value: Value | int) -> Value:
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    if isinstance(value, Decimal) and type_.kind == "number" and not fits(value, type_):
        raise Uncomputable("too_large")
    return _text(type_, value)


def _text(type_: Type, value: Value) -> Value:
    """A missing text is an empty one."""
    return "" if value is None and type_.kind == "text" else value


def _zero_if_missing(part: Node, value: Value) -> Value:
    """A missing number is 0 in arithmetic."""
    if value is None and part.type.kind in ("number", "double"):
        return 0.0 if part.type.kind == "double" else Decimal(0)
    return value


def _is_missing(value: Value) -> bool:
    return value is None or value == ""


def _compared(name: str, one: Any, other: Any) -> bool:
    """What is missing differs from everything, and is neither more nor less than anything."""
    if one is None or other is None:
        return name == "unequal"
    return bool(_COMPARISONS[name](one, other))


def _average(type_: Type, values: Sequence[Decimal]) -> Value:
    return float(reduce(CONTEXT.add, values)) / len(values) if values else None


_COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "equal": operator.eq,
    "unequal": operator.ne,
    "less": operator.lt,
    "at_most": operator.le,
    "greater": operator.gt,
    "at_least": operator.ge,
}
_SPECIAL: Mapping[str, Callable[[_Evaluation, Call], Value]] = {
    "choose": _Evaluation.choose,
    "and": _Evaluation.all,
    "or": _Evaluation.any,
    "not": _Evaluation.negation,
    "within": _Evaluation.within,
    "is_missing": _Evaluation.is_missing,
    "coalesce": _Evaluation.coalesce,
    "to_text": _Evaluation.to_text,
    "max": _Evaluation.extreme,
    "min": _Evaluation.extreme,
    "text_and_number": _Evaluation.impossible,
    **dict.fromkeys(("sum", "avg", "count", "count_distinct", "lowest", "highest"), _Evaluation.over_rows),
}
_AGGREGATES: Mapping[str, Callable[[Type, Any], Value]] = {
    "sum": lambda type_, values: reduce(CONTEXT.add, values, Decimal(0)),
    "avg": _average,
    "count": lambda type_, values: Decimal(len(values)),
    "count_distinct": lambda type_, values: Decimal(len(set(values))),
    "lowest": lambda type_, values: min(values, default=_text(type_, None)),
    "highest": lambda type_, values: max(values, default=_text(type_, None)),
}

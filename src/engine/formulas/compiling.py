"""The typed tree of a formula, turned into an Ibis expression from the leaves up."""

from collections.abc import Callable, Mapping
from functools import reduce
from operator import and_, or_

import ibis
import ibis.expr.types as ir

from src.domain.formulas.numbers import CONVERSIONS
from src.domain.formulas.tree import Call, Column, Constant, Formula, Node, walk
from src.domain.formulas.types import Type, common
from src.engine.formulas.arithmetic import ARITHMETIC
from src.engine.formulas.computed import Computed, constant, data_type, first, present
from src.engine.formulas.texts import TEXTS, as_text

Cells = Mapping[str, Computed]
Found = Mapping[Call, Computed]
AGGREGATES = frozenset(("sum", "avg", "count", "count_distinct", "lowest", "highest"))


def compute(formula: Formula, cells: Cells, found: Found | None = None) -> Computed:
    """The formula's column. `cells` are those of the table, `found` the aggregates if rows are grouped."""
    return _Compiler(cells, found or {}).compiled(formula.tree)


def aggregates_in(formula: Formula) -> list[Call]:
    """The parts that look at all rows of a group, which are computed first."""
    return [part for part in walk(formula.tree) if isinstance(part, Call) and part.name in AGGREGATES]


def compute_aggregate(call: Call, table: ir.Table, cells: Cells) -> Computed:
    """Over the rows of each group of the table; one that can't be computed leaves none for the group."""
    if not call.arguments:
        return Computed(table.count().cast(data_type(call.type)))
    argument = _Compiler(cells, {}).compiled(call.arguments[0])
    value = argument.shown
    if call.arguments[0].type.kind == "text":
        value = value.nullif("")
    reason = None if argument.reason is None else argument.reason.max()
    return Computed(_AGGREGATIONS[call.name](value, call.type), reason)


def as_cells(table: ir.Table, types: Mapping[str, Type]) -> dict[str, Computed]:
    """Columns that hold values of their types already."""
    return {name: Computed(table[name]) for name in types}


class _Compiler:
    """One formula over the columns of one table."""

    def __init__(self, cells: Cells, found: Found) -> None:
        self.cells = cells
        self.found = found

    def compiled(self, node: Node) -> Computed:
        if isinstance(node, Constant):
            return Computed(
                constant("" if node.value is None and node.type.kind == "text" else node.value, node.type)
            )
        if isinstance(node, Column):
            cell = self.cells[node.name]
            return Computed(present(cell, node.type) if node.type.kind == "text" else cell.value, cell.reason)
        if node in self.found:
            return self.found[node]
        if special := _SPECIAL.get(node.name):
            return special(self, node)
        parts = [self.compiled(argument) for argument in node.arguments]
        if node.name in _COMPARISONS:
            result = Computed(_COMPARISONS[node.name](*_comparable(node, parts)))
        elif node.name in ARITHMETIC:
            result = ARITHMETIC[node.name](node, _numbers(node, parts))
        else:
            result = TEXTS[node.name](node, [part.value for part in parts])
        return Computed(result.value, first([*(part.reason for part in parts), result.reason]))

    def conditions(self, node: Call) -> list[Computed]:
        parts = [self.compiled(argument) for argument in node.arguments]
        return [
            Computed(present(part, one.type), part.reason)
            for part, one in zip(parts, node.arguments, strict=True)
        ]

    def all(self, node: Call) -> Computed:
        """What stands after a false one is not looked at."""
        parts = self.conditions(node)
        return Computed(reduce(and_, (part.value for part in parts)), _until(parts, lambda value: value))

    def any(self, node: Call) -> Computed:
        parts = self.conditions(node)
        return Computed(reduce(or_, (part.value for part in parts)), _until(parts, lambda value: ~value))

    def negation(self, node: Call) -> Computed:
        part = self.conditions(node)[0]
        return Computed(~part.value, part.reason)

    def choose(self, node: Call) -> Computed:
        test = self.conditions(Call(node.type, node.name, node.arguments[:1]))[0]
        then, otherwise = (self.compiled(argument) for argument in node.arguments[1:])
        type_ = data_type(node.type)
        value = test.value.ifelse(then.value.cast(type_), otherwise.value.cast(type_))
        reason = None
        if then.reason is not None or otherwise.reason is not None:
            none = ibis.null("string")
            reason = test.value.ifelse(_or(then.reason, none), _or(otherwise.reason, none))
        return Computed(value, first([test.reason, reason]))

    def within(self, node: Call) -> Computed:
        parts = [self.compiled(argument) for argument in node.arguments]
        value, *choices = _comparable(node, parts)
        found = reduce(or_, ((value == choice).fill_null(False) for choice in choices))
        return Computed(found, first(part.reason for part in parts))

    def is_missing(self, node: Call) -> Computed:
        part = self.compiled(node.arguments[0])
        return Computed(_is_missing(part.value, node.arguments[0].type), part.reason)

    def coalesce(self, node: Call) -> Computed:
        """The first that is there; what comes after it is not looked at."""
        parts = [self.compiled(argument) for argument in node.arguments]
        type_ = data_type(node.type)
        if node.type.kind == "text":
            value = ibis.coalesce(*(part.value.nullif("") for part in parts)).fill_null("")
        else:
            value = ibis.coalesce(*(part.value.cast(type_) for part in parts))
        return Computed(value, _until(parts, lambda value: _is_missing(value, node.type)))

    def to_text(self, node: Call) -> Computed:
        part = self.compiled(node.arguments[0])
        return Computed(as_text(part.value, node.arguments[0].type), part.reason)

    def extreme(self, node: Call) -> Computed:
        parts = [self.compiled(argument) for argument in node.arguments]
        values = [
            present(part, one.type).cast(data_type(node.type))
            for part, one in zip(parts, node.arguments, strict=True)
        ]
        value = (ibis.greatest if node.name == "max" else ibis.least)(*values)
        return Computed(value, first(part.reason for part in parts))

    def impossible(self, node: Call) -> Computed:
        return Computed(constant("", node.type), ibis.literal(node.name))


def _until(parts: list[Computed], goes_on: Callable[[ir.Value], ir.Value]) -> ir.Value | None:
    """The first reason among parts that are looked at one after the other, as long as it goes on."""
    reason = parts[-1].reason
    for part in reversed(parts[:-1]):
        later = None if reason is None else goes_on(part.value).ifelse(reason, ibis.null("string"))
        reason = first([part.reason, later])
    return reason


def _numbers(node: Call, parts: list[Computed]) -> list[ir.Value]:
    if node.name in CONVERSIONS:
        return [part.value for part in parts]
    return [present(part, one.type) for part, one in zip(parts, node.arguments, strict=True)]


def _comparable(node: Call, parts: list[Computed]) -> list[ir.Value]:
    """As values of one type."""
    type_ = common([argument.type for argument in node.arguments])
    return [part.value.cast(data_type(type_)) if type_ else part.value for part in parts]


def _or(reason: ir.Value | None, none: ir.Value) -> ir.Value:
    return none if reason is None else reason


def _is_missing(value: ir.Value, type_: Type) -> ir.Value:
    return value == "" if type_.kind == "text" else value.isnull()


_COMPARISONS: Mapping[str, Callable[[ir.Value, ir.Value], ir.Value]] = {
    "equal": lambda one, other: (one == other).fill_null(False),
    "unequal": lambda one, other: (one != other).fill_null(True),
    "less": lambda one, other: (one < other).fill_null(False),
    "at_most": lambda one, other: (one <= other).fill_null(False),
    "greater": lambda one, other: (one > other).fill_null(False),
    "at_least": lambda one, other: (one >= other).fill_null(False),
}
_SPECIAL: Mapping[str, Callable[[_Compiler, Call], Computed]] = {
    "and": _Compiler.all,
    "or": _Compiler.any,
    "not": _Compiler.negation,
    "choose": _Compiler.choose,
    "within": _Compiler.within,
    "is_missing": _Compiler.is_missing,
    "coalesce": _Compiler.coalesce,
    "to_text": _Compiler.to_text,
    "max": _Compiler.extreme,
    "min": _Compiler.extreme,
    "text_and_number": _Compiler.impossible,
}


def _total(value: ir.Value, type_: Type) -> ir.Value:
    return value.sum().fill_null(constant(0, type_)).cast(data_type(type_))


def _average(value: ir.Value, type_: Type) -> ir.Value:
    """Exact until the last step, so that the order of rows does not matter."""
    return value.sum().cast("string").cast("float64") / value.count().nullif(0).cast("float64")


def _extreme(name: str) -> Callable[[ir.Value, Type], ir.Value]:
    def make(value: ir.Value, type_: Type) -> ir.Value:
        found = getattr(value, name)()
        return found.fill_null("") if type_.kind == "text" else found

    return make


_AGGREGATIONS: Mapping[str, Callable[[ir.Value, Type], ir.Value]] = {
    "sum": _total,
    "avg": _average,
    "count": lambda value, type_: value.count().cast(data_type(type_)),
    "count_distinct": lambda value, type_: value.nunique().cast(data_type(type_)),
    "lowest": _extreme("min"),
    "highest": _extreme("max"),
}

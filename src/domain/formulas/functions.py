"""The functions that a formula may call: how many arguments each takes, of which types, and what it gives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from src.domain.formulas.arguments import Placed, alike, condition, converted, shown
from src.domain.formulas.dates import read_pattern
from src.domain.formulas.errors import BadFormula
from src.domain.formulas.tree import Call, Constant, Node
from src.domain.formulas.types import (
    DATE,
    DECIMAL,
    DIGITS,
    DOUBLE,
    INTEGER,
    TEXT,
    UNKNOWN,
    Type,
    is_day,
    is_number,
    number,
)
from src.domain.patterns import fault_of

Maker = Callable[[Sequence[Placed]], Node]
MANY = 50
ROUNDED_WHOLE = 18  # digits before the point that a rounded double may have
SUMMED_PLACES = 12  # of a double in a sum: exact from there on, so that the order of rows does not matter
ROWS_DIGITS = 10  # of a count of rows


@dataclass(frozen=True, slots=True)
class Function:
    """`least` to `most` arguments; `make` types them. An aggregate looks at all rows of a group."""

    least: int
    most: int
    make: Maker
    is_aggregate: bool = False


def _extreme(name: str) -> Maker:
    def make(given: Sequence[Placed]) -> Node:
        nodes = alike(given)
        if nodes[0].type.kind in ("boolean", "nothing"):
            raise given[0].refused("numbers, texts or dates")
        return Call(nodes[0].type if nodes[0].type.kind != "number" else _widest(nodes), name, tuple(nodes))

    return make


def _widest(nodes: Sequence[Node]) -> Type:
    whole, places = (max(getattr(node.type, part) for node in nodes) for part in ("whole", "places"))
    return number(whole, places)


def _abs(given: Sequence[Placed]) -> Node:
    node = given[0].as_number()
    return Call(node.type, "abs", (node,))


def _round(given: Sequence[Placed]) -> Node:
    node = given[0].as_number()
    places = given[1].constant_integer(-10, 10) if len(given) > 1 else 0
    kept = max(0, places)
    if node.type.kind == "number":
        if places >= node.type.places:
            return node
        type_ = number(node.type.whole + 1, kept)
    else:
        type_ = number(ROUNDED_WHOLE, kept) if node.type.kind == "double" else UNKNOWN
    return Call(type_, "round", (node, Constant(INTEGER, places)))


def _whole(name: str) -> Maker:
    def make(given: Sequence[Placed]) -> Node:
        node = given[0].as_number()
        if node.type.kind == "number" and node.type.places == 0:
            return node
        whole = node.type.whole + 1 if node.type.kind == "number" else ROUNDED_WHOLE
        return Call(number(whole, 0), name, (node,))

    return make


def _coalesce(given: Sequence[Placed]) -> Node:
    nodes = alike(given)
    type_ = _widest(nodes) if nodes[0].type.kind == "number" else nodes[0].type
    return Call(type_, "coalesce", tuple(nodes))


def _texts(name: str, result: Type = TEXT) -> Maker:
    return lambda given: Call(result, name, tuple(one.as_text() for one in given))


def _concat(given: Sequence[Placed]) -> Node:
    return Call(TEXT, "join", tuple(shown(one.node) for one in given))


def _substr(given: Sequence[Placed]) -> Node:
    return Call(TEXT, "substr", (given[0].as_text(), *(_count(one) for one in given[1:])))


def _count(one: Placed) -> Node:
    """A number of characters: whole, whatever is given, and 0 if it is missing."""
    node = _whole("floor")([one])
    return Call(node.type, "coalesce", (node, Constant(node.type, Decimal(0))))


def _split(given: Sequence[Placed]) -> Node:
    separator = given[1].constant_text("what stands between the parts")
    if not separator:
        raise given[1].refused("what stands between the parts, not nothing")
    part = given[2].constant_integer(1, 1_000)
    arguments = (given[0].as_text(), Constant(TEXT, separator), Constant(INTEGER, part))
    return Call(TEXT, "split", arguments)


def _matches(given: Sequence[Placed]) -> Node:
    pattern = given[1].constant_text("a pattern")
    fault, position = fault_of(pattern), given[1].position
    if fault is not None:
        words = f"At character {position}: this pattern can't be used: {fault}."
        raise BadFormula(words, code="pattern", position=position)
    return condition("matches", given[0].as_text(), Constant(TEXT, pattern))


def _to_number(given: Sequence[Placed]) -> Node:
    node = given[0].node
    return node if is_number(node.type) else Call(DECIMAL, "to_number", (given[0].as_text(),))


def _to_date(given: Sequence[Placed]) -> Node:
    pattern = _pattern(given[1]) if len(given) > 1 else "yyyy-mm-dd"
    if is_day(given[0].type):
        return Call(DATE, "as_date", (given[0].node,))
    return Call(DATE, "to_date", (given[0].as_text(), Constant(TEXT, pattern)))


def _date_format(given: Sequence[Placed]) -> Node:
    return Call(TEXT, "date_format", (given[0].as_day(), Constant(TEXT, _pattern(given[1]))))


def _pattern(one: Placed) -> str:
    pattern = one.constant_text("a form such as 'dd/mm/yyyy'")
    if not read_pattern(pattern):
        raise one.refused("a form made of yyyy, mm, dd, hh, mi and ss, such as 'dd/mm/yyyy'")
    return pattern


def _part(name: str) -> Maker:
    return lambda given: Call(number(4, 0), name, (given[0].as_day(),))


def _days_between(given: Sequence[Placed]) -> Node:
    return Call(number(7, 0), "days_between", tuple(one.as_day() for one in given))


def _sum(given: Sequence[Placed]) -> Node:
    node = _summed(given[0].as_number())
    return Call(number(node.type.whole + ROWS_DIGITS, node.type.places), "sum", (node,))


def _summed(node: Node) -> Node:
    """A value of which so many rows can be added up that no sum needs more digits than there are."""
    if node.type.kind == "number":
        places = node.type.places
        return converted(node, number(min(node.type.whole, DIGITS - ROWS_DIGITS - places), places))
    if node.type.kind == "unknown":
        return node
    return Call(number(ROUNDED_WHOLE, SUMMED_PLACES), "round", (node, Constant(INTEGER, SUMMED_PLACES)))


def _avg(given: Sequence[Placed]) -> Node:
    return Call(DOUBLE, "avg", (_summed(given[0].as_number()),))


def _lone_extreme(name: str) -> Maker:
    def make(given: Sequence[Placed]) -> Node:
        if given[0].type.kind == "boolean":
            raise given[0].refused("numbers, texts or dates")
        return Call(given[0].type, name, (given[0].node,))

    return make


def _counting(name: str) -> Maker:
    return lambda given: Call(number(ROWS_DIGITS, 0), name, tuple(one.node for one in given))


FUNCTIONS: Mapping[str, Function] = {
    "max": Function(2, MANY, _extreme("max")),
    "min": Function(2, MANY, _extreme("min")),
    "abs": Function(1, 1, _abs),
    "round": Function(1, 2, _round),
    "floor": Function(1, 1, _whole("floor")),
    "ceil": Function(1, 1, _whole("ceil")),
    "coalesce": Function(1, MANY, _coalesce),
    "is_missing": Function(1, 1, lambda given: condition("is_missing", given[0].node)),
    "upper": Function(1, 1, _texts("upper")),
    "lower": Function(1, 1, _texts("lower")),
    "trim": Function(1, 1, _texts("trim")),
    "concat": Function(1, MANY, _concat),
    "substr": Function(2, 3, _substr),
    "replace": Function(3, 3, _texts("replace")),
    "length": Function(1, 1, _texts("length", number(10, 0))),
    "split": Function(3, 3, _split),
    "contains": Function(2, 2, lambda given: condition("contains", *(one.as_text() for one in given))),
    "matches": Function(2, 2, _matches),
    "to_number": Function(1, 1, _to_number),
    "to_date": Function(1, 2, _to_date),
    "to_text": Function(1, 1, lambda given: shown(given[0].node)),
    "year": Function(1, 1, _part("year")),
    "month": Function(1, 1, _part("month")),
    "day": Function(1, 1, _part("day")),
    "weekday": Function(1, 1, _part("weekday")),
    "days_between": Function(2, 2, _days_between),
    "date_format": Function(2, 2, _date_format),
}
AGGREGATES: Mapping[str, Function] = {
    "sum": Function(1, 1, _sum, is_aggregate=True),
    "avg": Function(1, 1, _avg, is_aggregate=True),
    "count": Function(0, 1, _counting("count"), is_aggregate=True),
    "count_distinct": Function(1, 1, _counting("count_distinct"), is_aggregate=True),
    "min": Function(1, 1, _lone_extreme("lowest"), is_aggregate=True),
    "max": Function(1, 1, _lone_extreme("highest"), is_aggregate=True),
}

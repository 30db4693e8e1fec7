"""Typed arguments: what stands where a number, a text, a date is expected is turned into one, or refused."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from src.domain.formulas.errors import BadFormula
from src.domain.formulas.tree import Call, Constant, Node
from src.domain.formulas.types import (
    BOOLEAN,
    DATE,
    DATETIME,
    DECIMAL,
    DOUBLE,
    TEXT,
    Type,
    common,
    is_day,
    is_number,
)


class Placed:
    """A typed node, and where it stands in the text."""

    __slots__ = ("node", "position")

    def __init__(self, node: Node, position: int) -> None:
        self.node = node
        self.position = position

    @property
    def type(self) -> Type:
        return self.node.type

    def refused(self, expected: str, code: str = "type") -> BadFormula:
        return BadFormula(
            f"At character {self.position}: expected {expected}, found {_described(self.node)}.",
            code=code,
            position=self.position,
        )

    def as_number(self) -> Node:
        """A number as it is; a text is read as one, cell by cell."""
        if self.type.kind == "unknown" or is_number(self.type):
            return self.node
        if self.type.kind == "text" and not isinstance(self.node, Constant):
            return Call(DECIMAL, "to_number", (self.node,))
        raise self.refused("a number")

    def as_double(self) -> Node:
        return double(self.as_number())

    def as_text(self) -> Node:
        if self.type.kind in ("unknown", "text"):
            return self.node
        raise self.refused("a text (to_text makes one)")

    def as_condition(self) -> Node:
        if self.type.kind in ("unknown", "boolean"):
            return self.node
        raise self.refused("a condition, such as a comparison")

    def as_day(self) -> Node:
        if self.type.kind == "unknown" or is_day(self.type):
            return self.node
        if isinstance(self.node, Constant) and isinstance(self.node.value, str):
            return self._constant_day(self.node.value)
        raise self.refused("a date (to_date makes one)")

    def constant_text(self, what: str) -> str:
        if isinstance(self.node, Constant) and isinstance(self.node.value, str):
            return self.node.value
        raise self.refused(f"{what} in quotes")

    def constant_integer(self, low: int, high: int) -> int:
        """A whole number that is written out, perhaps with a minus."""
        node, sign = self.node, 1
        if isinstance(node, Call) and node.name == "negate":
            node, sign = node.arguments[0], -1
        value = node.value if isinstance(node, Constant) else None
        if isinstance(value, Decimal) and value == int(value) and low <= sign * value <= high:
            return sign * int(value)
        raise self.refused(f"a whole number from {low} to {high}, written out")

    def _constant_day(self, text: str) -> Constant:
        try:
            if len(text) == len("2024-12-31"):
                return Constant(DATE, date.fromisoformat(text))
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise self.refused("a date such as '2024-12-31'") from None
        if moment.tzinfo is not None:
            raise self.refused("a time without an offset")
        return Constant(DATETIME, moment)


def alike(placed: Sequence[Placed]) -> list[Node]:
    """All turned into one type, so that they can be compared or take each other's place."""
    kinds = {one.type.kind for one in placed}
    if kinds & {"number", "double"} and "text" in kinds:
        nodes = [one.node if one.type.kind == "nothing" else one.as_number() for one in placed]
    elif kinds & {"date", "datetime"} and "text" in kinds:
        nodes = [one.node if one.type.kind == "nothing" else one.as_day() for one in placed]
    else:
        nodes = [one.node for one in placed]
    type_ = common([node.type for node in nodes])
    if type_ is None:
        first = next(one for one in placed if one.type.kind != "nothing")
        other = next(one for one in placed if common([first.type, one.type]) is None)
        raise other.refused(f"a {first.type}, like what it goes with")
    return [converted(node, type_) for node in nodes]


def converted(node: Node, type_: Type) -> Node:
    """The same value as another type that can hold it; a cell that it can't hold has no value."""
    if type_.kind == "double":
        return double(node)
    if isinstance(node, Constant) and node.value is None:
        return Constant(type_, None)
    if type_.kind == "number" and node.type.kind == "number" and node.type.whole > type_.whole:
        return Call(type_, "fit", (node,))
    if type_.kind == "datetime" and node.type.kind == "date":
        return Call(DATETIME, "to_datetime", (node,))
    return node


def double(node: Node) -> Node:
    return Call(DOUBLE, "to_double", (node,)) if node.type.kind == "number" else node


def shown(node: Node) -> Node:
    """Any value as the text that a report would show."""
    return node if node.type.kind in ("text", "unknown") else Call(TEXT, "to_text", (node,))


def condition(name: str, *nodes: Node) -> Call:
    return Call(BOOLEAN, name, nodes)


def _described(node: Node) -> str:
    if isinstance(node, Constant) and isinstance(node.value, str):
        return f"the text '{node.value[:40]}'"
    return f"a {node.type}" if node.type.kind != "nothing" else "None"

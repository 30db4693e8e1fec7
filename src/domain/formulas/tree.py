"""A formula as a typed tree: constants, columns, and calls; operators are calls like functions."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from src.domain.formulas.types import Type

Value = Decimal | float | str | bool | date | datetime | None


@dataclass(frozen=True, slots=True)
class Constant:
    type: Type
    value: Value


@dataclass(frozen=True, slots=True)
class Column:
    type: Type
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """`name` is an operation that evaluator and engine both know; the arguments have the types it takes."""

    type: Type
    name: str
    arguments: tuple["Node", ...]


Node = Constant | Column | Call


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that was understood. `columns`: what it reads, in the order of first use."""

    text: str
    tree: Node
    columns: tuple[str, ...]

    @property
    def type(self) -> Type:
        return self.tree.type

    @property
    def is_column(self) -> bool:
        """Whether it only names a column, whose cells are then taken over as they are."""
        return isinstance(self.tree, Column)


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    if isinstance(node, Call):
        for argument in node.arguments:
            yield from walk(argument)

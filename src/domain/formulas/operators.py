"""What the operators mean for the types they stand between."""

import ast
from collections.abc import Callable, Mapping, Sequence

from src.domain.formulas.arguments import Placed, alike, condition, converted
from src.domain.formulas.errors import BadFormula
from src.domain.formulas.tree import Call, Constant, Node
from src.domain.formulas.types import (
    DIGITS,
    DOUBLE,
    MOST_PLACES,
    NOTHING,
    TEXT,
    UNKNOWN,
    common,
    is_number,
    number,
    product_digits,
    sum_digits,
)

COMPARISONS: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "equal",
    ast.NotEq: "unequal",
    ast.Lt: "less",
    ast.LtE: "at_most",
    ast.Gt: "greater",
    ast.GtE: "at_least",
}
QUOTIENT = number(16, 0)  # of a floor division


def add(left: Placed, right: Placed) -> Node:
    """Adds numbers, joins texts; a text and a number have no sum, in any row."""
    kinds = {left.type.kind, right.type.kind}
    if kinds == {"text"}:
        return Call(TEXT, "join", (*_terms(left.node, "join"), right.node))
    if "unknown" in kinds:
        return Call(UNKNOWN, "add", (left.node, right.node))
    if "text" in kinds and kinds <= {"text", "number", "double"}:
        return Call(TEXT, "text_and_number", ())
    return _sum(left.as_number(), right.as_number())


def subtract(left: Placed, right: Placed) -> Node:
    subtrahend = right.as_number()
    return _sum(left.as_number(), Call(subtrahend.type, "negate", (subtrahend,)))


def multiply(left: Placed, right: Placed) -> Node:
    one, other = left.as_number(), right.as_number()
    kinds = {one.type.kind, other.type.kind}
    if "unknown" in kinds:
        return Call(UNKNOWN, "multiply", (one, other))
    if "double" in kinds:
        return Call(DOUBLE, "multiply", (converted(one, DOUBLE), converted(other, DOUBLE)))
    factors = (*_terms(one, "multiply"), other)
    whole, places = product_digits([factor.type for factor in factors])
    if places > MOST_PLACES:
        raise BadFormula(
            f"At character {right.position}: this product can have more than {MOST_PLACES} decimals;"
            " round its factors first, or say in `types` how many decimals the columns have.",
            code="too_many_decimals",
            position=right.position,
        )
    return Call(number(whole, places), "multiply", factors)


def divide(left: Placed, right: Placed) -> Node:
    return Call(DOUBLE, "divide", (left.as_double(), right.as_double()))


def power(left: Placed, right: Placed) -> Node:
    return Call(DOUBLE, "power", (left.as_double(), right.as_double()))


def floor_divide(left: Placed, right: Placed) -> Node:
    one, other = _same_numbers(left, right)
    return Call(QUOTIENT if one.type.kind == "number" else one.type, "floor_divide", (one, other))


def modulo(left: Placed, right: Placed) -> Node:
    one, other = _same_numbers(left, right)
    return Call(common([one.type, other.type]) or other.type, "modulo", (one, other))


def negate(operand: Placed) -> Node:
    node = operand.as_number()
    return Call(node.type, "negate", (node,))


def compare(operator: ast.cmpop, left: Placed, right: Placed) -> Node:
    for one in (left, right):
        if one.type.kind == "nothing":
            raise one.refused("a value to compare with; is_missing(…) tells whether a cell is empty")
    return condition(COMPARISONS[type(operator)], *alike([left, right]))


def within(left: Placed, choices: Sequence[Placed]) -> Node:
    """Whether a value is one of several."""
    return condition("within", *alike([left, *choices]))


def choose(test: Placed, then: Placed, otherwise: Placed) -> Node:
    one, other = alike([then, otherwise])
    kinds = {one.type.kind, other.type.kind}
    type_ = (
        one.type
        if kinds != {"number"}
        else number(max(one.type.whole, other.type.whole), max(one.type.places, other.type.places))
    )
    if type_ == NOTHING:
        raise then.refused("a value in one branch at least")
    return Call(type_, "choose", (test.as_condition(), one, other))


def _sum(one: Node, other: Node) -> Node:
    if not (is_number(one.type) and is_number(other.type)):
        return Call(UNKNOWN, "add", (one, other))
    if "double" in (one.type.kind, other.type.kind):
        return Call(DOUBLE, "add", (converted(one, DOUBLE), converted(other, DOUBLE)))
    terms = (*_terms(one, "add"), other)
    whole, places = sum_digits([term.type for term in terms])
    return Call(number(whole, places), "add", terms)


def _terms(node: Node, name: str) -> tuple[Node, ...]:
    """The parts of a chain such as `a + b`, so that it grows in width and not in depth."""
    return node.arguments if isinstance(node, Call) and node.name == name else (node,)


def _same_numbers(left: Placed, right: Placed) -> list[Node]:
    if isinstance(right.node, Constant) and right.node.value == 0:
        raise right.refused("something else than 0 to divide by", "zero")
    nodes = alike([Placed(left.as_number(), left.position), Placed(right.as_number(), right.position)])
    type_ = common([node.type for node in nodes])
    if type_ is None or type_.digits < DIGITS:
        return nodes
    return [converted(node, number(type_.whole - 1, type_.places)) for node in nodes]  # room for their sum


Binary = Callable[[Placed, Placed], Node]
BINARY: Mapping[type[ast.operator], Binary] = {
    ast.Add: add,
    ast.Sub: subtract,
    ast.Mult: multiply,
    ast.Div: divide,
    ast.FloorDiv: floor_divide,
    ast.Mod: modulo,
    ast.Pow: power,
}

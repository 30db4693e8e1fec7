"""A formula's text → its typed tree: what is not on the list here is refused."""

import ast
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NoReturn, cast
from unicodedata import normalize

from rapidfuzz import fuzz, process

from src.domain.formulas import operators
from src.domain.formulas.arguments import Placed, condition
from src.domain.formulas.errors import BadFormula
from src.domain.formulas.functions import AGGREGATES, FUNCTIONS, Function
from src.domain.formulas.syntax import position_in, syntax_of, text_between
from src.domain.formulas.tree import Column, Constant, Formula, Node
from src.domain.formulas.types import BOOLEAN, NOTHING, TEXT, UNKNOWN, Type, number, type_named
from src.domain.formulas.weight import is_too_heavy

LIKENESS = 60.0
MOST_CHOICES = 200
_NUMBER = re.compile(r"[0-9]{1,28}(?:\.[0-9]{0,10})?|\.[0-9]{1,10}")


def parse(
    text: str,
    columns: Mapping[str, str | Type] | None = None,
    *,
    keys: Sequence[str] | None = None,
    is_condition: bool = False,
) -> Formula:
    """Understand a formula, or raise what is wrong with it and where.

    `columns` says which there are and of which type; without it, any name passes, and its type is left open.
    With `keys`, rows are grouped by them: other columns stand in aggregates only.
    """
    reader = _Reader(text, columns, keys)
    result = reader.read(syntax_of(text))
    if is_condition:
        result.as_condition()
    if is_too_heavy(result.node):
        raise BadFormula(
            "The formula repeats too much inside. Split it over several outputs.", code="too_involved"
        )
    return Formula(text, result.node, tuple(dict.fromkeys(reader.used)))


def normalised(name: str) -> str:
    """As Python reads a name: letters that look alike are one."""
    return normalize("NFKC", name)


class _Reader:
    """Goes through what Python's parser made of the text, and types it from the leaves up."""

    def __init__(
        self, text: str, columns: Mapping[str, str | Type] | None, keys: Sequence[str] | None
    ) -> None:
        self.text = text
        self.columns = None if columns is None else {name: _type(kind) for name, kind in columns.items()}
        self.keys = keys
        self.used: list[str] = []
        self.is_in_aggregate = False

    def read(self, part: ast.expr) -> Placed:
        reader = _READERS.get(type(part))
        if reader is None:
            self.refuse(part, f"{_WORDS.get(type(part), 'this')} can't be used in a formula", "not_allowed")
        return Placed(reader(self, part), position_in(self.text, part))

    def refuse(self, part: ast.expr, what: str, code: str, **members: Any) -> NoReturn:
        position = position_in(self.text, part)
        end = "" if what.endswith("?") else "."
        raise BadFormula(f"At character {position}: {what}{end}", code=code, position=position, **members)

    def constant(self, part: ast.Constant) -> Node:
        value = part.value
        if isinstance(value, bool):
            return Constant(BOOLEAN, value)
        if value is None:
            return Constant(NOTHING, None)
        if isinstance(value, str):
            if any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in value):
                self.refuse(part, "this text holds a character that can't be used", "not_allowed")
            return Constant(TEXT, value)
        written = text_between(self.text, part)
        if not isinstance(value, int | float) or not _NUMBER.fullmatch(written):
            self.refuse(part, "expected a number such as 12 or 0.5", "number")
        exact = Decimal(written)
        places = -cast("int", exact.as_tuple().exponent)
        return Constant(number(max(1, exact.adjusted() + 1), places), exact)

    def name(self, part: ast.Name) -> Node:
        """Python has read the name as NFKC already: it means the column whose name reads the same."""
        meant = [name for name in self.columns or () if normalised(name) == part.id]
        if len(meant) > 1:
            both = " and ".join(f"«{name}»" for name in meant)
            self.refuse(
                part, f'{both} read the same; write col("…") with the one you mean', "ambiguous_column"
            )
        return self.column(part, meant[0] if meant else part.id)

    def column(self, part: ast.expr, name: str) -> Node:
        if self.columns is not None and name not in self.columns:
            self.refuse_unknown(part, "column", name, self.columns)
        if self.keys is not None and name not in self.keys and not self.is_in_aggregate:
            keys = ", ".join(self.keys) or "nothing"
            hint = f"rows are grouped by {keys}: expected an aggregate such as sum({name})"
            self.refuse(part, hint, "not_grouped")
        self.used.append(name)
        return Column(UNKNOWN if self.columns is None else self.columns[name], name)

    def refuse_unknown(self, part: ast.expr, what: str, name: str, known: Iterable[str]) -> NoReturn:
        near = nearest(name, known)
        hint = f"; did you mean {' or '.join(f'«{one}»' for one in near)}?" if near else ""
        self.refuse(part, f"there is no {what} «{name}»{hint}", f"unknown_{what}", nearest=near)

    def unary(self, part: ast.UnaryOp) -> Node:
        operand = self.read(part.operand)
        if isinstance(part.op, ast.Not):
            return condition("not", operand.as_condition())
        if isinstance(part.op, ast.Invert):
            self.refuse(part, "«~» can't be used in a formula", "not_allowed")
        return operators.negate(operand) if isinstance(part.op, ast.USub) else operand.as_number()

    def binary(self, part: ast.BinOp) -> Node:
        operator = operators.BINARY.get(type(part.op))
        if operator is None:
            self.refuse(part, "expected one of + - * / // % ** between these", "not_allowed")
        return operator(self.read(part.left), self.read(part.right))

    def boolean(self, part: ast.BoolOp) -> Node:
        name = "and" if isinstance(part.op, ast.And) else "or"
        return condition(name, *(self.read(value).as_condition() for value in part.values))

    def comparison(self, part: ast.Compare) -> Node:
        """Also a chain such as `0 < x <= 5`, which is two comparisons."""
        parts = [part.left, *part.comparators]
        links = [
            self.link(operator, left, right)
            for operator, left, right in zip(part.ops, parts, parts[1:], strict=False)
        ]
        return links[0] if len(links) == 1 else condition("and", *links)

    def link(self, operator: ast.cmpop, left: ast.expr, right: ast.expr) -> Node:
        if isinstance(operator, ast.In | ast.NotIn):
            found = self.membership(left, right)
            return found if isinstance(operator, ast.In) else condition("not", found)
        if type(operator) not in operators.COMPARISONS:
            self.refuse(
                right, "«is» can't be used; is_missing(…) tells whether a cell is empty", "not_allowed"
            )
        return operators.compare(operator, self.read(left), self.read(right))

    def membership(self, left: ast.expr, right: ast.expr) -> Node:
        if isinstance(right, ast.Tuple | ast.List):
            if not 1 <= len(right.elts) <= MOST_CHOICES:
                self.refuse(right, f"expected between 1 and {MOST_CHOICES} values after «in»", "arguments")
            return operators.within(self.read(left), [self.read(one) for one in right.elts])
        whole, piece = self.read(right), self.read(left)
        return condition("contains", whole.as_text(), piece.as_text())

    def choice(self, part: ast.IfExp) -> Node:
        return operators.choose(self.read(part.test), self.read(part.body), self.read(part.orelse))

    def call(self, part: ast.Call) -> Node:
        if not isinstance(part.func, ast.Name):
            self.refuse(part, "expected the name of a function before «(»", "not_allowed")
        if part.keywords or any(isinstance(one, ast.Starred) for one in part.args):
            self.refuse(part, "arguments stand one after the other, without names and stars", "not_allowed")
        name = part.func.id
        if name == "col":
            return self.named_column(part)
        function = self.function(part, name)
        outside, self.is_in_aggregate = self.is_in_aggregate, self.is_in_aggregate or function.is_aggregate
        arguments = [self.read(argument) for argument in part.args]
        self.is_in_aggregate = outside
        return function.make(arguments)

    def function(self, part: ast.Call, name: str) -> Function:
        """max and min of one value look at the rows of a group, of several at the values."""
        choices = [table[name] for table in (FUNCTIONS, AGGREGATES) if name in table]
        if not choices:
            self.refuse_unknown(part, "function", name, ["col", *FUNCTIONS, *AGGREGATES])
        fits = [one for one in choices if one.least <= len(part.args) <= one.most]
        if not fits:
            least, most = min(one.least for one in choices), max(one.most for one in choices)
            wanted = str(least) if least == most else f"{least} to {most}"
            self.refuse(part, f"{name} takes {wanted} arguments, found {len(part.args)}", "arguments")
        if fits[0].is_aggregate and (self.keys is None or self.is_in_aggregate):
            where = "inside another aggregate" if self.is_in_aggregate else "where rows are not grouped"
            self.refuse(part, f"{name} of one value looks at many rows, and can't stand {where}", "aggregate")
        return fits[0]

    def named_column(self, part: ast.Call) -> Node:
        argument = part.args[0] if len(part.args) == 1 else None
        if not isinstance(argument, ast.Constant) or not isinstance(argument.value, str):
            self.refuse(part, 'expected the name of a column in quotes, as in col("any name")', "arguments")
        return self.column(argument, argument.value)


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """What may have been meant: up to three names, the likeliest first."""
    choices = list(dict.fromkeys(known))
    found = process.extract(name, choices, scorer=fuzz.ratio, limit=3, score_cutoff=LIKENESS)
    return [one for one, *_ in found]


def _type(kind: str | Type) -> Type:
    """A column of a type that is not known is refused where types are declared, not here."""
    return kind if isinstance(kind, Type) else type_named(kind) or UNKNOWN


_READERS: Mapping[type[ast.expr], Callable[[_Reader, Any], Node]] = {
    ast.Constant: _Reader.constant,
    ast.Name: _Reader.name,
    ast.UnaryOp: _Reader.unary,
    ast.BinOp: _Reader.binary,
    ast.BoolOp: _Reader.boolean,
    ast.Compare: _Reader.comparison,
    ast.IfExp: _Reader.choice,
    ast.Call: _Reader.call,
}
_WORDS: Mapping[type[ast.expr], str] = {
    ast.Attribute: "a point after a name",
    ast.Subscript: "«[…]» after a value",
    ast.Lambda: "a lambda",
    ast.JoinedStr: "a text with f before it",
    ast.List: "a list, but after «in»,",
    ast.Tuple: "a list, but after «in»,",
    ast.NamedExpr: "«:=»",
}

"""Queries as SQL of Spark: what it says differently from DuckDB, and what it has to be told besides."""

import re
import sys
from functools import cache
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir
from ibis.backends.sql.compilers import PySparkCompiler
from ibis.backends.sql.compilers.base import SQLGlotCompiler
from sqlglot import exp

from src.domain.formulas.texts import lower, upper
from src.engine.queries.rows import ROW, Rows
from src.engine.queries.spark_numbers import compute_before_aggregates, power, written
from src.engine.queries.statements import PartStatement

RESULT = "result"
PRIVATE = 0xF0000  # from here on nobody gives characters a meaning


def spark_statements(rows: Rows) -> tuple[list[PartStatement], str]:
    """What is found first, and what is selected in the end: all columns as the table has them."""
    parts = [
        PartStatement(part.name, spark_sql(part.table), None, part.may_stop, part.refusal)
        for part in rows.parts
    ]
    ordered = rows.table.order_by([key.of(rows.table) for key in rows.order])
    return parts, spark_sql(ordered.select(*(column.key for column in rows.columns)))


def result_of(rows: Rows) -> Rows:
    """The rows that came of it, as a source of their own, from which a file is made as of any other."""
    kinds = {column.key: rows.table[column.key].type() for column in rows.columns}
    table = ibis.table({ROW: "int64", **kinds}, name=RESULT)
    return Rows(table=table, columns=rows.columns, source=RESULT)


def spark_sql(table: ir.Table) -> str:
    """What finds the same rows as DuckDB does."""
    tree = _Compiler().to_sqlglot(table).copy()  # Ibis puts one object wherever the same is said again
    for select in list(tree.find_all(exp.Select)):
        compute_before_aggregates(select)
        if select.args.get("limit") and not select.args.get("order"):
            select.order_by(
                exp.column(ROW, quoted=True), copy=False
            )  # there, rows have no order by themselves
    _translate(tree)
    sql: str = tree.sql("spark")
    return sql


class _Compiler(PySparkCompiler):  # type: ignore[misc]  # Ibis is typed in part
    """Without the OFFSET of its own, which skips one row too many, and without taking NaN for nothing.

    Texts and powers of doubles are found as `spark_numbers` says.
    """

    __slots__ = ()
    rewrites = SQLGlotCompiler.rewrites
    visit_Field = SQLGlotCompiler.visit_Field  # noqa: N815  # the name is Ibis's

    def visit_NonNullLiteral(self, op: ops.Literal, *, value: Any, dtype: dt.DataType) -> Any:  # noqa: N802
        if dtype.is_floating():
            return None
        return super().visit_NonNullLiteral(op, value=value, dtype=dtype)

    def visit_Cast(self, op: ops.Cast, *, arg: exp.Expression, to: dt.DataType) -> Any:  # noqa: N802
        cast = super().visit_Cast(op, arg=arg, to=to)
        return written(arg) if op.arg.dtype.is_floating() and to.is_string() else cast

    def visit_IsInf(self, op: ops.IsInf, *, arg: exp.Expression) -> Any:  # noqa: N802
        """Ibis compares its own objects there, not what they stand for, and says no always."""
        infinity = exp.cast(exp.Literal.string("Infinity"), "double")
        return exp.EQ(this=exp.func("abs", arg), expression=infinity)

    def visit_Power(self, op: ops.Power, *, left: exp.Expression, right: exp.Expression) -> Any:  # noqa: N802
        return power(left, right)


def _translate(tree: exp.Expr) -> None:
    """All of it, from the leaves up: what takes a part's place holds parts that were translated before."""
    for node in reversed(list(tree.dfs())):
        parent, key, index = node.parent, node.arg_key, node.index
        new = _as_spark(node)
        if new is not node and parent and key:
            parent.set(key, new, index)


def _as_spark(node: exp.Expr) -> Any:
    """One part of the syntax tree in words that mean there what it means here."""
    if isinstance(node, exp.Bracket):
        node.set("safe", True)  # what is behind the end of a list is missing, and no error
    elif isinstance(node, exp.RegexpSplit):
        node.set("expression", exp.Literal.string(re.escape(node.expression.name)))
    elif isinstance(node, exp.RegexpReplace):
        node.set("replacement", _in_java(node.args["replacement"].name))
    elif isinstance(node, exp.Trim) and node.args.get("position") == "TRAILING":
        text, signs = node.expression, node.this
        node.set("this", text)
        node.set("expression", signs)
    elif isinstance(node, exp.Anonymous) and node.name.lower() == "multiply":
        one, other = map(exp.paren, node.expressions)
        return exp.paren(exp.Mul(this=one, expression=other))
    elif isinstance(node, exp.Upper | exp.Lower):
        return _letter_by_letter(node)
    return node


def _in_java(replacement: str) -> exp.Expression:
    """Groups are named by a dollar in Java, by a backslash elsewhere."""
    return exp.Literal.string(re.sub(r"\\([0-9])", r"$\1", replacement.replace("$", r"\$")))


def _letter_by_letter(node: exp.Upper | exp.Lower) -> Any:
    """Java makes two letters of some: those are put aside meanwhile."""
    special, hidden, meant = _specials(is_upper=isinstance(node, exp.Upper))
    node.set("this", exp.func("translate", node.this, special, hidden))
    return exp.func("translate", node, hidden.copy(), meant)


@cache
def _specials(*, is_upper: bool) -> tuple[exp.Expression, exp.Expression, exp.Expression]:
    """The letters that become several, or depend on their neighbours; what hides them; what they become."""
    change = str.upper if is_upper else str.lower
    signs = [sign for sign in map(chr, range(sys.maxunicode + 1)) if len(change(sign)) > 1]
    signs += [] if is_upper else ["Σ"]
    hidden = "".join(chr(PRIVATE + place) for place in range(len(signs)))
    meant = "".join(map(upper if is_upper else lower, signs))
    special, veil, result = map(exp.Literal.string, ("".join(signs), hidden, meant))
    return special, veil, result

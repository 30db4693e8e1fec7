"""Doubles in Spark: texts as short as they can be, in the notation of everybody but Java, and powers."""

from collections.abc import Iterator
from typing import Any

from sqlglot import exp, parse_one

# Java finds the shortest text of a double from version 19 on; older ones print a digit too many now and then.
# Jackson, which Spark brings along, finds it everywhere. Its 1.0E7 is 10000000 elsewhere, 1.0E-5 is 1e-05.
WRITTEN = """
get(transform(
    transform(
        filter(array(x), d -> d IS NOT NULL),
        d -> reflect('com.fasterxml.jackson.core.io.schubfach.DoubleToDecimal', 'toString', d)
    ),
    t -> CASE WHEN locate('E', t) = 0 THEN t
    WHEN abs(CAST(t AS DOUBLE)) >= 1e-4 AND abs(CAST(t AS DOUBLE)) < 1e16
    THEN regexp_replace(CAST(CAST(t AS DECIMAL(38, 21)) AS STRING), '[.]?0+$', '')
    ELSE concat(
        regexp_replace(substring_index(t, 'E', 1), '[.]0$', ''), 'e', if(locate('E-', t) > 0, '-', '+'),
        lpad(regexp_replace(t, '.*E-?', ''), greatest(2, length(regexp_replace(t, '.*E-?', ''))), '0')
    ) END
), 0)
"""
# Java's own power is one off in the last place for one number in twenty, this one for one in some hundreds.
POWER = """
get(transform(
    filter(array(struct(CAST(x AS DOUBLE) AS base, CAST(y AS DOUBLE) AS exponent)),
        p -> p.base IS NOT NULL AND p.exponent IS NOT NULL),
    p -> reflect('org.apache.commons.math3.util.FastMath', 'pow', p.base, p.exponent)
), 0)
"""


def written(number: exp.Expression) -> exp.Expression:
    """The text of a double; null where it is."""
    return _filled(WRITTEN, x=number)


def power(base: exp.Expression, exponent: exp.Expression) -> exp.Expression:
    """One double to the power of another; null where one is."""
    return exp.cast(_filled(POWER, x=base, y=exponent), "double")


def _filled(template: str, **parts: exp.Expression) -> exp.Expression:
    def put(node: exp.Expression) -> exp.Expression:
        return parts[node.name].copy() if isinstance(node, exp.Column) and node.name in parts else node

    return parse_one(template, dialect="spark").transform(put)


def compute_before_aggregates(select: exp.Select) -> None:
    """Spark takes a call of Java for chance, and none in an aggregate: it is made one query below."""
    found: dict[str, exp.Expression] = {}
    for argument in list(_arguments(select)):
        name = f"computed_{len(found)}"
        argument.replace(exp.column(name, quoted=True))
        found[name] = argument
    if not found:
        return
    source = select.args["from_"].this
    inner = exp.select("*", *(exp.alias_(part, name, quoted=True) for name, part in found.items()))
    inner.set("from_", exp.From(this=source.copy()))
    source.replace(inner.subquery(source.alias))


def _arguments(select: exp.Select) -> Iterator[Any]:
    """What aggregates of this very query are given that calls Java."""
    for node in select.walk(prune=lambda node: node is not select and isinstance(node, exp.Query)):
        if isinstance(node, exp.AggFunc | exp.Distinct):
            parts = node.iter_expressions()
            yield from (part for part in parts if not isinstance(part, exp.Distinct) and _calls_java(part))


def _calls_java(node: Any) -> bool:
    return any(call.name.lower() == "reflect" for call in node.find_all(exp.Anonymous))

"""Formulas of every kind, drawn by type, and rows that are hard to get right."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from src.domain.formulas import type_named

COLUMNS = {
    "n": "integer",
    "m": "integer",
    "d": "decimal(12,2)",
    "x": "decimal",
    "wide": "decimal(30,12)",
    "s": "text",
    "u": "text",
    "num": "text",
    "b": "boolean",
    "day": "date",
    "when": "datetime",
}
TYPES = {name: type_ for name, kind in COLUMNS.items() if (type_ := type_named(kind))}
WHOLE = [None, 0, 1, -1, 2, -2, 3, 7, -7, 10, 365, 1_000_003, 10**17, -(10**17), 999_999_999_999_999_999]
MONEY = [
    None,
    *map(Decimal, ("0.00", "0.01", "-0.01", "2.50", "-2.50", "1.25", "0.05", "9999999999.99", "-3.75")),
]
EXACT = [
    None,
    *map(
        Decimal,
        ("0", "0.5", "1.5", "2.5", "-0.5", "-2.5", "0.0000000001", "123456789012345678.0123456789", "3.14"),
    ),
]
WIDE = [
    None,
    *map(Decimal, ("0", "0.000000000001", "-123456789012345678.5", "999999999999999999.999999999999", "2")),
]
WORDS = [
    None,
    "",
    "a",
    "A",
    "ab",
    "b,c,d",
    " pad\t",
    "straße",
    "ÇÃO",
    "日本語",
    "x'y\"z",
    "007",
    "-",
    "😀é",
    "line\nend",
]
NUMERIC = [
    None,
    "",
    "1",
    "-2.5",
    " 3 ",
    "1e3",
    "abc",
    "0.12345678901",
    "+7",
    ".5",
    "5.",
    "1,5",
    "NaN",
    "1_0",
    "٣",
    "\u00a05",
]
DAYS = [None, date(2024, 2, 29), date(1999, 12, 31), date(1000, 1, 1), date(9999, 12, 31), date(2026, 11, 26)]
MOMENTS = [
    None,
    datetime(2024, 2, 29, 23, 59, 59),
    datetime(2000, 1, 1),
    datetime(2024, 1, 1, 0, 0, 0, 120000),
]
POOLS: dict[str, list[Any]] = {
    "n": WHOLE,
    "m": WHOLE,
    "d": MONEY,
    "x": EXACT,
    "wide": WIDE,
    "s": WORDS,
    "u": WORDS,
    "num": NUMERIC,
    "b": [None, True, False],
    "day": DAYS,
    "when": MOMENTS,
}


def rows(count: int) -> list[dict[str, Any]]:
    """Every value of every pool, in combinations that do not repeat soon."""
    strides = dict(zip(POOLS, (1, 2, 3, 5, 7, 11, 13, 17, 19, 23, 29), strict=True))
    made = []
    for number in range(count):
        place = {
            name: (number * strides[name] + number // len(pool)) % len(pool) for name, pool in POOLS.items()
        }
        made.append({name: pool[place[name]] for name, pool in POOLS.items()})
    return made


def _call(name: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda found: f"{name}({', '.join(found)})")


def _between(
    operators: str, one: st.SearchStrategy[str], other: st.SearchStrategy[str]
) -> st.SearchStrategy[str]:
    signs = st.sampled_from(operators.split())
    return st.tuples(one, signs, other).map(lambda found: f"({found[0]} {found[1]} {found[2]})")


DRAWN: dict[str, st.SearchStrategy[str]] = {}
_number: st.SearchStrategy[str] = st.deferred(lambda: DRAWN["numbers"])
_text: st.SearchStrategy[str] = st.deferred(lambda: DRAWN["texts"])
_test: st.SearchStrategy[str] = st.deferred(lambda: DRAWN["tests"])
_day: st.SearchStrategy[str] = st.deferred(lambda: DRAWN["days"])
_literal = st.sampled_from(["0", "1", "2", "0.5", "10", "3.25", "0.001", "1000000", "7"])
_word = st.sampled_from(["''", "'a'", "'b'", "','", "'ß'", "' '", "'日'", "'0'"])
_small = st.sampled_from(["0", "1", "2", "5", "-1"])

_numbers = st.one_of(
    st.sampled_from(["n", "m", "d", "x", "wide"]),
    _literal,
    _between("+ - * / // % **", _number, _number),
    _number.map(lambda one: f"-{one}"),
    _call("max", _number, _number),
    _call("min", _number, _number, _number),
    _call("abs", _number),
    _call("round", _number),
    _call("round", _number, _small),
    _call("floor", _number),
    _call("ceil", _number),
    _call("coalesce", _number, _number),
    _call("length", _text),
    _call("to_number", st.sampled_from(["num", "s"])),
    st.sampled_from(["(num * 2)", "(num - 1)", "max(num, d)"]),
    _call("days_between", _day, _day),
    *(_call(name, _day) for name in ("year", "month", "day", "weekday")),
    st.tuples(_number, _test, _number).map(lambda found: f"({found[0]} if {found[1]} else {found[2]})"),
    st.tuples(_test, _number).map(lambda found: f"(None if {found[0]} else {found[1]})"),
)
_texts = st.one_of(
    st.sampled_from(["s", "u", "num", 'col("s")']),
    _word,
    _between("+", _text, _text),
    st.sampled_from(["(s + n)", "(d + u)"]),
    *(_call(name, _text) for name in ("upper", "lower", "trim")),
    _call("concat", _text, _number),
    _call("to_text", st.one_of(_number, _test, _day)),
    _call("substr", _text, st.one_of(_small, st.just("m"))),
    _call("substr", _text, _small, st.one_of(_small, st.just("n"))),
    _call("replace", _text, _word, _word),
    _call("coalesce", _text, _text),
    _call("max", _text, _text),
    _call("min", _text, _text),
    _call("split", _text, st.sampled_from(["','", "'a'"]), st.sampled_from(["1", "2", "9"])),
    _call("date_format", _day, st.sampled_from(["'dd/mm/yyyy'", "'yyyy-mm-dd hh:mi:ss'", "'mm.yyyy'"])),
    st.tuples(_text, _test, _text).map(lambda found: f"({found[0]} if {found[1]} else {found[2]})"),
)
_tests = st.one_of(
    st.sampled_from(["b", "True", "False"]),
    _between("== != < <= > >=", _number, _number),
    _between("== != < <= > >=", _text, _text),
    _between("== != < <= > >=", _day, _day),
    _between("and or", _test, _test),
    _test.map(lambda one: f"(not {one})"),
    _call("contains", _text, _text),
    _call("is_missing", st.one_of(_number, _text, _day)),
    _call("matches", _text, st.sampled_from(["'^a'", "'[0-9]+'", "'.'", "'ß$'", "'(?i)B'"])),
    _between("in", _word, _text),
    st.tuples(_number, _number, _number).map(lambda found: f"({found[0]} not in ({found[1]}, {found[2]}))"),
    st.tuples(_text, _word, _word).map(lambda found: f"({found[0]} in [{found[1]}, {found[2]}])"),
    st.tuples(_number, _number, _number).map(lambda found: f"({found[0]} < {found[1]} <= {found[2]})"),
    st.just("(num == 1)"),
)
_days = st.one_of(
    st.sampled_from(["day", "when"]),
    _call("to_date", st.sampled_from(["s", "'2024-05-01'", "date_format(day, 'yyyy-mm-dd')", "when", "num"])),
    st.just("to_date(date_format(day, 'dd/mm/yyyy'), 'dd/mm/yyyy')"),
    _call("max", _day, _day),
    _call("coalesce", _day, _day),
)
DRAWN |= {"numbers": _numbers, "texts": _texts, "tests": _tests, "days": _days}
FORMULAS = st.one_of(_numbers, _texts, _tests, _days)

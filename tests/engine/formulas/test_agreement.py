"""The engine and the evaluator agree on every cell: value, text, and why there is none."""

import os
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pytest
from duckdb import DuckDBPyConnection
from hypothesis import given, settings
from hypothesis import strategies as st

from src.domain.formulas import BadFormula, Formula, Row, Uncomputable, evaluate, parse, text_of
from src.domain.formulas.types import INTEGER
from src.engine.formulas import (
    Computed,
    aggregates_in,
    as_cells,
    as_text,
    compute,
    compute_aggregate,
    data_type,
)
from tests.engine.formulas.expressions import COLUMNS, FORMULAS, TYPES, rows

EXAMPLES = int(os.environ.get("FORMULA_EXAMPLES", "20"))
TOGETHER = 6
ROWS = rows(60)
LONGEST = 150  # characters: Ibis takes seconds to write out a very long one


SCHEMA = ibis.schema({name: data_type(type_) for name, type_ in TYPES.items()})


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDBPyConnection]:
    columns = {name: [_held(name, row[name]) for row in ROWS] for name in COLUMNS}
    with duckdb.connect() as connection:
        connection.register("given", pa.table(columns, schema=SCHEMA.to_pyarrow()))
        connection.execute("create table data as select * from given")
        yield connection


def _held(name: str, value: Any) -> Any:
    return Decimal(value) if TYPES[name].kind == "number" and value is not None else value


def by_hand(formula: Formula) -> list[tuple[str, str | None]]:
    """What each row shows, and why it shows nothing."""
    return [one_by_hand(formula, row) for row in ROWS]


def one_by_hand(formula: Formula, row: Row, rows: Sequence[Row] = ()) -> tuple[str, str | None]:
    try:
        return text_of(evaluate(formula, row, rows)), None
    except Uncomputable as error:
        return "", error.reason


def by_engine(engine: DuckDBPyConnection, formulas: Sequence[Formula]) -> list[list[tuple[str, str | None]]]:
    table = ibis.table(SCHEMA, name="data")
    columns: dict[str, Any] = {}
    for number, formula in enumerate(formulas):
        one = compute(formula, as_cells(table, TYPES))
        shown = as_text(one.value, formula.type)
        reason = ibis.null("string") if one.reason is None else one.reason
        columns[f"v{number}"] = reason.isnull().ifelse(shown, "")
        columns[f"r{number}"] = reason
    found = engine.sql(ibis.to_sql(table.select(**columns), dialect="duckdb")).to_arrow_table().to_pydict()
    return [
        list(zip(found[f"v{number}"], found[f"r{number}"], strict=True)) for number in range(len(formulas))
    ]


def check(engine: DuckDBPyConnection, texts: Sequence[str]) -> None:
    formulas = []
    for text in (text for text in texts if len(text) <= LONGEST):
        try:
            formulas.append(parse(text, COLUMNS))
        except BadFormula as error:
            assert error.code in ("zero", "too_many_decimals", "too_involved", "type"), (text, error.detail)
    for formula, found in zip(formulas, by_engine(engine, formulas) if formulas else [], strict=True):
        for row, expected, shown in zip(ROWS, by_hand(formula), found, strict=True):
            assert shown == expected, (
                f"{formula.text}  on { ({name: row[name] for name in formula.columns}) }"
            )


@settings(deadline=None, max_examples=EXAMPLES)
@given(texts=st.lists(FORMULAS, min_size=TOGETHER, max_size=TOGETHER))
def test_engine_and_evaluator_agree(engine: DuckDBPyConnection, texts: list[str]) -> None:
    check(engine, texts)


AGGREGATED = [
    "sum(n)",
    "sum(d) + sum(x)",
    "sum(d * n)",
    "sum(n / 3)",
    "avg(d)",
    "avg(d / 7)",
    "avg(wide)",
    "count()",
    "count(s) - count(day)",
    "count_distinct(s) + count_distinct(d)",
    "min(s) + max(s)",
    "max(when)",
    "max(sum(n), 0) if key > 1 else -1",
    "min(x) * key",
    "sum(1 / n)",
    "sum(1 if b else 0)",
    "round(avg(n), 1)",
    "max(d / 3) // 2",
]


@pytest.mark.parametrize("text", AGGREGATED)
def test_engine_and_evaluator_agree_on_groups(engine: DuckDBPyConnection, text: str) -> None:
    formula = parse(text, {**COLUMNS, "key": "integer"}, keys=["key"])
    table = ibis.table(SCHEMA, name="data")
    table = table.mutate(key=(table["n"].fill_null(0) % 3 + 3) % 3)
    cells = as_cells(table, {**TYPES, "key": INTEGER})
    columns: dict[str, Any] = {}
    found = {}
    for number, call in enumerate(aggregates_in(formula)):
        one = compute_aggregate(call, table, cells)
        columns |= {
            f"v{number}": one.value,
            f"r{number}": ibis.null("string") if one.reason is None else one.reason,
        }
        found[call] = f"v{number}", f"r{number}"
    grouped = table.group_by("key").aggregate(**columns)
    ready = {call: Computed(grouped[value], grouped[reason]) for call, (value, reason) in found.items()}
    result = compute(formula, {"key": Computed(grouped["key"])}, ready)
    reason = ibis.null("string") if result.reason is None else result.reason
    query = grouped.select(
        key=grouped["key"],
        shown=reason.isnull().ifelse(as_text(result.value, formula.type), ""),
        reason=reason,
    ).order_by("key")
    shown = engine.sql(ibis.to_sql(query, dialect="duckdb")).fetchall()
    for key in (0, 1, 2):
        rows = [row for row in ROWS if (row["n"] or 0) % 3 == key]
        expected = one_by_hand(formula, {"key": key}, rows)
        assert shown[key][1:] == expected, f"{text} where the key is {key}"

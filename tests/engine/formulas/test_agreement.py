"""The engine and the evaluator agree on every cell: value, text, and why there is none."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

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
from src.engine.queries.spark import spark_sql
from src.engine.queries.spark_child import session
from tests.engine.formulas.expressions import COLUMNS, FORMULAS, TYPES, rows

EXAMPLES = int(os.environ.get("FORMULA_EXAMPLES", "20"))
TOGETHER = 6
ROWS = rows(60)
CLUSTER_URL = os.environ.get("TEST_CLUSTER_URL", "")
LONGEST = 150  # characters: Ibis takes seconds to write out a very long one


SCHEMA = ibis.schema({name: data_type(type_) for name, type_ in TYPES.items()})


PLAIN = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "int64": pa.int64(),
    "float64": pa.float64(),
}
FIELDS = {
    name: pa.decimal128(kind.precision, kind.scale)
    if kind.is_decimal()
    else PLAIN[type(kind).__name__.lower()]
    for name, kind in SCHEMA.items()
}
Found = dict[str, list[Any]]
Engine = Callable[[ir.Table], Found]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """DuckDB; or Spark, for «make spark»."""
    columns = {name: [_held(name, row[name]) for row in ROWS] for name in COLUMNS}
    given = pa.table(columns, schema=pa.schema(FIELDS))
    with on_spark(given, tmp_path_factory.mktemp("data")) if CLUSTER_URL else on_duckdb(given) as ask:
        yield ask


@contextmanager
def on_duckdb(given: pa.Table) -> Iterator[Engine]:
    import duckdb

    with duckdb.connect() as connection:
        connection.register("given", given)
        connection.execute("create table data as select * from given")
        yield lambda table: connection.sql(ibis.to_sql(table, dialect="duckdb")).to_arrow_table().to_pydict()


@contextmanager
def on_spark(given: pa.Table, folder: Path) -> Iterator[Engine]:
    parquet.write_table(given, folder / "data.parquet")
    spark = session(CLUSTER_URL)
    spark.read.parquet(str(folder / "data.parquet")).coalesce(1).createOrReplaceTempView("data")
    yield lambda table: spark.sql(spark_sql(table)).toArrow().to_pydict()


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


def by_engine(engine: Engine, formulas: Sequence[Formula]) -> list[list[tuple[str, str | None]]]:
    table = ibis.table(SCHEMA, name="data")
    columns: dict[str, Any] = {}
    for number, formula in enumerate(formulas):
        one = compute(formula, as_cells(table, TYPES))
        shown = as_text(one.value, formula.type)
        reason = ibis.null("string") if one.reason is None else one.reason
        columns[f"v{number}"] = reason.isnull().ifelse(shown, "")
        columns[f"r{number}"] = reason
    found = engine(table.select(**columns))
    return [
        list(zip(found[f"v{number}"], found[f"r{number}"], strict=True)) for number in range(len(formulas))
    ]


def check(engine: Engine, texts: Sequence[str]) -> None:
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


@settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.filter_too_much])
@given(texts=st.lists(FORMULAS, min_size=TOGETHER, max_size=TOGETHER))
def test_engine_and_evaluator_agree(engine: Engine, texts: list[str]) -> None:
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
def test_engine_and_evaluator_agree_on_groups(engine: Engine, text: str) -> None:
    formula = parse(text, {**COLUMNS, "key": "integer"}, keys=["key"])
    table = ibis.table(SCHEMA, name="data")
    table = table.mutate(key=(table["n"].fill_null(0) % 3 + 3) % 3)
    cells = as_cells(table, {**TYPES, "key": INTEGER})
    columns: dict[str, Any] = {}
    names = {}
    for number, call in enumerate(aggregates_in(formula)):
        one = compute_aggregate(call, table, cells)
        columns |= {
            f"v{number}": one.value,
            f"r{number}": ibis.null("string") if one.reason is None else one.reason,
        }
        names[call] = f"v{number}", f"r{number}"
    grouped = table.group_by("key").aggregate(**columns)
    ready = {call: Computed(grouped[value], grouped[reason]) for call, (value, reason) in names.items()}
    result = compute(formula, {"key": Computed(grouped["key"])}, ready)
    reason = ibis.null("string") if result.reason is None else result.reason
    query = grouped.select(
        key=grouped["key"],
        shown=reason.isnull().ifelse(as_text(result.value, formula.type), ""),
        reason=reason,
    ).order_by("key")
    found = engine(query)
    for key in (0, 1, 2):
        rows = [row for row in ROWS if (row["n"] or 0) % 3 == key]
        expected = one_by_hand(formula, {"key": key}, rows)
        assert (found["shown"][key], found["reason"][key]) == expected, f"{text} where the key is {key}"

"""Every step, through the children that work is done in: one file from DuckDB, the same bytes from Spark."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from src.engine.operations.applying import apply
from src.engine.operations.steps import STEPS
from src.engine.queries.rows import scan
from src.engine.queries.running import Cluster, OutputFormat, Query, run_query
from src.engine.queries.values import TableFile
from tests.cluster.machines import CONF, SparkCluster
from tests.engine.making import csv_bytes
from tests.engine.queries.asking import table_file

ROWS = 3_000
NAMES = ("Zé, Ana", "Bia", "a|b|c", "", " ", "İstanbul ß", "=1+1", "'@x", "line\nend")
AMOUNTS = ("1.10", "20", "", "100000000000000000.1", "-0.5", "3")
Steps = list[dict[str, Any]]
PLANS: Mapping[str, tuple[OutputFormat, Steps]] = {
    "rows": (
        "csv",
        [
            {"operation": "filter", "match": "any", "filters": [{"column": "n", "operator": "<", "value": 2000}]},
            {"operation": "dedup", "columns": ["name", "amount", "day"], "keep": "last"},
            {"operation": "fill", "columns": ["amount"], "value": 0},
            {"operation": "derive", "column": "third", "formula": "amount / 3"},
            {"operation": "derive", "column": "power", "formula": "(n + 100003) ** 3"},
            {"operation": "derive", "column": "text", "formula": "upper(name) + to_text(third) + to_text(day)"},
            {"operation": "replace", "column": "name", "old": "a(.)", "new": r"\1$", "match": "regex"},
            {"operation": "cast", "column": "id", "type": "integer", "on_error": "empty"},
            {"operation": "split", "column": "name", "separator": "|", "into": ["one", "rest"]},
            {"operation": "join", "file_id": "other", "on": {"name": "name"}, "how": "left"},
            {"operation": "sort", "by": [{"column": "third", "descending": True}]},
            {"operation": "rename", "columns": {"n": "number"}},
            {"operation": "limit", "rows": 400, "skip": 3},
        ],
    ),
    "groups": (
        "jsonl",
        [
            {"operation": "sample", "rows": 2_000, "seed": 7},
            {"operation": "derive", "column": "rest", "formula": "1000000 % max(n * 2, length(name))"},
            {"operation": "aggregate", "by": ["name"], "values": [
                {"column": "amount", "function": "sum", "name": "total"},
                {"column": "rest", "function": "avg", "name": "mean"},
                {"column": "day", "function": "max", "name": "last"},
            ]},
        ],
    ),
    "values": (
        "parquet",
        [
            {"operation": "unique", "column": "n"},
            {"operation": "derive", "column": "twice", "formula": "amount * 2"},
            {"operation": "derive", "column": "root", "formula": "abs(amount) ** 0.5"},
            {"operation": "select", "columns": ["day", "twice", "root", "id"]},
        ],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TableFile]:
    folder = tmp_path_factory.mktemp("files")
    rows = [
        [
            f"{n % 999:03}",
            NAMES[n % 9],
            AMOUNTS[n % 6],
            f"20{n % 30:02}-0{n % 9 + 1}-1{n % 7}",
            str(n * 7919 % ROWS),
        ]
        for n in range(ROWS)
    ]
    tables = {
        "input": [["id", "name", "amount", "day", "n"], *rows],
        "other": [["name", "group"], ["Bia", "B"], ["a|b|c", "C"], ["Bia", "B2"], ["", "none"]],
    }
    for name, table in tables.items():
        (folder / f"{name}.csv").write_bytes(csv_bytes(table))
    return {name: table_file(folder / f"{name}.csv") for name in tables}


def test_every_step_is_in_a_plan() -> None:
    assert {step["operation"] for _, steps in PLANS.values() for step in steps} == set(STEPS)


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_gives_the_same_bytes_on_both_engines(
    name: str, files: dict[str, TableFile], cluster: SparkCluster, shared: Path, tmp_path: Path
) -> None:
    form, steps = PLANS[name]
    scanned = {source: scan(source, file.detected.columns) for source, file in files.items()}
    rows = apply(steps, scanned["input"], {"other": scanned["other"]})
    used = files if any(step["operation"] == "join" for step in steps) else {"input": files["input"]}
    query = Query(rows, used, form)
    engines = {"here": None, "there": Cluster(cluster.url, shared, conf_dir=str(CONF), patience=1_200.0)}
    ran = {
        where: run_query(query, tmp_path / where, work_dir=tmp_path, cluster=engine)
        for where, engine in engines.items()
    }
    assert [one.engine["name"] for one in ran.values()] == ["duckdb", "spark"]
    assert ran["here"].rows_out > 5
    assert (ran["there"].rows_in, ran["there"].rows_out) == (ran["here"].rows_in, ran["here"].rows_out)
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()
    assert list(shared.iterdir()) == []

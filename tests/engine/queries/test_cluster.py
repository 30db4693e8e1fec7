"""What a cluster is asked, and what is made of its answer; `make spark` asks a real one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.datatypes as dt
import pytest
from sqlglot import exp, parse_one

from src.engine.formulas.dialect import multiply
from src.engine.queries.answering import Answering
from src.engine.queries.cluster import run_on_cluster
from src.engine.queries.cluster_faults import ClusterFailed
from src.engine.queries.rows import scan
from src.engine.queries.spark import spark_sql
from src.engine.queries.values import Cluster, Query, Ran
from src.engine.sandbox import ignore_progress
from tests.engine.making import SANDBOX, Make, csv_bytes
from tests.engine.queries.asking import HERE, LIMITS, table_file

ROWS = [[str(number), f"t{number % 7}"] for number in range(50)]


def answered(path: Path, shared: Path, *, kept: int, said: int) -> Ran:
    """A query about a file, of which the cluster says that it wrote so many rows, and some are there."""

    def call(function: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if function == "cluster":
            return wrote(arguments)
        return json.loads(json.dumps(HERE[function](arguments, path.parent, SANDBOX, ignore_progress)))

    def wrote(arguments: Mapping[str, Any]) -> dict[str, Any]:
        folder = Path(arguments["target"])
        folder.mkdir()
        files = [str(folder / f"part-{place}.parquet") for place in range(2)] if kept else []
        for place, file in enumerate(files):
            half = f"select c0, c1 from '{arguments['sources']['input']}' where row < {kept} and row % 2 = {place}"
            duckdb.sql(f"copy ({half} order by row) to '{file}'")
        return {"found": {"files": files, "columns": ["c0", "c1"], "times": []}, "rows": said, "version": "4"}

    file = table_file(path)
    query = Query(scan("input", file.detected.columns), {"input": file})
    target = path.parent / "out.csv"
    return run_on_cluster(query, target, Answering(path.parent, LIMITS, call), Cluster("spark://x", shared))


@pytest.fixture
def path(make: Make) -> Path:
    return make(csv_bytes([["n", "t"], *ROWS]))


def test_the_rows_of_all_files_come_out_and_nothing_stays_behind(path: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    ran = answered(path, shared, kept=50, said=50)
    assert (ran.rows_in, ran.rows_out, ran.engine["name"]) == ({"input": 50}, 50, "spark")
    lines = [",".join(row) for half in (0, 1) for row in ROWS[half::2]]
    assert (path.parent / "out.csv").read_text().splitlines() == ["n,t", *lines]
    assert list(shared.iterdir()) == []


@pytest.mark.parametrize("kept", [49, 0])
def test_rows_that_the_cluster_wrote_elsewhere_are_missed(path: Path, tmp_path: Path, kept: int) -> None:
    """Machines that do not share the folder write on their own disks, and all would look well."""
    shared = tmp_path / "shared"
    shared.mkdir()
    with pytest.raises(ClusterFailed, match=f"wrote 50 rows, of which {kept}"):
        answered(path, shared, kept=kept, said=50)
    assert list(shared.iterdir()) == []


def test_a_double_is_written_by_a_call_of_java_which_no_aggregate_holds() -> None:
    table = ibis.table({"row": "int64", "x": "float64", "k": "string"}, name="t")
    query = table.group_by("k").agg(n=table.x.cast("string").nunique(), m=table.x.max())
    tree = parse_one(spark_sql(query), dialect="spark")
    calls = [call for call in tree.find_all(exp.Anonymous) if call.name.lower() == "reflect"]
    assert len(calls) == 1
    assert not any(call.find_ancestor(exp.AggFunc) for call in calls)
    assert calls[0].find_ancestor(exp.Select) is not tree


def test_what_is_infinite_is_asked_for() -> None:
    table = ibis.table({"row": "int64", "x": "float64"}, name="t")
    assert "ABS(`t0`.`x`) = CAST('Infinity' AS DOUBLE)" in spark_sql(table.mutate(y=table.x.isinf()))


def test_what_stands_in_a_translated_part_is_translated_too() -> None:
    """A product in a product, and a pattern in what is written large."""
    table = ibis.table({"d": "decimal(5,2)", "t": "string"}, name="t")
    types = [dt.Decimal(5, 2), dt.Decimal(5, 2), dt.Decimal(10, 4)]
    square = multiply(table["d"], table["d"], *types)
    cube = multiply(square, table["d"], types[2], types[0], dt.Decimal(15, 6))
    swapped = table["t"].re_replace("(a)(b)", r"\2\1").upper()
    sql = spark_sql(table.select(cube=cube, swapped=swapped))
    assert "MULTIPLY" not in sql.upper()
    assert "'$2$1'" in sql


def test_what_is_said_twice_is_translated_once_each_time() -> None:
    table = ibis.table({"t": "string"}, name="t")
    parts = table["t"].split("|")
    sql = spark_sql(table.select(first=parts[0], rest=parts[1:].join("|")))
    splits = [node.expression.name for node in parse_one(sql, dialect="spark").find_all(exp.RegexpSplit)]
    assert len(splits) > 2
    assert set(splits) == {r"\|"}

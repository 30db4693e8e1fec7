"""A column is profiled in as many passes as its values need, and what is told of it is the same."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from src.engine.duck import connect, memory_of
from src.engine.facts import profile_column
from src.engine.grouping import stored_columns
from src.engine.reading.kinds import Kind
from src.engine.reading.relation import Relation
from src.engine.values import GIB, MIB, ColumnProfile, Sandbox

ENOUGH = GIB
SCANT = 100  # bytes: a few values fill a pass

BLANK = st.sampled_from([None, "", " ", "\t", " \r\n", "  "])
ODD = st.sampled_from(
    [" 7", "7", "7\t", "é", "É", "!", "\x1f", "\x1fa", "'", '"', "漢", "😀", "x" * 300, "0" * 20]
)
KINDS = [
    st.integers(-(10**18) + 1, 10**18 - 1).map(str),
    st.integers(-5, 5).map(str),
    st.decimals(-(10**6), 10**6, places=3, allow_nan=False).map(lambda number: f"{number:f}"),
    st.sampled_from(["1e300", "-1.5e300", "3e-310", "0.1000000000000000002", "0.1000000000000000001"]),
    st.integers(0, 10**9).map(lambda number: f"{number},5"),
    st.dates().map(lambda day: f"{day:%d/%m}/{max(day.year, 1000)}").filter(lambda text: text[:5] != "29/02"),
    st.datetimes().filter(lambda moment: moment.year >= 1000).map(lambda moment: moment.isoformat(" ")),
    st.sampled_from(["sim", "NO", "true", "False"]),
    st.text(max_size=5).filter(lambda text: "\0" not in text),
]
CELLS = st.one_of(
    [st.lists(kind | BLANK, max_size=60) for kind in KINDS] + [st.lists(ODD | BLANK | KINDS[1])]
)


class Listening:
    """A connection that notes in how many passes a column is grouped."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self.passes = 0

    def execute(self, query: str, *values: Any) -> Any:
        self.passes += "group by 1" in query and "grouped" in query.partition("select")[0]
        return self._connection.execute(query, *values)


def stored(folder: Path, cells: Sequence[str | None]) -> Relation:
    """A column on disk, as the conversion of a file leaves it."""
    path = folder / "columns0.parquet"
    table = pa.table({"c0": pa.array(cells, pa.string())})
    parquet.write_table(table, path, compression="lz4", write_statistics=False, row_group_size=16)
    return Relation([str(path)], ["name"], len(cells))


def profiled(
    folder: Path, relation: Relation, memory: int, sandbox: Sandbox
) -> tuple[ColumnProfile, tuple[Kind, ...], int]:
    """What is told of the column, and how many passes that took."""
    with connect(folder, [Path(file) for file in relation.files], sandbox) as connection:
        (column,) = stored_columns(connection, relation)
        listening: Any = Listening(connection)
        facts, kinds = profile_column(listening, column, "name", ".", memory)
        return facts, kinds, listening.passes


@settings(deadline=None, max_examples=25)
@given(CELLS)
def test_many_passes_tell_the_same_as_one(
    tmp_path_factory: pytest.TempPathFactory, cells: list[str | None]
) -> None:
    folder = tmp_path_factory.mktemp("column")
    relation = stored(folder, cells)
    facts, kinds, passes = profiled(folder, relation, ENOUGH, Sandbox())
    again, kinds_again, many = profiled(folder, relation, SCANT, Sandbox())
    assert (again, kinds_again) == (facts, kinds)
    assert passes == 1
    assert many > 1 or facts.distinct < 6


@pytest.mark.parametrize(("distinct", "passes"), [(3, 1), (20_000, 4)])
def test_what_counts_are_the_values_and_not_the_rows(tmp_path: Path, distinct: int, passes: int) -> None:
    relation = stored(tmp_path, [f"value {number % distinct}" for number in range(60_000)])
    facts, _, taken = profiled(tmp_path, relation, MIB // 7, Sandbox())
    assert (facts.distinct, taken) == (distinct, passes)


def test_more_different_values_than_memory_holds_are_counted_all_the_same(tmp_path: Path) -> None:
    rows, path = 1_500_000, tmp_path / "columns0.parquet"
    duckdb.execute(
        f"copy (select repeat(md5(least(i, {rows - 2})::varchar), 6) as c0 from range({rows}) t(i)) "
        f"to '{path}' (format parquet, compression lz4_raw, row_group_size 20480)"
    )
    sandbox = Sandbox(memory=100 * MIB)
    facts, _, _ = profiled(tmp_path, Relation([str(path)], ["name"], rows), memory_of(sandbox), sandbox)
    assert (facts.distinct, facts.empty) == (rows - 1, 0)
    assert [one.count for one in facts.top[:2]] == [2, 1]

"""How much memory the child of a report may have: what need not be gathered leaves the rest to others."""

from pathlib import Path
from typing import Any

import pytest

from src.domain.rules_reading import read_rules
from src.engine.duck import memory_of
from src.engine.queries.running import MEMORY
from src.engine.queries.values import TableFile
from src.engine.reports.planning import plan_of
from src.engine.reports.values import Table
from src.engine.values import MIB, Sandbox
from tests.engine.queries.asking import profiled
from tests.engine.reports.asking import FULL, INPUT, REFERENCE, SHORT

MOST_RESIDENT = 512_000_000
BESIDES_DUCKDB = 130 * MIB  # of a child: Python, libraries, and what DuckDB does not count
SORTED = {"outputs": SHORT, "order_by": ["outfield5"]}
GROUPED = FULL | {"outputs": [{"output": "n", "formula": "count()"}], "group_by": ["field1"], "order_by": []}
GROUPED |= {"lookups": [], "where": "field1 != ''", "parameters": {}}


def memory_for(folder: Path, document: Any) -> int:
    tables = []
    for name, content in (("input.csv", INPUT), ("reference.csv", REFERENCE)):
        path = folder / name
        path.write_text(content)
        profile = profiled(path)
        tables.append(Table(TableFile(path, profile.detected, profile.regular), profile))
    return plan_of(read_rules(document), tables[0], tables[1], {}, "csv").memory


def test_rows_that_pass_by_leave_memory_to_others_whatever_is_not_found(tmp_path: Path) -> None:
    memory = memory_for(tmp_path, SHORT)
    assert memory_of(Sandbox(memory=memory)) + BESIDES_DUCKDB < MOST_RESIDENT


@pytest.mark.parametrize("document", [SORTED, GROUPED])
def test_rows_that_are_gathered_have_all_of_it(tmp_path: Path, document: Any) -> None:
    assert memory_for(tmp_path, document) == MEMORY

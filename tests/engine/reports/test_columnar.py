"""Parquet says of each cell what the other formats say, whether it was converted by column or by cell."""

import csv
import io
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from src.engine.reports.formats import WRITERS
from src.engine.reports.sheet import Sheet

Column = dict[str, Any]
EXACT = {"type": "decimal", "digits": 9, "places": 2}


def cells(tmp_path: Path, texts: list[str], column: Column) -> list[Any]:
    path = tmp_path / "report.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([["a\nname"], *([text] for text in texts)])
    content = b"".join(WRITERS["parquet"][0](Sheet(path, "", [{"name": "a\nname", **column}])))
    found: list[Any] = parquet.read_table(io.BytesIO(content))["a\nname"].to_pylist()
    return found


@pytest.mark.parametrize(
    ("column", "texts", "expected"),
    [
        (EXACT, ["1.5", "", "-7", "12.25"], [Decimal("1.50"), None, Decimal(-7), Decimal("12.25")]),
        (EXACT, ["1e3", " 7 ", "+2", "x", "1.005"], [Decimal(1000), 7, 2, None, Decimal("1.01")]),
        ({**EXACT, "decimal": ","}, ["1.234,50", "0,5"], [Decimal("1234.50"), Decimal("0.50")]),
        ({"type": "decimal"}, ["0.1", "1e300", ""], [0.1, 1e300, None]),
        ({"type": "date"}, ["2024-02-29", ""], [date(2024, 2, 29), None]),
        ({"type": "date"}, ["2024-02-30", "2024-03-01"], [None, date(2024, 3, 1)]),
        ({"type": "date", "date_order": "dmy"}, ["01/02/2024"], [date(2024, 2, 1)]),
        ({"type": "datetime"}, ["2024-02-01 10:00:00"], [datetime(2024, 2, 1, 10)]),
        ({"type": "boolean"}, ["true", "", "false"], [True, None, False]),
        ({"type": "boolean"}, ["sim", "nao"], [True, False]),
        ({"type": "text"}, ["'=1+1", "''=x", "'tis", "", "a\nb"], ["=1+1", "'=x", "'tis", "", "a\nb"]),
    ],
)
def test_cells_are_what_they_say(
    tmp_path: Path, column: Column, texts: list[str], expected: list[Any]
) -> None:
    assert cells(tmp_path, texts, column) == expected


def test_a_report_without_rows_has_its_columns(tmp_path: Path) -> None:
    assert cells(tmp_path, [], {"type": "text"}) == []

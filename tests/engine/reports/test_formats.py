"""The formats of a report: each with the same cells, as what they are, in always the same bytes."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

from src.engine.reports.formats import WRITERS
from tests.engine.reports.asking import AS_WRITTEN, TAKEN_OVER, Make


def test_cells_come_out_as_they_went_in_whatever_the_format(make: Make) -> None:
    made = make(
        [{"output": "code", "formula": "code"}, {"output": "n", "formula": "n"}],
        "code,n\n007,1.10\n=1+1,2.00\n'=x,-3.0\n",
        None,
    )
    assert made.rows == ["code,n", "007,1.10", "'=1+1,2.00", "''=x,-3.0"]
    lines = [json.loads(line) for line in made.written("jsonl").splitlines()]
    assert [line["code"] for line in lines] == ["007", "=1+1", "'=x"]
    assert json.loads(made.written("json")) == lines
    assert "<td>=1+1</td>" in made.written("html").decode()
    assert b"'" not in made.written("html").split(b"007")[1].split(b"x<")[0].replace(b"&#x27;", b"")


def test_every_format_has_always_the_same_bytes(make: Make) -> None:
    made = make()
    for form in WRITERS:
        first = made.written(form)
        assert len(first) > 90
        assert first == made.written(form), form


def test_numbers_are_numbers_in_a_workbook_and_in_parquet(make: Make, tmp_path: Path) -> None:
    import pyarrow.parquet as pq
    from python_calamine import CalamineWorkbook

    made = make()
    for form in ("xlsx", "parquet"):
        (tmp_path / form).write_bytes(made.written(form))
    sheet = CalamineWorkbook.from_path(tmp_path / "xlsx").get_sheet_by_index(0).to_python()
    assert sheet[1] == ["aC", "two", "CD", 7.5, 3]
    table = pq.read_table(tmp_path / "parquet")
    assert table["outfield4"].to_pylist() == [7.5, 0.0, 0.0]
    assert table["outfield1"].to_pylist() == ["aC", "b, cC", "d"]


def test_each_format_has_the_values_of_texts_written_in_another_way(make: Make, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    made = make(TAKEN_OVER, AS_WRITTEN, None)
    assert made.written("jsonl").decode().splitlines() == [
        '{"name":"a","paid":1234.50,"day":"2024-01-02","ok":true}',
        '{"name":"b","paid":9.05,"day":"2023-12-13","ok":false}',
        '{"name":"c","paid":null,"day":null,"ok":null}',
    ]
    (tmp_path / "parquet").write_bytes(made.written("parquet"))
    table = pq.read_table(tmp_path / "parquet")
    assert table.to_pylist()[0] == {
        "name": "a",
        "paid": Decimal("1234.50"),
        "day": date(2024, 1, 2),
        "ok": True,
    }
    assert '<td class="n">1243.55</td>' in made.written("html").decode()
    assert '<td class="n">1.234,50</td>' in made.written("html").decode()


def test_totals_have_the_decimals_of_the_most_exact_cell(make: Make) -> None:
    outputs = [{"output": name, "formula": name} for name in ("who", "paid", "count")]
    made = make(outputs, "who,paid,count\na,1.50,2\nb,0.5,3\nc,,\n", None)
    assert (
        '<tfoot><tr><td></td><td class="n">2.00</td><td class="n">5</td></tr></tfoot>'
        in made.written("html").decode()
    )

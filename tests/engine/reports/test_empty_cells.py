"""A report of one column may have empty cells, whatever it is made into."""

from pathlib import Path

from src.engine.reports.sheet import Sheet


def test_an_empty_cell_of_an_only_column_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_text("who\nANA\n\nRUI\n", encoding="utf-8")
    sheet = Sheet(path, "report", [{"name": "who", "type": "text"}])
    assert list(sheet.rows()) == [["ANA"], [""], ["RUI"]]

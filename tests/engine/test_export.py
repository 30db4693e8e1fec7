"""Rows out: what a spreadsheet's cell can't hold is cut so that it is seen, and only there."""

import io
import re
import zipfile

import pytest
from python_calamine import CalamineWorkbook

from src.engine.export import CELL_UNITS, csv_lines, xlsx_file

FULL = "x" * CELL_UNITS


def in_a_workbook(text: str) -> str:
    content = b"".join(xlsx_file(["text"], [[text]]))
    rows = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()
    return str(rows[1][0])


@pytest.mark.parametrize("text", [FULL, "💧" * (CELL_UNITS // 2), "ç" * CELL_UNITS, "", "a"])
def test_what_fits_is_whole(text: str) -> None:
    assert in_a_workbook(text) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (FULL + "x", FULL[:-1] + "…"),
        (FULL * 3, FULL[:-1] + "…"),
        ("=" + FULL, "'=" + FULL[:-3] + "…"),
        ("💧" * 20_000, "💧" * (CELL_UNITS // 2) + "…"),
        ("a" + "💧" * 20_000, "a" + "💧" * (CELL_UNITS // 2 - 1) + "…"),
    ],
)
def test_what_is_longer_ends_in_an_ellipsis(text: str, kept: str) -> None:
    found = in_a_workbook(text)
    assert found == kept
    assert len(found.encode("utf-16-le")) <= 2 * CELL_UNITS


def test_csv_has_it_whole() -> None:
    assert list(csv_lines(["text"], [[FULL + "x"]])) == ["text\r\n", f"{FULL}x\r\n"]


@pytest.mark.parametrize(
    ("number", "found"),
    [
        (999_999_999_999_999, 999_999_999_999_999),
        (-999_999_999_999_999, -999_999_999_999_999),
        (10**15, "1000000000000000"),
        (999_999_999_999_999_999, "999999999999999999"),
        (-(2**63), "-9223372036854775808"),
        (1.5, 1.5),
    ],
)
def test_a_whole_number_that_a_spreadsheet_would_round_is_a_text(number: float, found: float | str) -> None:
    content = b"".join(xlsx_file(["number"], [[number]]))
    rows = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()
    assert rows == [["number"], [found]]
    assert list(csv_lines(["number"], [[number]]))[1] == f"{number}\r\n"


def test_the_header_of_a_workbook_is_made_harmless_like_its_cells() -> None:
    book = b"".join(xlsx_file(["=1+1", "{=1+1}", "name"], [["=2", "-3", "x"]]))
    rows = CalamineWorkbook.from_filelike(io.BytesIO(book)).get_sheet_by_index(0).to_python()
    assert rows == [["'=1+1", "{=1+1}", "name"], ["'=2", "-3", "x"]]


def test_columns_are_as_wide_as_their_texts_within_reason() -> None:
    content = b"".join(xlsx_file(["a", "name"], [[1, "João Conceição"], [None, "y" * 500 + "\nz"]]))
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert [round(float(width)) for width in re.findall(r'<col [^>]*width="([0-9.]+)"', sheet)] == [8, 62]

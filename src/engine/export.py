"""Rows out, as CSV or XLSX: streamed, and cells that a spreadsheet would run as a formula made harmless."""

import csv
import io
import re
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import chain, islice
from typing import Any

STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r")
MADE_HARMLESS = re.compile(r"'+[=+\-@\t\r]")
CHUNK = 64 * 1024
ROWS_PER_SHEET = 1_000_000  # a sheet ends at 1,048,576
NO_MOMENT = datetime(2000, 1, 1)  # noqa: DTZ001 # the same rows give the same bytes
ROWS_MEASURED = 200  # for the widths of columns
NARROWEST, WIDEST = 6, 60  # characters
A4 = 9  # as workbooks number sizes of paper
MOST_WHOLE = 10**15  # from here on, whole numbers are rounded by spreadsheets
CELL_UNITS = 32_767  # what a spreadsheet takes in one cell, in UTF-16


def harmless(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula gets an apostrophe; numbers stay numbers.

    One that has an apostrophe there already gets another, so that `as_meant` can take one off.
    """
    if isinstance(value, str) and value.lstrip("'").startswith(STARTS_FORMULA) and not _is_number(value):
        return "'" + value
    return value


def as_meant(text: str) -> str:
    """A cell of a table that comes back, without the apostrophe that was put before it."""
    return text[1:] if MADE_HARMLESS.match(text) else text


def csv_lines(columns: list[str], rows: Iterable[list[Any]]) -> Iterator[str]:
    """CSV with a header, line by line."""
    yield _csv_line(columns)
    for row in rows:
        yield _csv_line(row)


def xlsx_file(columns: list[str], rows: Iterable[list[Any]]) -> Iterator[bytes]:
    """A workbook, written row by row to a temporary file and read back in pieces."""
    from xlsxwriter import Workbook

    with tempfile.TemporaryFile() as file:
        workbook = Workbook(
            file, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        )
        workbook.set_properties({"created": NO_MOMENT})
        bold = workbook.add_format({"bold": True})
        rows = iter(rows)
        first = list(islice(rows, ROWS_MEASURED))
        widths = _widths([columns, *first])
        sheet = _add_sheet(workbook, columns, widths, bold)
        for count, row in enumerate(chain(first, rows)):
            if count and count % ROWS_PER_SHEET == 0:
                sheet = _add_sheet(workbook, columns, widths, bold)
            for column, value in enumerate(row):
                _write_cell(sheet, count % ROWS_PER_SHEET + 1, column, value)
        workbook.close()
        file.seek(0)
        while piece := file.read(CHUNK):
            yield piece


def _widths(rows: Iterable[list[Any]]) -> list[int]:
    """Columns as wide as what stands in them, within reason."""
    longest: dict[int, int] = {}
    for row in rows:
        for place, value in enumerate(row):
            lines = str(_plain(value) if value is not None else "").splitlines() or [""]
            longest[place] = max(longest.get(place, 0), *map(len, lines))
    return [min(max(width, NARROWEST), WIDEST) + 1 for width in longest.values()]


def _add_sheet(workbook: Any, columns: list[str], widths: list[int], header: Any) -> Any:
    """With the header in sight and on every page of paper, which all columns fit on."""
    sheet = workbook.add_worksheet()
    sheet.set_landscape()
    sheet.set_paper(A4)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
    for place, width in enumerate(widths):
        sheet.set_column(place, place, width)
    for place, name in enumerate(columns):
        sheet.write_string(0, place, fitting(harmless(name)), header)
    sheet.freeze_panes(1, 0)
    return sheet


def _csv_line(values: list[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([harmless(_plain(value)) for value in values])
    return line.getvalue()


def _write_cell(sheet: Any, row: int, column: int, value: Any) -> None:
    value = _plain(value)
    if isinstance(value, bool | int | float) and not _is_rounded(value):
        sheet.write(row, column, value)
    elif value is not None:
        sheet.write_string(row, column, fitting(harmless(str(value))))


def _is_rounded(value: float) -> bool:
    """Whether a spreadsheet would show another whole number: it keeps fifteen digits."""
    return isinstance(value, int) and abs(value) >= MOST_WHOLE


def fitting(text: str) -> str:
    """A text that is too long for a cell is cut, and seen to be: it ends in an ellipsis. CSV has it whole."""
    if len(text) * 2 <= CELL_UNITS:
        return text
    units = text.encode("utf-16-le", "surrogatepass")
    if len(units) <= CELL_UNITS * 2:
        return text
    return units[: (CELL_UNITS - 1) * 2].decode("utf-16-le", "ignore") + "…"


def _plain(value: Any) -> Any:
    """Nested values have no cell of their own: they are written as JSON."""
    if isinstance(value, dict | list):
        import orjson

        return orjson.dumps(value).decode()
    return value


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False

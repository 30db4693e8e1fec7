"""A report on paper: a title, a table whose header is on every page, totals, and page numbers."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import MethodReturnValue

from src.domain.errors import TooLarge
from src.engine.reports.sheet import Sheet

FONTS = Path(__file__).resolve().parents[1] / "fonts"
MOST_ROWS = 20_000
MOST_COLUMNS = 20
SIZE, LINE, PADDING = 8.0, 4.6, 1.2
LONGEST_CELL = 300
FIXED = datetime(2000, 1, 1, tzinfo=UTC)  # the same report is the same file, whenever it is made


class TooLongForPdf(TooLarge):
    slug = "too-long-for-pdf"
    title = "This report is too long for a PDF"


class _Page(FPDF):
    """A4, lying; the title and the page's number stand on every page."""

    def __init__(self, title: str) -> None:
        super().__init__(orientation="landscape", format="A4")
        self.heading = title
        self.add_font("DejaVu", "", FONTS / "DejaVuSans.ttf")
        self.set_creation_date(FIXED)
        self.set_title(title)
        self.set_margins(12, 12)
        self.set_auto_page_break(auto=True, margin=16)
        self.alias_nb_pages()

    def footer(self) -> None:
        self.set_y(-12)
        self.set_font("DejaVu", size=7)
        self.set_text_color(110)
        self.cell(0, 5, self.heading, align="L", new_x="LMARGIN")
        self.cell(0, 5, f"{self.page_no()} / {{nb}}", align="R")
        self.set_text_color(0)


def pdf_of(sheet: Sheet) -> bytes:
    rows: list[list[str]] = []
    for row in sheet.rows():
        if len(rows) == MOST_ROWS:
            raise TooLongForPdf(f"A PDF has at most {MOST_ROWS:,} rows. Take HTML or XLSX, or set a limit.")
        rows.append([_fitting(cell) for cell in row])
    if len(sheet.names) > MOST_COLUMNS:
        raise TooLongForPdf(f"A PDF has at most {MOST_COLUMNS} columns. Take HTML or XLSX.")
    page = _Page(sheet.title)
    page.add_page()
    page.set_font("DejaVu", size=15)
    page.cell(0, 9, sheet.title, new_x="LMARGIN", new_y="NEXT")
    page.set_font("DejaVu", size=SIZE)
    page.cell(0, 6, f"{len(rows):,} rows", new_x="LMARGIN", new_y="NEXT")
    _write(page, sheet, rows)
    return bytes(page.output())


def _write(page: _Page, sheet: Sheet, rows: Sequence[Sequence[str]]) -> None:
    totals = sheet.totals()
    if any(totals) and not totals[0]:
        totals[0] = "Total"
    widths = _widths(page, [sheet.names, *rows[:200], totals])
    aligned = ["R" if is_number else "L" for is_number in sheet.are_numbers]
    _head(page, sheet.names, widths, aligned)
    for row in rows:
        if page.get_y() + _height(page, row, widths) > page.page_break_trigger:
            page.add_page()
            _head(page, sheet.names, widths, aligned)
        _line(page, row, widths, aligned)
    if any(totals):
        if page.get_y() + 2 * LINE > page.page_break_trigger:
            page.add_page()
            _head(page, sheet.names, widths, aligned)
        page.set_draw_color(60)
        page.line(page.l_margin, page.get_y(), page.l_margin + sum(widths), page.get_y())
        _line(page, totals, widths, aligned)


def _head(page: _Page, names: Sequence[str], widths: Sequence[float], aligned: Sequence[str]) -> None:
    page.set_font("DejaVu", size=SIZE)
    height = _height(page, names, widths)
    page.set_fill_color(238, 240, 243)
    page.rect(page.l_margin, page.get_y(), sum(widths), height, style="F")
    _line(page, names, widths, aligned)


def _line(page: _Page, cells: Sequence[str], widths: Sequence[float], aligned: Sequence[str]) -> None:
    """One row, as high as its longest cell needs."""
    height, top, left = _height(page, cells, widths), page.get_y(), page.l_margin
    for cell, width, align in zip(cells, widths, aligned, strict=True):
        page.set_xy(left, top + PADDING / 2)
        page.multi_cell(width, LINE, cell, align=align, new_x="RIGHT", new_y="TOP")
        left += width
    page.set_draw_color(215)
    page.line(page.l_margin, top + height, page.l_margin + sum(widths), top + height)
    page.set_xy(page.l_margin, top + height)


def _height(page: _Page, cells: Sequence[str], widths: Sequence[float]) -> float:
    lines = [len(_lines(page, cell, width)) if cell else 1 for cell, width in zip(cells, widths, strict=True)]
    return max(lines) * LINE + PADDING


def _lines(page: _Page, cell: str, width: float) -> list[str]:
    lines = page.multi_cell(width, LINE, cell, dry_run=True, output=MethodReturnValue.LINES)
    return lines if isinstance(lines, list) else [cell]


def _widths(page: _Page, rows: Sequence[Sequence[str]]) -> list[float]:
    """By what stands in the columns, within the page."""
    room = page.w - page.l_margin - page.r_margin
    wanted = [
        min(90.0, max(12.0, max(page.get_string_width(cell[:80]) for cell in column) + 4))
        for column in zip(*rows, strict=True)
    ]
    scale = room / sum(wanted)
    return [width * scale if scale < 1 else width for width in wanted]


def _fitting(cell: str) -> str:
    return cell if len(cell) <= LONGEST_CELL else cell[: LONGEST_CELL - 1] + "…"

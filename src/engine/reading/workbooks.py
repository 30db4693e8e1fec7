"""Workbooks: what makes one unsafe, and the rows of a sheet as texts. Read in a child process only."""

import re
import struct
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from src.domain.errors import Invalid
from src.engine.reading.archives import (
    BadArchive,
    EncryptedFile,
    Meter,
    check_declared,
    entries_of,
    open_entry,
)
from src.engine.reading.cell_errors import may_hold_errors, with_errors
from src.engine.reading.content import is_workbook
from src.engine.reading.encodings import UnsupportedFile
from src.engine.values import BrokenFile, ReadLimits

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook

BLOCK = 256 * 1024
LONGEST_TAG = 64 * 1024
TAGS_OF_A_CELL = 6
DECLARATIONS = tuple(
    token.encode(encoding)
    for token in ("<!DOCTYPE", "<!ENTITY")
    for encoding in ("utf-8", "utf-16-le", "utf-16-be")
)
RELATION = re.compile(rb"<(?:\w+:)?Relationship\b[^>]*>", re.IGNORECASE)
ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
EXCEL_DIGITS = 15
EXACT = 2**53  # a larger whole number may have been another one before it was saved
SAVE_AGAIN = "Open it in a spreadsheet program and save it again."


class UnsafeWorkbook(Invalid):
    slug = "unsafe-workbook"
    title = "The workbook holds something that is not accepted"


class UnknownSheet(Invalid):
    slug = "unknown-sheet"
    title = "The workbook has no such sheet"


def refuse_ole(head: bytes, path: Path) -> Invalid:
    """The error for an OLE container: a workbook under a password, or an Office document of before 2007."""
    shift, sector = struct.unpack_from("<H16xL", head.ljust(52, b"\0"), 30)
    with path.open("rb") as raw:
        raw.seek(min(sector + 1, 2**23) << min(shift, 12))
        directory = raw.read(16 * 1024)
    if ENCRYPTED in head or ENCRYPTED in directory:
        return EncryptedFile("The workbook needs a password. Save it without one and send it again.")
    return UnsupportedFile("This is an old Office document (.xls, .doc). Save it as .xlsx or CSV.")


def check_workbook(path: Path, limits: ReadLimits) -> bool:
    """Refuse bombs, entities, macros and links to elsewhere; every part is unpacked once and counted.

    The answer is whether cells may hold errors: `sheet_cells` then has to look for them.
    """
    entries = entries_of(path, limits)
    names = [entry.filename for entry in entries]
    if not is_workbook(names):
        raise BadArchive("An archive lies inside the archive. Pack the file itself, once.")
    if not any(name.startswith("xl/") for name in names) or "xl/workbook.bin" in names:
        raise UnsupportedFile("This Office document is no .xlsx workbook. Save it as .xlsx or CSV.")
    if any(name.endswith("vbaProject.bin") for name in names):
        raise UnsafeWorkbook("The workbook holds macros. Save it as .xlsx without macros.")
    if any(name.startswith("xl/externalLinks/") for name in names):
        raise UnsafeWorkbook("The workbook links to other workbooks. Break the links and save it again.")
    meter = check_declared(entries, limits.workbook_bytes, limits.ratio)
    return sum(_check_part(path, entry, meter) for entry in entries) > 0


def _check_part(path: Path, entry: zipfile.ZipInfo, meter: Meter) -> bool:
    is_relations = entry.filename.endswith(".rels")
    has_errors = False
    tail = b""
    with open_entry(path, entry, meter) as part:
        while block := part.read(BLOCK):
            window = tail + block
            if any(declaration in window for declaration in DECLARATIONS):
                raise UnsafeWorkbook(
                    "The workbook declares XML entities, which no spreadsheet program writes."
                )
            if is_relations and any(map(_leads_elsewhere, RELATION.findall(window))):
                raise UnsafeWorkbook("The workbook takes content from elsewhere. Remove its external links.")
            has_errors = has_errors or may_hold_errors(window)
            tail = _tail(window)
    return has_errors


def _tail(window: bytes) -> bytes:
    """The tags, and the cell, that the next block may continue."""
    start = len(window)
    for _ in range(TAGS_OF_A_CELL):
        start = max(window.rfind(b"<", 0, start), 0)
    return window[max(start, len(window) - LONGEST_TAG) :]


def _leads_elsewhere(relation: bytes) -> bool:
    """A hyperlink in a cell is harmless: nobody follows it here."""
    return b"External" in relation and b"/hyperlink" not in relation


def sheet_names(path: Path) -> list[str]:
    """The worksheets in the workbook's order; charts are left out."""
    from python_calamine import SheetTypeEnum

    with _open(path) as book:
        return [sheet.name for sheet in book.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]


def sheet_rows(path: Path, name: str, *, has_errors: bool) -> Iterator[tuple[int, list[str]]]:
    """The rows of a sheet with their numbers, every cell as a text; rows without content are left out."""
    for number, row in sheet_cells(path, name, has_errors=has_errors):
        texts = [cell_text(cell) for cell in row]
        if any(texts):
            yield number, texts


def sheet_cells(path: Path, name: str, *, has_errors: bool) -> Iterator[tuple[int, Sequence[object]]]:
    """The rows of a sheet with their numbers, every cell as the value that it holds."""
    from python_calamine import CalamineError

    with _open(path) as book:
        try:
            sheet = book.get_sheet_by_name(name)
        except CalamineError as error:
            if name not in book.sheet_names:
                known = ", ".join(book.sheet_names)
                raise UnknownSheet(f"There is no sheet {name!r}; there are: {known}.") from error
            raise BrokenFile(f"The sheet {name!r} is damaged. {SAVE_AGAIN}") from error
        rows: Iterable[Sequence[object]] = sheet.iter_rows()
        yield from enumerate(with_errors(rows, path, name) if has_errors else rows, 1)


def cell_text(cell: object) -> str:
    """A cell as text: numbers without the noise of binary fractions, dates as ISO 8601."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return _number_text(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        minutes, seconds = divmod(round(cell.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return str(cell)


def is_inexact(cell: object) -> bool:
    """Whether it is a number of which digits may be lost: a cell keeps about 16 of them."""
    return isinstance(cell, int | float) and abs(cell) > EXACT


def _number_text(number: float) -> str:
    """Never with an exponent if it is large: a long number is somebody's id, and all its digits count."""
    if number.is_integer():
        return f"{Decimal(repr(number)):.0f}" if is_inexact(number) else str(int(number))
    text = f"{number:.{EXCEL_DIGITS}g}"
    return repr(number) if "e+" in text else text


def _open(path: Path) -> "CalamineWorkbook":
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        return CalamineWorkbook.from_path(path)
    except CalamineError as error:
        raise BrokenFile(f"The workbook is damaged. {SAVE_AGAIN}") from error

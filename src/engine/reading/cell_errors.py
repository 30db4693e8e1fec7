"""Cells of a workbook that the reader library gives out as empty ones, though something is meant by them.

They hold an error, as #N/A, or a formula that a program has written without what it comes to.

Which workbooks have any is known from the check that reads every part anyway; only those are read again.
"""

import posixpath
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import unescape
from itertools import repeat
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree as ET

from src.engine.reading.archives import Meter, open_entry
from src.engine.values import BrokenFile

BLOCK = 1024 * 1024
MARKS = (b'"e"', b"'e'")  # the type of a cell with an error, as an attribute's value
FORMULAS = (b"<f", b":f")
LONGEST_FORMULA = 200  # of what is shown of one
WORKBOOK, RELATIONS = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
BEGIN = re.compile(rb"<(\w+:)?sheetData\b")
CELL = re.compile(rb"<(?:\w+:)?c\b([^>]*?)(?:/>|>(.*?)</(?:\w+:)?c\s*>)", re.DOTALL)
TYPE = re.compile(rb"""\st\s*=\s*["']e["']""")
FORMULA = re.compile(rb"<(?:\w+:)?f\b[^>]*>([^<]*)<")
WITHOUT_RESULT = re.compile(
    rb"<(?:\w+:)?c(\s[^<>]*)?>\s*"
    rb"<(?:\w+:)?f(?:\s[^<>]*)?(?:/>|>[^<]*</(?:\w+:)?f\s*>)\s*"
    rb"(?:</(?:\w+:)?c\s*>|(<(?:\w+:)?v\b[^<>]*(?:/>|>\s*</)))"
)
TEXT_TYPE = re.compile(rb"""\st\s*=\s*["']str["']""")
FIRST = b' r="'  # where programs write a row's number
ROW_NUMBER = re.compile(rb"""\sr\s*=\s*["']([0-9]{1,7})["']""")
COLUMN = re.compile(rb"""\sr\s*=\s*["']([A-Za-z]{1,3})[0-9]+["']""")
VALUE = re.compile(rb"<(?:\w+:)?v\b[^>]*>([^<]*)<")


class CellError(str):
    """The error that a cell holds, or its formula; typed as text, the same letters are a plain text."""

    __slots__ = ()


def code_of(text: str) -> str:
    """Why a cell with this text holds no value to trust."""
    if text.startswith("="):
        return "unsaved_formula"
    return "inexact_number" if text.removeprefix("-").isdecimal() else "error_value"


def may_hold_errors(xml: bytes) -> bool:
    """Whether there can be such cells in it; plain searches, because all parts of all workbooks are asked."""
    if any(mark in xml for mark in MARKS):
        return True
    return any(mark in xml for mark in FORMULAS) and _has_unsaved(xml)


def _has_unsaved(xml: bytes) -> bool:
    """An empty text is a result, too, where the cell says that it is of that type."""
    found = WITHOUT_RESULT.finditer(xml)
    return any(cell[2] is None or not TEXT_TYPE.search(cell[1] or b"") for cell in found)


def with_errors(rows: Iterable[Sequence[object]], path: Path, sheet: str) -> Iterator[Sequence[object]]:
    """The rows of a sheet from its first one on, with the errors where the library has left them out."""
    found = _errors(_rows(path, _part_of(path, sheet)))
    at, errors = next(found, (0, {}))
    number = 0
    for number, row in enumerate(rows, 1):
        while at and at < number:
            at, errors = next(found, (0, {}))
        yield _merged(row, errors) if at == number else row
    while at:  # below the last row that the library sees
        if at > number:
            yield from repeat((), at - number - 1)
            yield _merged((), errors)
            number = at
        at, errors = next(found, (0, {}))


def _merged(row: Sequence[object], errors: Mapping[int, CellError]) -> Sequence[object]:
    """The row with its errors; some stand right of all that the library sees."""
    width = max(len(row), *(place + 1 for place in errors))
    return [errors.get(place, row[place] if place < len(row) else "") for place in range(width)]


def _part_of(path: Path, sheet: str) -> zipfile.ZipInfo:
    """The part of the archive that holds the sheet: the workbook names a relation, and that the part."""
    with zipfile.ZipFile(path) as archive:
        parts = {part.filename.lower(): part for part in archive.infolist()}
    try:
        known = {one.get("name"): one for one in _elements(path, parts[WORKBOOK]) if _is(one, "sheet")}
        wanted = next(value for name, value in known[sheet].items() if name.endswith("}id"))
        relations = _elements(path, parts[RELATIONS])
        target = next(str(one.get("Target")) for one in relations if one.get("Id") == wanted)
        at = posixpath.normpath(posixpath.join("xl", target.replace("\\", "/"))).lower()
        return parts[at.lstrip("/").replace("xl/xl/", "xl/")]  # some write it from the top without a slash
    except (KeyError, StopIteration, ET.ParseError) as error:
        raise BrokenFile(f"The sheet {sheet!r} is not where the workbook says. Save it again.") from error


def _elements(path: Path, part: zipfile.ZipInfo) -> Iterator[ET.Element]:
    with _open(path, part) as xml:
        return ET.fromstring(xml.read()).iter()  # noqa: S314  the check has refused entities


def _is(element: ET.Element, name: str) -> bool:
    return element.tag.endswith(f"}}{name}")


def _open(path: Path, part: zipfile.ZipInfo) -> BinaryIO:
    """The check has counted what comes out of it."""
    return open_entry(path, part, Meter(sys.maxsize, sys.maxsize))


def _rows(path: Path, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """Each row of the part, from its attributes on: cut without parsing, because most hold no error."""
    with _open(path, part) as xml:
        rest = xml.read(BLOCK)
        while not (begin := BEGIN.search(rest)) and (block := xml.read(BLOCK)):
            rest += block
        prefix = b"" if begin is None else begin[1] or b""
        tag, end = b"<" + prefix + b"row", b"</" + prefix + b"sheetData"
        while (at := rest.find(end)) < 0 and (block := xml.read(BLOCK)):
            before, *rows = rest.split(tag)
            yield from rows[:-1]
            rest = (tag + rows[-1] if rows else before) + block
        yield from rest[: at if at >= 0 else None].split(tag)[1:]


def _errors(rows: Iterable[bytes]) -> Iterator[tuple[int, dict[int, CellError]]]:
    """The rows with errors, and these by their places. Numbers may be left out: the next one is meant."""
    numbered, since = b' r="0">', 0
    for row in rows:
        if row.startswith(FIRST) or ROW_NUMBER.search(row, 0, row.find(b">")):
            numbered, since = row, 0
        else:
            since += 1
        if may_hold_errors(row) and (errors := dict(_in_row(row))):
            said = ROW_NUMBER.search(numbered, 0, numbered.find(b">"))
            if said is None:
                raise BrokenFile("A row of the sheet has a number that no row can have. Save it again.")
            yield int(said[1]) + since, errors


def _in_row(cells: bytes) -> Iterator[tuple[int, CellError]]:
    place = -1
    for cell in CELL.finditer(cells):
        said = COLUMN.search(cell[1])
        place = _place(said[1]) if said else place + 1
        value = VALUE.search(cell[2] or b"")
        if value and TYPE.search(cell[1]) and (text := value[1].strip()):
            yield place, CellError(text.decode(errors="replace"))
        elif _has_unsaved(cell[0]):
            yield place, _formula(cell[2])


def _formula(cell: bytes) -> CellError:
    """As it is typed, on one line; one that is shared stands in another cell."""
    written = FORMULA.search(cell)
    text = unescape((written[1] if written else b"").decode(errors="replace"))
    return CellError(f"={' '.join(text.split())}"[:LONGEST_FORMULA].rstrip())


def _place(letters: bytes) -> int:
    """A is 0, Z is 25, AA is 26."""
    place = 0
    for letter in letters.upper():
        place = place * 26 + letter - ord("A") + 1
    return place - 1

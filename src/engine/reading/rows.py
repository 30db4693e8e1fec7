"""Rows of workbooks and JSON lines one by one: their texts, or the reason why they are no rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from src.engine.reading.cell_errors import CellError
from src.engine.reading.faults import Found
from src.engine.reading.jsonlines import Number, as_text, parse
from src.engine.reading.originals import shown
from src.engine.reading.shaping import Batch
from src.engine.reading.splitting import Splitter
from src.engine.reading.stretches import Marks, Records
from src.engine.reading.utf8 import Places
from src.engine.reading.workbooks import cell_text, is_inexact, sheet_cells
from src.engine.values import Detected

ROWS = 20_000
CHARACTERS = 8 * 1024 * 1024


@dataclass(frozen=True)
class Row:
    """A row with its line; one with a `code` has no cells but its raw text.

    `numbers` are the places of cells that are typed as such, `errors` of those without a value to trust.
    """

    line: int
    cells: list[str]
    numbers: tuple[int, ...] = ()
    errors: tuple[int, ...] = ()
    code: str = ""
    detail: str = ""


def rows_of_workbook(path: Path, detected: Detected, longest: int, *, has_errors: bool) -> Iterator[Row]:
    """The rows below the header; cells right of it must be empty."""
    width = len(detected.columns)
    found = sheet_cells(path, detected.sheet or "", has_errors=has_errors)
    for line, cells in islice(_full_rows(found), int(detected.has_header), None):
        texts = [cell_text(cell) for cell in cells]
        numbers = tuple(place for place, cell in enumerate(cells) if isinstance(cell, float))
        if sum(map(len, texts)) > longest:
            raw = "\t".join(texts)[:longest]
            yield Row(line, [raw], code="giant_line", detail=f"At most {longest} characters.")
        elif any(texts[width:]):
            yield Row(line, texts, code="wrong_column_count", detail=f"At most {width} columns are expected.")
        else:
            errors = _errors_among(cells, numbers, has_errors=has_errors)
            yield Row(line, texts[:width] + [""] * (width - len(texts)), numbers, errors)


def _errors_among(cells: Sequence[object], numbers: Sequence[int], *, has_errors: bool) -> tuple[int, ...]:
    inexact = [place for place in numbers if is_inexact(cells[place])]
    if not (has_errors and CellError in map(type, cells)):
        return tuple(inexact)
    return (*inexact, *(place for place, cell in enumerate(cells) if isinstance(cell, CellError)))


def _full_rows(rows: Iterable[tuple[int, Sequence[object]]]) -> Iterator[tuple[int, Sequence[object]]]:
    return ((line, cells) for line, cells in rows if any(map(cell_text, cells)))


def rows_of_json_lines(blocks: Iterable[bytes], detected: Detected, longest: int) -> Iterator[Row]:
    """The values in the order of the columns; blank lines are no rows."""
    names = [column.name for column in detected.columns]
    splitter = Splitter(Marks(None, None, longest))
    for block in blocks:
        yield from _json_rows(splitter.take(block), names)
    yield from _json_rows(splitter.take(b"", is_last=True), names)


def _json_rows(records: Records, names: list[str]) -> Iterator[Row]:
    for place, line in enumerate(records.lines.tolist()):
        raw = records.raw(place)
        if records.is_giant[place]:
            yield Row(line, [shown(raw)], code="giant_line")
        elif not raw.isspace() and raw:
            yield _json_row(line, raw, names)


def _json_row(line: int, raw: bytes, names: list[str]) -> Row:
    try:
        value = parse(raw.decode())
        if not isinstance(value, dict):
            return Row(line, [shown(raw)], code="not_json", detail="It is JSON, but no object.")
        cells = [as_text(value.get(name)) for name in names]
        "".join(cells).encode()
    except UnicodeError:
        return Row(line, [shown(raw)], code="invalid_encoding")
    except RecursionError:
        return Row(line, [shown(raw)], code="not_json", detail="It is nested too deeply.")
    except ValueError as error:
        return Row(line, [shown(raw)], code="not_json", detail=f"{error}.")
    numbers = tuple(place for place, name in enumerate(names) if isinstance(value.get(name), Number))
    return Row(line, cells, numbers)


def batches(rows: Iterable[Row], marks: dict[int, str]) -> Iterator[Batch]:
    """Rows in batches; `marks` are the wanted columns, each with the mark that its typed numbers get."""
    pending: list[Row] = []
    characters = 0
    for row in rows:
        pending.append(row)
        characters += sum(map(len, row.cells))
        if len(pending) >= ROWS or characters >= CHARACTERS:
            yield _batch(pending, marks)
            pending, characters = [], 0
    yield _batch(pending, marks)


def _batch(rows: list[Row], marks: dict[int, str]) -> Batch:
    sound: Places = np.array([place for place, row in enumerate(rows) if not row.code], np.int64)
    cells = [
        pa.array([_cell(rows[row], position, mark) for row in sound], pa.string())
        for position, mark in marks.items()
    ]
    lines = np.array([row.line for row in rows], np.int64)
    errors = places_among([rows[row].errors for row in sound], marks)
    return Batch(lines, sound, cells, list(_faults(rows)), RowCells(rows, marks), errors)


def places_among(errors: Sequence[Sequence[int]], positions: Iterable[int]) -> list[Places]:
    """From the positions of errors in each row, the rows that have one at each of these positions."""
    faulty = [(row, of_row) for row, of_row in enumerate(errors) if of_row]
    if not faulty:
        return []
    return [
        np.array([row for row, of_row in faulty if position in of_row], np.int64) for position in positions
    ]


@dataclass(frozen=True)
class RowCells:
    """The cells of rows, their typed numbers written with these marks."""

    rows: list[Row]
    marks: Mapping[int, str]

    def __getitem__(self, place: int) -> list[str]:
        return cells_of(self.rows[place], self.marks)


def cells_of(row: Row, marks: Mapping[int, str]) -> list[str]:
    """All cells of a row, its typed numbers written with these marks."""
    return [
        _cell(row, place, marks[place]) if place in marks else text for place, text in enumerate(row.cells)
    ]


def _cell(row: Row, position: int, mark: str) -> str:
    """A cell's text; a typed 7.0 is 7, and a number has the mark of its column."""
    text = row.cells[position]
    if position not in row.numbers:
        return text
    whole, _, fraction = text.partition(".")
    return whole if fraction and not fraction.strip("0") else text.replace(".", mark)


def _faults(rows: list[Row]) -> Iterator[Found]:
    for code in sorted({row.code for row in rows if row.code}):
        places = [place for place, row in enumerate(rows) if row.code == code]
        values = pa.array(["\t".join(rows[place].cells) for place in places], pa.string())
        yield Found(code, np.array(places, np.int64), values, [rows[place].detail for place in places])

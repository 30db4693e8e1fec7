"""The preview: the first rows of a file, whatever its format, all values as text."""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import dropwhile, islice
from pathlib import Path

from src.engine.reading.columns import names_of
from src.engine.reading.content import open_head
from src.engine.reading.heads import Head, head_of_table
from src.engine.reading.jsonlines import read_objects
from src.engine.reading.records import read_records
from src.engine.values import Detected, Preview, ReadLimits, Turn

__all__ = ["Preview", "preview"]

DEFAULT_LIMITS = ReadLimits()


def preview(
    path: Path,
    detected: Detected,
    rows: int,
    *,
    sheet: str | None = None,
    limits: ReadLimits = DEFAULT_LIMITS,
    work_dir: Path | None = None,
    in_turn: Turn = nullcontext,
) -> Preview:
    """The first `rows` rows, or fewer where they are very long; `sheet` is another one than was detected."""
    if detected.format in ("xlsx", "parquet"):
        sheet = sheet or detected.sheet
        titles = int(detected.format == "xlsx" and detected.has_header)
        head = head_of_table(
            path, detected.packing, detected.format, sheet, rows + titles, limits, work_dir, in_turn
        )
        return _of_table(head, titles, rows, limits)
    names = tuple(column.name for column in detected.columns)
    with open_head(path, detected.packing, detected.encoding or "utf-8", limits) as text:
        if detected.format == "jsonl":
            objects = read_objects(text, limits.record_bytes, is_strict=False)
            found: Iterable[list[str]] = ([values.get(name, "") for name in names] for _, values in objects)
        else:
            records = read_records(
                text, detected.delimiter, detected.quote, limits.record_bytes, is_strict=False
            )
            found = islice(_rows(records, len(names)), int(detected.has_header), None)
        taken, has_more = _take(found, rows, limits.preview_bytes)
    return Preview(columns=names, rows=_even(taken, len(names)), truncated=has_more)


def _of_table(head: Head, titles: int, rows: int, limits: ReadLimits) -> Preview:
    width = len(head.rows[0]) if head.rows else 0
    names = head.names or names_of(width, head.rows[0] if titles and head.rows else ())
    taken, is_cut = _take(head.rows[titles:], rows, limits.preview_bytes)
    return Preview(columns=tuple(names), rows=_even(taken, len(names)), truncated=head.has_more or is_cut)


def _rows(records: Iterable[tuple[int, list[str]]], width: int) -> Iterator[list[str]]:
    """Blank lines are no rows; but in a single column, below the first cell, one is an empty cell."""
    for _, record in dropwhile(lambda numbered: not numbered[1], records):
        if record or width == 1:
            yield record or [""]


def _take(found: Iterable[list[str]], rows: int, most: int) -> tuple[list[list[str]], bool]:
    """The first rows, and whether there are more; at most so many characters of them."""
    taken: list[list[str]] = []
    for row in found:
        if len(taken) == rows or most <= 0:
            return taken, True
        taken.append(row)
        most -= sum(map(len, row)) + len(row)
    return taken, False


def _even(rows: Iterable[list[str]], width: int) -> tuple[tuple[str, ...], ...]:
    return tuple((*row, *[""] * (width - len(row))) for row in rows)

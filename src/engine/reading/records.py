"""Delimited text as records with line numbers: the authority on where a record ends and what is broken."""

import csv
import re
from collections.abc import Iterator
from typing import TextIO

from src.domain.errors import Invalid
from src.engine.values import MIB, BrokenFile

ONE_COLUMN = "\x1f"  # a delimiter that no text has
QUOTE = '"'
SEPARATOR_LINE = re.compile(r'"?sep=([,;\t|])"?(?:[\r\n]+|\Z)', re.IGNORECASE)

csv.field_size_limit(64 * MIB)  # the length of the whole record is what is limited here


class GiantLine(Invalid):
    slug = "giant-line"
    title = "A line of the file is too long"


class TooManyColumns(Invalid):
    slug = "too-many-columns"
    title = "The file has too many columns"


class _Lines:
    """Physical lines, whatever ends them, of bounded length, and the line where the present record starts."""

    def __init__(self, text: TextIO, longest: int, *, is_strict: bool) -> None:
        self._text = text
        self._is_strict = is_strict
        self._longest = longest
        self.number = 0
        self.start = 1
        self._size = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._text.readline(self._longest + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self._size += len(line)
        if self._size > self._longest:
            raise GiantLine(_too_long(self.start, self.number, self._longest))
        if self._is_strict and "\0" in line:
            raise BrokenFile(f"Line {self.number} holds a NUL character, which no text has. Export it again.")
        return line

    def begin(self) -> None:
        """A new record starts with the next line."""
        self.start, self._size = self.number + 1, 0


def separator_named_by(line: str) -> str | None:
    """The delimiter, if it is the line in which spreadsheet programs name it above all others."""
    match = SEPARATOR_LINE.fullmatch(line)
    return match and match[1]


def read_records(
    text: TextIO, delimiter: str | None, quote: str | None, longest: int, *, is_strict: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line it starts on; a blank line is an empty record, one with `sep=` is none.

    Not strict, text behind a closing quote, a quote that is never closed and NUL are taken as they are.
    """
    lines = _Lines(text, longest, is_strict=is_strict)
    delimiter = delimiter or ONE_COLUMN
    reader = csv.reader(lines, delimiter=delimiter, quotechar=quote or QUOTE, strict=is_strict)
    is_first = True
    while True:
        lines.begin()
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BrokenFile(_reason(error, lines.start, lines.number)) from error
        if not (is_first and separator_named_by(delimiter.join(record))):
            yield lines.start, record
        is_first = is_first and not record


def check_width(width: int, allowed: int) -> None:
    """Refuse tables that are wider than anyone means."""
    if width > allowed:
        raise TooManyColumns(f"The file has {width} columns; at most {allowed} are allowed.")


def ragged(line: int, found: int, expected: int) -> BrokenFile:
    """The error for a record with too few or too many columns."""
    return BrokenFile(
        f"Line {line} has {found} column{'s' * (found != 1)} where {expected} are expected. "
        "Mend the line, or check the delimiter and the quotes around it."
    )


def _reason(error: csv.Error, start: int, line: int) -> str:
    if "end of data" in str(error):
        return f"Line {start}: a quote opens in this record that is never closed. Close it, or double it."
    return f"Line {line}: there is text behind a closing quote. Double the quotes that belong to the text."


def _too_long(start: int, line: int, longest: int) -> str:
    hint = "" if start == line else " A quote that opens there may never be closed."
    return f"The record on line {start} is longer than {longest // 1024} KiB.{hint}"

"""The cells of rows as they stand in the file, cut only when they are asked for: most rows are good."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from src.engine.reading.stretches import Records
from src.engine.reading.utf8 import Places


class Originals(Protocol):
    """Cells by the place of their row among some rows."""

    def __getitem__(self, place: int, /) -> list[str]: ...


def shown(raw: bytes) -> str:
    """Bytes as a text; those that are no UTF-8 as CP1252 has them."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "latin-1-control")


@dataclass(frozen=True)
class RecordCells:
    """The cells of delimited records."""

    records: Records
    rows: Places
    delimiter: str
    quote: str

    def __getitem__(self, place: int) -> list[str]:
        record = self.rows[place]
        text = shown(self.records.raw(record))
        if self.records.is_broken[record] or self.records.is_giant[record]:
            return [text]
        lines = io.StringIO(text, newline="")
        return next(csv.reader(lines, delimiter=self.delimiter, quotechar=self.quote))


class TableCells:
    """The cells of a stretch of a table."""

    def __init__(self, columns: Sequence[pa.Array]) -> None:
        self._columns = columns

    def __getitem__(self, place: int) -> list[str]:
        return [cell.as_py() or "" for cell in (column[place] for column in self._columns)]

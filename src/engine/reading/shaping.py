"""Records of delimited text as columns of texts; rows that have no sound shape are told apart as faults."""

from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyarrow import csv

from src.engine.reading.faults import LONGEST_VALUE, Found
from src.engine.reading.originals import Originals, RecordCells, shown
from src.engine.reading.records import ONE_COLUMN, QUOTE, separator_named_by
from src.engine.reading.splitting import Splitter
from src.engine.reading.stretches import Flags, Marks, Records
from src.engine.reading.utf8 import Places, invalid_places, is_utf8
from src.engine.values import Detected


@dataclass(frozen=True)
class Batch:
    """Rows of a file: their lines, one array of texts per wanted column, and the faults of their shape.

    Faulty rows have no cells: `cells` are those of the rows at the places `sound`. All have `originals`.
    `errors` are, for each wanted column, the cells that hold an error of the workbook; or there are none.
    """

    lines: Places
    sound: Places
    cells: Sequence[pa.Array]
    faults: Sequence[Found]
    originals: Originals
    errors: Sequence[Places] = ()


class Shaper:
    """Cuts the blocks of a text into batches; `positions` are the columns that are wanted."""

    def __init__(self, detected: Detected, positions: Sequence[int], encoding: str, longest: int) -> None:
        self.delimiter = detected.delimiter or ONE_COLUMN
        self.quote = detected.quote or QUOTE
        self._width = len(detected.columns)
        self._positions = positions
        self._has_offsets = encoding == "utf-8"
        self._longest = longest
        self._above_rows = int(detected.has_header)
        self._is_at_start = True

    def batches(self, blocks: Iterator[bytes]) -> Iterator[Batch]:
        """All rows of a text."""
        for records in self.records(blocks):
            yield self._shape(records)

    def records(self, blocks: Iterator[bytes]) -> Iterator[Records]:
        """All records of a text, block by block."""
        splitter = Splitter(Marks(self.delimiter, self.quote, self._longest, self._width))
        for block in blocks:
            yield splitter.take(block)
        yield splitter.take(b"", is_last=True)

    def _shape(self, records: Records) -> Batch:
        rows = self.rows(records)
        faults, is_bad = self._faults(records, rows)
        sound = np.flatnonzero(~is_bad)
        text = _joined(records, rows[sound])
        originals = RecordCells(records, rows, self.delimiter, self.quote)
        return Batch(records.lines[rows], sound, self._cells(text, len(sound)), faults, originals)

    def rows(self, records: Records) -> Places:
        """The records that are rows: neither blank nor the header, nor the line that names the delimiter."""
        rows = np.flatnonzero((records.ends > records.starts) | records.is_broken)
        if self._is_at_start and len(rows):
            self._is_at_start = False
            self._above_rows += separator_named_by(shown(records.raw(int(rows[0])))) is not None
        above = len(rows[: self._above_rows])
        self._above_rows -= above
        return rows[above:]

    def _faults(self, records: Records, rows: Places) -> tuple[list[Found], Flags]:
        is_broken, is_giant = records.is_broken[rows], records.is_giant[rows]
        is_whole = ~(is_broken | is_giant)
        widths = records.widths(rows)
        misencoded, bytes_at = self._misencoded(records, rows)
        wrong = np.flatnonzero(is_whole & (widths != self._width))
        found = [
            _found("broken_quotes", records, rows, np.flatnonzero(is_broken)),
            _found("giant_line", records, rows, np.flatnonzero(is_giant), f"At most {self._longest} bytes."),
            _found("wrong_column_count", records, rows, wrong, self._counts(widths[wrong])),
            _found("invalid_encoding", records, rows, misencoded, bytes_at),
        ]
        is_bad = ~is_whole | (widths != self._width)
        is_bad[misencoded] = True
        return [group for group in found if len(group.rows)], is_bad

    def _counts(self, widths: Places) -> list[str]:
        plural = "s" * (self._width != 1)
        return [f"It has {width} where {self._width} column{plural} are expected." for width in widths]

    def _misencoded(self, records: Records, rows: Places) -> tuple[Places, list[str]]:
        """The rows with bytes that are no text, and where the first of them is; giant ones aside."""
        if is_utf8(records.text) or not len(rows):
            return np.empty(0, np.int64), []
        places = invalid_places(records.data)
        owners = np.searchsorted(records.starts[rows], places, side="right") - 1
        is_inside = (owners >= 0) & (places < records.ends[rows][owners]) & ~records.is_giant[rows][owners]
        owners, first = np.unique(owners[is_inside], return_index=True)
        places = places[is_inside][first]
        if not self._has_offsets:
            return owners, [""] * len(owners)
        values = records.data[places]
        return owners, [
            f"The first such byte is 0x{value:02X}, at offset {place + records.offset} of the text."
            for place, value in zip(places, values, strict=True)
        ]

    def _cells(self, text: bytes, rows: int) -> list[pa.Array]:
        """The texts of the wanted columns, parsed by Arrow, which must find as many rows as were counted."""
        if not rows:
            return [pa.array([], pa.string()) for _ in self._positions]
        if text.startswith(BOM_UTF8):
            text = b"\n" + text  # Arrow takes it for the mark of a file
        names = [f"c{place}" for place in range(self._width)]
        wanted = [names[position] for position in self._positions]
        table = csv.read_csv(
            pa.BufferReader(text),
            csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=names),
            csv.ParseOptions(delimiter=self.delimiter, quote_char=self.quote, newlines_in_values=True),
            csv.ConvertOptions(
                check_utf8=False, column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted
            ),
        )
        if table.num_rows != rows:
            raise RuntimeError(f"{table.num_rows} rows were parsed where {rows} records were counted")
        return [table.column(name).combine_chunks() for name in wanted]


def _found(
    code: str, records: Records, rows: Places, places: Places, detail: str | Sequence[str] = ""
) -> Found:
    texts = [shown(records.raw(record))[:LONGEST_VALUE] for record in rows[places]]
    return Found(code, places, pa.array(texts, pa.string()), detail)


def _joined(records: Records, rows: Places) -> bytes:
    """The text of these records, copied in stretches of neighbours."""
    if not len(rows):
        return b""
    gaps = np.flatnonzero(np.diff(rows) > 1)
    first, last = rows[np.append(0, gaps + 1)], rows[np.append(gaps, len(rows) - 1)]
    starts, stops = records.starts[first].tolist(), records.stops[last].tolist()
    view = memoryview(records.text)
    return b"".join(view[start:stop] for start, stop in zip(starts, stops, strict=True))

"""A fast proof that a delimited UTF-8 file is regular: rows of one width, sound quotes, one kind of line end.

A fast parser cannot misread a regular file. What is not regular is read again, record by record.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from src.engine.reading.plain import Lines
from src.engine.values import OnProgress, Regular

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Places = NDArray[np.int64]
    Bytes = NDArray[np.uint8]

BLOCK = 2 * 1024 * 1024
NEWLINE, RETURN = 10, 13
NAMED_DELIMITER = re.compile(rb'(?:\xef\xbb\xbf)?"?sep=[,;\t|]"?[\r\n]', re.IGNORECASE)


def prove(path: Path, delimiter: str, quote: str, longest: int, on_progress: OnProgress) -> Regular | None:
    """Look at every byte once; None where anything is out of the ordinary."""
    proof = _Proof(delimiter, quote, longest)
    total, done = path.stat().st_size, 0
    with path.open("rb") as raw:
        while block := raw.read(BLOCK):
            if (not done and NAMED_DELIMITER.match(block)) or not proof.takes(block):
                return None
            done += len(block)
            on_progress(done, total, "bytes checked")
    return proof.result()


class _Proof:
    """The state between blocks: what all records so far have in common, and the record begun last."""

    def __init__(self, delimiter: str, quote: str, longest: int) -> None:
        self._delimiter = ord(delimiter)
        self._quote = ord(quote)
        self._longest = longest
        self._width = 0
        self._records = 0
        self._line_end = ""
        self._has_breaks = False
        self._is_plain = (delimiter, quote) == (",", '"')
        self._signed: set[int] = set()
        self._rest = b""

    def result(self) -> Regular | None:
        """Close the last record, which may lack its line end."""
        if self._rest and (not self.takes((self._line_end or "\n").encode()) or self._rest):
            return None
        if not self._records:
            return None
        return Regular(
            width=self._width,
            records=self._records,
            delimiter=chr(self._delimiter),
            quote=chr(self._quote),
            has_breaks=self._has_breaks,
            signed=sorted(self._signed) if self._is_plain else None,
        )

    def takes(self, block: bytes) -> bool:
        """Whether the records that end in this block are regular, and like those before."""
        import numpy as np

        text = self._rest + block
        data = np.frombuffer(text, np.uint8)
        quotes = np.flatnonzero(data == self._quote)
        newlines = np.flatnonzero(data == NEWLINE)
        ends = _outside(newlines, quotes)
        self._has_breaks |= len(ends) < len(newlines)
        if not len(ends):
            self._rest = text
            return len(text) <= self._longest
        size = int(ends[-1]) + 1
        self._rest, data = text[size:], data[:size]
        quotes = quotes[: np.searchsorted(quotes, size)]
        marks = np.flatnonzero(data == self._delimiter)
        delimiters = _outside(marks, quotes)
        is_regular = (
            b"\0" not in text
            and self._ends_alike(data, quotes, ends)
            and self._quotes_are_sound(data, quotes)
            and self._widths_are_even(delimiters, ends)
        )
        if is_regular and self._is_plain:
            self._look_closer(Lines(data, quotes, marks, delimiters, ends))
        return is_regular

    def _ends_alike(self, data: "Bytes", quotes: "Places", ends: "Places") -> bool:
        import numpy as np

        every_return = np.flatnonzero(data == RETURN)
        returns = _outside(every_return, quotes)
        self._has_breaks |= len(returns) < len(every_return)
        if not self._line_end:
            self._line_end = "\r\n" if len(returns) else "\n"
        if self._line_end == "\n":
            return not len(returns)
        return len(returns) == len(ends) and bool((returns + 1 == ends).all())

    def _quotes_are_sound(self, data: "Bytes", quotes: "Places") -> bool:
        """Each quote opens a cell, closes one, or is one of a pair inside; else counting would mislead."""
        opening, closing = quotes[::2], quotes[1::2]
        before, after = data[opening[opening > 0] - 1], data[closing + 1]
        starts = (before == self._delimiter) | (before == NEWLINE) | (before == self._quote)
        stops = (after == self._delimiter) | (after == NEWLINE) | (after == RETURN) | (after == self._quote)
        return bool(starts.all() and stops.all())

    def _widths_are_even(self, delimiters: "Places", ends: "Places") -> bool:
        import numpy as np

        widths = np.diff(np.searchsorted(delimiters, ends), prepend=0) + 1
        lengths = np.diff(ends, prepend=-1) - len(self._line_end)
        if not self._width:
            self._width = int(widths[0]) if lengths[0] else 0
        # a blank line is no row, but in a single column it is an empty cell
        counted = lengths >= 0 if self._width == 1 else lengths > 0
        self._records += int(counted.sum())
        return bool(self._width and (widths[counted] == self._width).all() and lengths.max() <= self._longest)

    def _look_closer(self, lines: Lines) -> None:
        """Whether each line is a row, and as we would write it."""
        self._is_plain = self._line_end == "\n" and not self._has_breaks and lines.are_as_written()
        if self._is_plain:
            self._signed |= lines.signed_columns(self._width)


def _outside(places: "Places", quotes: "Places") -> "Places":
    """The places with an even number of quotes before them."""
    import numpy as np

    are_outside = np.searchsorted(quotes, places) % 2 == 0 if len(quotes) else slice(None)
    outside: Places = places[are_outside]
    return outside

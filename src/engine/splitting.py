"""Text cut into records at the line ends outside quotes, block by block; what breaks costs its own line only.

First those quotes are told apart that mean nothing: inside of a cell that does not begin with one, and in a
line whose quotes can't be right. The parity of the others tells what is inside.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.engine.utf8 import NEWLINE, Bytes, Places

RETURN = 13
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Records:
    """The records that end in one stretch of text: `stops` are behind the line ends, `ends` before them."""

    text: bytes
    data: Bytes
    quotes: Places  # those that mean something
    starts: Places
    ends: Places
    stops: Places
    lines: Places  # the physical lines that the records start on, from 1
    is_broken: Flags
    is_giant: Flags
    offset: int  # of the text in the whole file

    def raw(self, record: int) -> bytes:
        """A record as it stands in the file, without its line end."""
        return self.text[int(self.starts[record]) : int(self.ends[record])]

    def places(self, byte: int) -> Places:
        """Where a byte stands outside of quotes."""
        return outside(np.flatnonzero(self.data == byte), self.quotes)


class Splitter:
    """Takes the blocks of a text and gives the records that end in each; a quote of None has no meaning."""

    def __init__(self, delimiter: str | None, quote: str | None, longest: int) -> None:
        self._delimiter = ord(delimiter) if delimiter else NEWLINE
        self._quote = ord(quote) if quote else None
        self._longest = longest
        self._rest = b""
        self._line = 1
        self._offset = 0
        self._is_skipping = False  # the end of a line that was given up for its length

    def take(self, block: bytes, *, is_last: bool = False) -> Records:
        """The records that end in this block; those of the last one need no line end."""
        text = self._rest + block
        if self._is_skipping:
            text = self._skip(text, is_last=is_last)
        if self._is_skipping:
            self._rest, text = text, b""
        elif is_last and text and text[-1:] not in (b"\n", b"\r"):
            text += b"\n"
        return self._records(text, is_last=is_last)

    def _records(self, text: bytes, *, is_last: bool) -> Records:
        stretch = _Stretch(text, self._delimiter, self._quote, self._longest, is_last=is_last)
        records = stretch.records(self._line, self._offset)
        size = int(records.stops[-1]) if len(records.stops) else 0
        self._line += int(np.searchsorted(stretch.line_ends, size))
        if len(text) - size - text.endswith(b"\r") > self._longest:  # without a line end, or it were broken
            records = _with_giant(records, size, self._longest, self._line)
            size = len(text) - text.endswith(b"\r")
            self._is_skipping = True
        if text:
            self._rest, self._offset = text[size:], self._offset + size
        return records

    def _skip(self, text: bytes, *, is_last: bool) -> bytes:
        """What follows the line end; a return at the very end may be the half of one."""
        places = [place for end in (b"\n", b"\r") if (place := text.find(end)) >= 0]
        size = min(places, default=len(text))
        is_open = not places or (size == len(text) - 1 and text.endswith(b"\r"))
        if not is_open or is_last:
            size += 2 if text.startswith(b"\r\n", size) else 1
            self._line += 1
            self._is_skipping = False
        self._offset += min(size, len(text))
        return text[size:]


class _Stretch:
    """One stretch of text that begins with a record."""

    def __init__(
        self, text: bytes, delimiter: int, quote: int | None, longest: int, *, is_last: bool
    ) -> None:
        self.text = text
        self.data: Bytes = np.frombuffer(text, np.uint8)
        self.line_ends = _line_ends(text, self.data, is_last=is_last)
        self._longest = longest
        self._is_last = is_last
        self._broken: list[int] = []
        has_quotes = quote is not None and bytes([quote]) in text
        self._quotes: Places = np.flatnonzero(self.data == quote) if has_quotes else np.empty(0, np.int64)
        self._means = np.ones(len(self._quotes), bool)
        if has_quotes:
            self._judge(delimiter)

    def records(self, line: int, offset: int) -> Records:
        """The records that end in this stretch, once the quotes are settled."""
        place, first = 0, 0
        while True:
            self._settle(place, first)
            found = self._found(line, offset)
            found.is_giant[:] = found.ends - found.starts > self._longest
            start = self._long_and_quoted(found)
            if start is None:
                found.is_broken[found.is_giant] = False
                return found
            self._broken = [place for place in self._broken if place < start]
            place, first = self._break(start)

    def _long_and_quoted(self, found: Records) -> int | None:
        """Where the first record starts that goes over several lines and is too long to be meant."""
        starts = found.starts[found.is_giant]
        line_ends = self.line_ends[np.searchsorted(self.line_ends, starts)]
        starts = starts[line_ends + 1 < found.stops[found.is_giant]]
        if len(starts):
            return int(starts[0])
        tail = int(found.stops[-1]) if len(found.stops) else 0
        is_long = len(self.text) - self.text.endswith(b"\r") - tail > self._longest
        return tail if is_long and np.searchsorted(self.line_ends, tail) < len(self.line_ends) else None

    def _found(self, line: int, offset: int) -> Records:
        quotes = self._quotes[self._means]
        last = outside(self.line_ends, quotes)
        starts = np.concatenate([[0], last[:-1] + 1]) if len(last) else last
        is_pair = (self.data[last] == NEWLINE) & (last > starts)
        is_pair &= self.data[np.maximum(last - 1, 0)] == RETURN
        return Records(
            text=self.text,
            data=self.data,
            quotes=quotes,
            starts=starts,
            ends=last - is_pair,
            stops=last + 1,
            lines=line + np.searchsorted(self.line_ends, starts),
            is_broken=np.isin(starts, self._broken) if self._broken else np.zeros(len(starts), bool),
            is_giant=np.zeros(len(starts), bool),
            offset=offset,
        )

    def _judge(self, delimiter: int) -> None:
        """What each quote may be, and the ones that are wrong if quotes open at even, or at odd places."""
        quotes, size = self._quotes, len(self.data)
        before = np.where(quotes > 0, self.data[quotes - 1], NEWLINE)
        after = np.where(quotes + 1 < size, self.data[(quotes + 1) % size], NEWLINE)
        follows = np.diff(quotes, prepend=-2) == 1
        precedes = np.append(follows[1:], False)
        self._opens = (before == delimiter) | (before == NEWLINE) | (before == RETURN)
        closes = (after == delimiter) | (after == NEWLINE) | (after == RETURN) | precedes

        is_even = np.arange(len(quotes)) % 2 == 0
        no_opening, no_closing = ~(self._opens | follows), ~closes
        self._follows = follows
        self._wrong = (
            np.flatnonzero(np.where(is_even, no_opening, no_closing)),
            np.flatnonzero(np.where(is_even, no_closing, no_opening)),
        )

    def _settle(self, place: int, first: int) -> None:
        """Tell apart the quotes from number `first` on; `place` is where a record before it starts."""
        while first <= len(self._quotes):
            wrong = self._next_wrong(first)
            if wrong == len(self._quotes) and not (self._is_last and (wrong - first) % 2):
                return
            if (wrong - first) % 2 == 0:
                self._means[wrong] = False  # a cell that does not begin with a quote may hold some
                first = wrong + 1
                continue
            start = self._record_start(place, self._opening(first, wrong - 1))
            if np.searchsorted(self.line_ends, start) == len(self.line_ends):
                return  # more of the line is needed
            place, first = self._break(start)

    def _next_wrong(self, first: int) -> int:
        if first == len(self._quotes):
            return first
        if not self._opens[first]:
            return first
        wrong = self._wrong[first % 2]
        index = np.searchsorted(wrong, first)
        return int(wrong[index]) if index < len(wrong) else len(self._quotes)

    def _opening(self, first: int, quote: int) -> int:
        """The quote that opens the cell; those before it may be pairs that stand for one."""
        while quote > first and self._follows[quote]:
            quote -= 2
        return quote

    def _record_start(self, place: int, quote: int) -> int:
        """Where the record with this quote, which is outside or opens a cell, starts; not before `place`."""
        first = int(np.searchsorted(self._quotes, place))
        end = int(np.searchsorted(self.line_ends, self._quotes[quote])) - 1
        while end >= 0 and self.line_ends[end] >= place:
            before = int(np.searchsorted(self._quotes, self.line_ends[end]))
            if np.count_nonzero(self._means[first:before]) % 2 == 0:
                return int(self.line_ends[end]) + 1
            end = int(np.searchsorted(self.line_ends, self._quotes[before - 1])) - 1
        return place

    def _break(self, start: int) -> tuple[int, int]:
        """Give up the first line of a record; where the next one starts, and its first quote."""
        stop = int(self.line_ends[np.searchsorted(self.line_ends, start)]) + 1
        first, last = (int(place) for place in np.searchsorted(self._quotes, [start, stop]))
        self._broken.append(start)
        self._means[first:last] = False
        self._means[last:] = True
        return stop, last


def outside(places: Places, quotes: Places) -> Places:
    """The places with an even number of quotes before them."""
    if not len(quotes):
        return places
    found: Places = places[np.searchsorted(quotes, places) % 2 == 0]
    return found


def _line_ends(text: bytes, data: Bytes, *, is_last: bool) -> Places:
    """The last bytes of all line ends: newlines, and returns without one."""
    newlines: Places = np.flatnonzero(data == NEWLINE)
    if b"\r" not in text:
        return newlines
    returns = np.flatnonzero(data == RETURN)
    if not is_last and returns[-1] == len(data) - 1:
        returns = returns[:-1]
    alone = returns[data[np.minimum(returns + 1, len(data) - 1)] != NEWLINE]
    return np.sort(np.concatenate([newlines, alone])) if len(alone) else newlines


def _with_giant(records: Records, start: int, longest: int, line: int) -> Records:
    """The same with one more record, of which only the beginning is known."""
    stop = min(start + longest + 1, len(records.text))
    return Records(
        text=records.text,
        data=records.data,
        quotes=records.quotes,
        starts=np.append(records.starts, start),
        ends=np.append(records.ends, stop),
        stops=np.append(records.stops, stop),
        lines=np.append(records.lines, line),
        is_broken=np.append(records.is_broken, False),
        is_giant=np.append(records.is_giant, True),
        offset=records.offset,
    )

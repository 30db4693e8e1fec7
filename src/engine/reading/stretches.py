"""What the quotes in a stretch of text mean, and thereby where its records end.

First those quotes are told apart that mean nothing: inside of a cell that does not begin with one, and in a
line whose quotes can't be right. The parity of the others tells what is inside.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.engine.reading.utf8 import NEWLINE, Bytes, Places

RETURN = 13
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Marks:
    """What cuts a text. Without a quote, only line ends do; `width` is how many cells a row should have."""

    delimiter: str | None
    quote: str | None
    longest: int  # bytes of a record
    width: int | None = None


@dataclass(frozen=True)
class Records:
    """The records that end in one stretch of text: `stops` are behind the line ends, `ends` before them."""

    text: bytes
    data: Bytes
    delimiters: Places  # those outside of quotes
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

    def widths(self, rows: Places) -> Places:
        """How many cells these records have."""
        first, last = np.searchsorted(self.delimiters, [self.starts[rows], self.ends[rows]])
        found: Places = last - first + 1
        return found


class Stretch:
    """One stretch of text that begins with a record."""

    def __init__(self, text: bytes, marks: Marks, *, is_last: bool) -> None:
        self.text = text
        self.data: Bytes = np.frombuffer(text, np.uint8)
        self.line_ends = _line_ends(text, self.data, is_last=is_last)
        self._marks = marks
        self._is_last = is_last
        self._broken: set[int] = set()
        self._quotes = self._places(marks.quote)
        self._delimiters = self._places(marks.delimiter)
        self._means = np.ones(len(self._quotes), bool)
        if len(self._quotes):
            self._judge()

    def _places(self, mark: str | None) -> Places:
        if mark is None or mark.encode() not in self.text:
            return np.empty(0, np.int64)
        found: Places = np.flatnonzero(self.data == ord(mark))
        return found

    def records(self, line: int, offset: int) -> Records:
        """The records that end in this stretch, once the quotes are settled."""
        self._settle(0, 0, len(self._quotes))
        while True:
            found = self._found(line, offset)
            doubtful = self._doubtful(found)
            if not doubtful:
                found.is_broken[found.is_giant] = False
                return found
            for start, stop in reversed(doubtful):  # what is found for one may change those behind it
                self._broken = {place for place in self._broken if not start <= place < stop}
                last = int(np.searchsorted(self._quotes, stop))
                self._settle(*self._break(start, last), last)

    def _doubtful(self, found: Records) -> list[tuple[int, int]]:
        """Records over several lines that are not meant: stray quotes began and maybe ended them.

        They are too long, or of another width than the table and hold a whole line of the right one.
        """
        first, last = np.searchsorted(self.line_ends, [found.starts, found.stops - 1])
        several = np.flatnonzero(last > first)
        is_wrong = found.is_giant[several].copy()
        if self._marks.width:
            for place in np.flatnonzero(~is_wrong & (found.widths(several) != self._marks.width)):
                is_wrong[place] = self._hides_a_row(found.raw(several[place]))
        wrong = several[is_wrong]
        spans = list(zip(found.starts[wrong].tolist(), found.stops[wrong].tolist(), strict=True))
        tail = int(found.stops[-1]) if len(found.stops) else 0
        is_long = len(self.text) - self.text.endswith(b"\r") - tail > self._marks.longest
        if is_long and np.searchsorted(self.line_ends, tail) < len(self.line_ends):
            spans.append((tail, len(self.text)))
        return spans

    def _hides_a_row(self, raw: bytes) -> bool:
        """Whether one of the lines after the first has as many delimiters as a row."""
        delimiter = (self._marks.delimiter or "").encode()
        return any(
            line.count(delimiter) + 1 == self._marks.width
            for line in raw.replace(b"\r", b"\n").split(b"\n")[1:]
        )

    def _found(self, line: int, offset: int) -> Records:
        quotes = self._quotes[self._means]
        last = outside(self.line_ends, quotes)
        starts = np.concatenate([[0], last[:-1] + 1]) if len(last) else last
        is_pair = (self.data[last] == NEWLINE) & (last > starts)
        is_pair &= self.data[np.maximum(last - 1, 0)] == RETURN
        ends = last - is_pair
        return Records(
            text=self.text,
            data=self.data,
            delimiters=outside(self._delimiters, quotes),
            starts=starts,
            ends=ends,
            stops=last + 1,
            lines=line + np.searchsorted(self.line_ends, starts),
            is_broken=np.isin(starts, list(self._broken)),
            is_giant=ends - starts > self._marks.longest,
            offset=offset,
        )

    def _judge(self) -> None:
        """What each quote may be, and the ones that are wrong if quotes open at even, or at odd places."""
        quotes, size, delimiter = self._quotes, len(self.data), ord(self._marks.delimiter or "\n")
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

    def _settle(self, place: int, first: int, last: int) -> None:
        """Tell apart the quotes from number `first` on; `place` is where a record before it starts.

        It is done at number `last` if all is well there: then what was found behind it before is still right.
        """
        while first <= len(self._quotes):
            wrong = self._next_wrong(first, last)
            if wrong == last and (last - first) % 2 and last < len(self._quotes):
                self._broken = {
                    start for start in self._broken if np.searchsorted(self._quotes, start) < last
                }
                self._means[last:] = True
                last = len(self._quotes)
                continue
            if wrong == last and not (self._is_last and (wrong - first) % 2):
                return
            if (wrong - first) % 2 == 0:
                self._means[wrong] = False  # a cell that does not begin with a quote may hold some
                first = wrong + 1
                continue
            start = self._record_start(place, self._opening(first, wrong - 1))
            if np.searchsorted(self.line_ends, start) == len(self.line_ends):
                return  # more of the line is needed
            place, first = self._break(start, last)

    def _next_wrong(self, first: int, last: int) -> int:
        """The next quote that can't be what it would be, or the last number."""
        if first >= last or not self._opens[first]:
            return first
        wrong = self._wrong[first % 2]
        index = np.searchsorted(wrong, first)
        return min(int(wrong[index]), last) if index < len(wrong) else last

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

    def _break(self, start: int, end: int) -> tuple[int, int]:
        """Give up the first line of a record; where the next one starts, and its first quote.

        The quotes up to number `end` are open again.
        """
        stop = int(self.line_ends[np.searchsorted(self.line_ends, start)]) + 1
        first, last = (int(place) for place in np.searchsorted(self._quotes, [start, stop]))
        self._broken.add(start)
        self._means[first:last] = False
        self._means[last:end] = True
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

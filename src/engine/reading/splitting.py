"""Text cut into records at the line ends outside quotes, block by block."""

import numpy as np

from src.engine.reading.stretches import Marks, Records, Stretch


class Splitter:
    """Takes the blocks of a text and gives the records that end in each."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._rest = b""
        self._line = 1
        self._offset = 0
        self._is_skipping = False  # the end of a line that was given up for its length

    def take(self, block: bytes, *, is_last: bool = False) -> Records:
        """The records that end in this block; those of the last one need no line end."""
        text = self._rest + block
        if self._is_skipping:
            text = self._skip(text, is_last=is_last)
            self._rest, text = (text, b"") if self._is_skipping else (b"", text)
        if is_last and text and text[-1:] not in (b"\n", b"\r"):
            text += b"\n"
        return self._records(text, is_last=is_last)

    def _records(self, text: bytes, *, is_last: bool) -> Records:
        stretch = Stretch(text, self._marks, is_last=is_last)
        records = stretch.records(self._line, self._offset)
        size = int(records.stops[-1]) if len(records.stops) else 0
        self._line += int(np.searchsorted(stretch.line_ends, size))
        if (
            len(text) - size - text.endswith(b"\r") > self._marks.longest
        ):  # without a line end, or it were broken
            records = _with_giant(records, size, self._marks.longest, self._line)
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


def _with_giant(records: Records, start: int, longest: int, line: int) -> Records:
    """The same with one more record, of which only the beginning is known."""
    stop = min(start + longest + 1, len(records.text))
    return Records(
        text=records.text,
        data=records.data,
        delimiters=records.delimiters,
        starts=np.append(records.starts, start),
        ends=np.append(records.ends, stop),
        stops=np.append(records.stops, stop),
        lines=np.append(records.lines, line),
        is_broken=np.append(records.is_broken, False),
        is_giant=np.append(records.is_giant, True),
        offset=records.offset,
    )

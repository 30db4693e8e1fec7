"""A text of any encoding as a stream of UTF-8 bytes, and the places where such bytes are no text."""

import codecs
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from src.engine.reading.content import error_handling, skip_bom
from src.engine.reading.encodings import encoding_of_mark
from src.engine.values import MIB, OnProgress

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]

BLOCK = 2 * MIB
CHECKED_AT_ONCE = MIB // 2  # what is made of so much stays in the processor's cache: half the time of 4 MiB
LONGEST_LINE = 4 * MIB  # a longer one is checked in parts
NEWLINE = 10
CUT_SHORT = b"\xff"  # stands for the half of a character that a text ends with

# How many bytes follow a leading byte, and between which bounds the first of them lies.
_FOLLOWING = np.zeros(256, np.uint8)
_FOLLOWING[0xC2:0xE0], _FOLLOWING[0xE0:0xF0], _FOLLOWING[0xF0:0xF5] = 1, 2, 3
_LOWEST, _HIGHEST = np.full(256, 0x80, np.uint8), np.full(256, 0xBF, np.uint8)
_LOWEST[0xE0], _HIGHEST[0xED], _LOWEST[0xF0], _HIGHEST[0xF4] = 0xA0, 0x9F, 0x90, 0x8F


def is_utf8(text: bytes) -> bool:
    """Whether all the bytes are sound UTF-8."""
    if text.isascii():
        return True
    ends = pa.py_buffer(np.array([0, len(text)], np.int64))
    try:
        pa.Array.from_buffers(pa.large_string(), 1, [None, ends, pa.py_buffer(text)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def invalid_places(data: Bytes) -> Places:
    """The bytes that belong to no character, in order."""
    high: Places = np.flatnonzero(data >= 0x80)
    return high[~_belonging(data, high)]


def _belonging(data: Bytes, places: Places) -> Flags:
    """Which of the places belong to a character of several bytes; all that are not ASCII are among them."""
    following = _FOLLOWING[data[places]]
    belongs = np.zeros(len(places), bool)
    leads, size = np.flatnonzero(following), 0  # as places in `places`
    while len(leads):
        size += 1
        leads = leads[_are_followed(data, places[leads], size)]
        is_last = following[leads] == size
        for part in range(size + 1):
            belongs[leads[is_last] + part] = True
        leads = leads[~is_last]
    return belongs


def _are_followed(data: Bytes, leads: Places, distance: int) -> Flags:
    """After which of the leading bytes there is, so far behind, one that may follow."""
    places = leads + distance
    found: Bytes = data.take(places, mode="clip")  # where the text has ended, its last byte
    if distance > 1:
        may_follow: Flags = (found & 0xC0) == 0x80
        return may_follow & (places < len(data))
    lead = data[leads]  # which itself does not lie within the bounds
    return (found >= _LOWEST[lead]) & (found <= _HIGHEST[lead])


def encoding_of_text(path: Path, on_progress: OnProgress) -> str:
    """By its mark, else UTF-8 unless most of the lines with other than ASCII characters are none."""
    total, balance = path.stat().st_size, 0
    with path.open("rb") as raw:
        mark = encoding_of_mark(raw.read(4))
        if mark:
            return mark
        raw.seek(0)
        while lines := raw.read(CHECKED_AT_ONCE) + raw.readline(LONGEST_LINE):
            balance += _balance(lines)
            on_progress(raw.tell(), total, "bytes checked")
    return "utf-8" if balance >= 0 else "cp1252"


def _balance(text: bytes) -> int:
    """How many more lines speak for UTF-8 than against it."""
    if text.isascii():
        return 0
    data = np.frombuffer(text, np.uint8)
    places = np.flatnonzero((data ^ NEWLINE).view(np.int8) <= 0)  # line ends, and what is not ASCII
    is_end = data[places] == NEWLINE
    against = 0 if is_utf8(text) else _lines(is_end[~_belonging(data, places)])
    return _lines(is_end) - 2 * against


def _lines(is_end: Flags) -> int:
    """How many lines there is anything of, beside their ends."""
    return int(np.count_nonzero(~is_end[:1]) + np.count_nonzero(is_end[:-1] & ~is_end[1:]))


def utf8_blocks(path: Path, encoding: str, on_progress: OnProgress) -> Iterator[bytes]:
    """The text without its mark; what the encoding does not know comes out as bytes that are no UTF-8."""
    total = path.stat().st_size
    with path.open("rb") as raw:
        skip_bom(raw, encoding)
        recode = None if encoding == "utf-8" else _Recoder(encoding)
        while block := raw.read(BLOCK):
            on_progress(raw.tell(), total, "bytes read")
            yield recode(block) if recode else block
        if recode:
            yield recode.last()


class _Recoder:
    """Other encodings as UTF-8, block by block."""

    def __init__(self, encoding: str) -> None:
        handling = error_handling(encoding)
        if handling == "strict":
            handling = "surrogatepass" if encoding.startswith("utf-16") else "surrogateescape"
        self._decoder = codecs.getincrementaldecoder(encoding)(handling)

    def __call__(self, block: bytes) -> bytes:
        return self._decoder.decode(block).encode("utf-8", "surrogatepass")

    def last(self) -> bytes:
        """What shows that the text ends within a character."""
        return CUT_SHORT if self._decoder.getstate()[0] else b""

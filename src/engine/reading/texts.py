"""Columns of texts seen as bytes: what is blank, how long values are, what no text should hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from src.engine.reading.stretches import Flags
from src.engine.reading.utf8 import Bytes, Places

BLANKS = " \t\r\n\u00a0"
DELETE = 0x7F
CONTROLS = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x{80}-\x{84}\x{86}-\x{9f}]"  # but for line ends and tabs
_IS_CONTROL = np.zeros(256, bool)
_IS_CONTROL[:32] = True
_IS_CONTROL[[9, 10, 13]] = False
_IS_CONTROL[[DELETE, 0xC2]] = True  # 0xC2 may begin one of those above 0x7F
_MAY_START, _MAY_END = np.zeros(256, bool), np.zeros(256, bool)
_MAY_START[[9, 10, 13, 32, 0xC2]] = True  # the first and the last byte of blanks
_MAY_END[[9, 10, 13, 32, 0xA0]] = True


@dataclass(frozen=True)
class Texts:
    """The values of one column without blanks around them, beside what stands in the file."""

    original: pa.Array
    trimmed: pa.Array
    sizes: Places  # in bytes

    @property
    def is_empty(self) -> Flags:
        are_empty: Flags = self.sizes == 0
        return are_empty


def texts_of(column: pa.Array) -> Texts:
    """Trim a column; most have nothing to trim, which the bytes at the ends of values show."""
    ends, data = views(column)
    sizes = np.diff(ends)
    full = np.flatnonzero(sizes)
    may_be_blank = _MAY_START[data[ends[full]]] | _MAY_END[data[ends[full + 1] - 1]]
    if not may_be_blank.any():
        return Texts(column, column, sizes)
    trimmed = pc.utf8_trim(column, BLANKS)
    return Texts(column, trimmed, np.diff(views(trimmed)[0]))


def views(column: pa.Array) -> tuple[Places, Bytes]:
    """Where the values end in the column's bytes, led by where the first one starts; and the bytes."""
    _, ends, data = column.buffers()
    places = np.frombuffer(ends, np.int32)[column.offset : column.offset + len(column) + 1]
    return places.astype(np.int64), np.frombuffer(data or b"\0", np.uint8)


def with_controls(texts: Texts) -> Places:
    """The rows with a character that no text has."""
    ends, data = views(texts.original)
    data = data[ends[0] : ends[-1]]
    is_plain = not len(data) or (data.min() >= ord(" ") and data.max() < DELETE)
    if is_plain or not _IS_CONTROL[data].any():
        return np.empty(0, np.int64)
    return flags(pc.match_substring_regex(texts.original, CONTROLS)).nonzero()[0]


def flags(values: pa.Array) -> Flags:
    """A column of booleans for NumPy."""
    found: Flags = values.to_numpy(zero_copy_only=False)
    return found


def without(values: pa.Array, is_null: Flags) -> pa.Array:
    """The same values but for those that are null; nothing is copied but the mask."""
    if not is_null.any():
        return values
    mask = pa.py_buffer(np.packbits(~is_null, bitorder="little"))
    if values.offset:
        return pc.if_else(pa.array(is_null), pa.scalar(None, values.type), values)
    return pa.Array.from_buffers(values.type, len(values), [mask, *values.buffers()[1:]])


def each_distinct(texts: pa.Array, read: Callable[[str], Any]) -> tuple[Places, Sequence[Any]]:
    """What is read from each distinct text, and for each row which of the readings is its own."""
    coded = texts.dictionary_encode()
    return coded.indices.to_numpy(), [read(text) for text in coded.dictionary.to_pylist()]

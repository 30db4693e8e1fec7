"""Keys that stand in a file more than once: suspected while it is read, proven when it was."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from src.engine.imports.spooling import block_path, read_block

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
BITS = 28  # of a place: 32 MiB, whatever the file's size
WORD = 8
FACTOR = np.uint64(0x9E3779B97F4A7C15)
FAR = np.iinfo(np.int64).max


class Seen:
    """Whether a text came up before. A no is certain; of ten million texts, one in fifty is a wrong yes."""

    def __init__(self, bits: int = BITS) -> None:
        self._drop = np.uint64(64 - bits)
        self._bits = np.zeros(2**bits // 8, np.uint8)

    def again(self, texts: pa.Array) -> Flags:
        """Which of them may have come up before, here or earlier; the empty ones are no texts."""
        is_again = np.zeros(len(texts), bool)
        rows = np.flatnonzero(texts.is_valid().to_numpy(zero_copy_only=False))
        if not len(rows):
            return is_again
        places = _hashes(texts.drop_null()) >> self._drop
        order = np.argsort(places, kind="stable")
        ordered = places[order]
        is_next = np.zeros(len(rows), bool)
        is_next[order[1:][ordered[1:] == ordered[:-1]]] = True
        bytes_at = (places >> np.uint64(3)).astype(np.int64)
        bits = np.left_shift(1, (places & np.uint64(7)).astype(np.uint8)).astype(np.uint8)
        is_again[rows] = is_next | (self._bits[bytes_at] & bits != 0)
        np.bitwise_or.at(self._bits, bytes_at, bits)
        return is_again


def first_lines(folder: Path, blocks: int, key: int, keys: pa.Array, left_out: Integers) -> Integers:
    """On which line of the spooled rows, apart from those left out, each of these keys stands first."""
    first = np.full(len(keys), FAR)
    for number in range(blocks):
        table = read_block(block_path(folder, number), [0, key + 1])
        found = pc.index_in(table.column(1), value_set=keys).combine_chunks()
        is_wanted = found.is_valid().to_numpy(zero_copy_only=False)
        lines = table.column(0).to_numpy()
        is_wanted &= ~np.isin(lines, left_out)
        np.minimum.at(first, found.fill_null(0).to_numpy()[is_wanted], lines[is_wanted])
    return first


def _hashes(texts: pa.Array) -> npt.NDArray[np.uint64]:
    """Of each text, word by word of its bytes."""
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    content = np.frombuffer(data or b"\0", np.uint8)
    starts, sizes = bounds[:-1], np.diff(bounds)
    hashed = sizes.astype(np.uint64) * FACTOR
    for begin in range(0, int(sizes.max()), WORD):
        places = begin + np.arange(WORD)
        is_inside = places < sizes[:, None]
        letters = content[np.minimum(starts[:, None] + places, len(content) - 1)]
        words = np.where(is_inside, letters, np.uint8(0)).view(np.uint64)[:, 0]
        mixed = (hashed ^ words) * FACTOR
        mixed ^= mixed >> np.uint64(29)
        hashed = np.where(sizes > begin, mixed, hashed)  # whatever else is in the array
    return hashed * FACTOR

"""Rows that come out as they stand in their file: their lines are copied, in a fraction of the time."""

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from src.engine.queries.bits import Bits
from src.engine.queries.pieces import NEWLINE, Piece
from src.engine.queries.sources import Source
from src.engine.queries.statements import Statements

if TYPE_CHECKING:
    import pyarrow as pa


def are_lines(statements: Statements, source: Source) -> bool:
    """Whether what is selected are lines of the source, byte by byte."""
    chosen, text = statements.chosen, source.text
    if chosen is None or text is None or source.signed is None:
        return False
    return len(statements.headers) == text["width"] and not set(chosen.guarded) & set(source.signed)


def copy_lines(piece: Piece, sets: Sequence[Bits], target: Path, header: str) -> int:
    """Write the rows of a piece that are in all sets behind a header, and tell how many they are."""
    import numpy as np

    row, copied = piece.rows_before, 0
    with target.open("wb") as out:
        out.write(header.encode())
        for block in _whole_lines(_without_header(piece)):
            lines = _lines(block)
            is_kept = reduce(np.logical_and, (rows.among(row, len(lines)) for rows in sets))
            kept = lines.filter(is_kept)
            out.write(_bytes_of(kept))
            row, copied = row + len(lines), copied + len(kept)
    return copied


def _without_header(piece: Piece) -> Iterator[bytes]:
    """The blocks of a piece; the header, of which it may be the first, may take several."""
    is_in_header = piece.first == 0 and (piece.source.text or {})["has_header"]
    for block in piece.blocks():
        if is_in_header:
            _, end, rest = block.partition(b"\n")
            is_in_header = not end
            yield rest
        else:
            yield block


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, cut at line ends; the last one may be missing."""
    rest = b""
    for block in blocks:
        end = block.rfind(b"\n") + 1
        if end:
            yield rest + block[:end]
            rest = b""
        rest += block[end:]
    if rest:
        yield rest + b"\n"


def _lines(block: bytes) -> "pa.Array":
    """One text for each line, with its end, without copying any."""
    import numpy as np
    import pyarrow as pa

    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == NEWLINE) + 1
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    return pa.Array.from_buffers(pa.binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(block)])


def _bytes_of(lines: "pa.Array") -> memoryview:
    """Those of texts that stand one behind the other."""
    import numpy as np

    _, offsets, texts = lines.buffers()
    ends = np.frombuffer(offsets, np.int32)[lines.offset : lines.offset + len(lines) + 1]
    return memoryview(texts)[ends[0] : ends[-1]] if len(lines) else memoryview(b"")

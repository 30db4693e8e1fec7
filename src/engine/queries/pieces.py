"""A long file in pieces that are read side by side: each gives its part of a result, in the file's order.

DuckDB keeps the order through joins, and numbers rows, on one thread only: so each piece has one of its own.
"""

import os
from codecs import BOM_UTF8
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from pathlib import Path
from threading import Thread

from src.engine.duck import THREADS
from src.engine.queries.sources import Source
from src.engine.values import MIB

LEAST = 32 * MIB  # of a file that is worth it
MOST_READ_TWICE = 64 * MIB  # of files that every piece is joined to
AT_ONCE = MIB
BLOCK = MIB // 4
NEWLINE = 10


@dataclass
class Piece:
    """Some bytes of a regular file, which are whole rows, and how many rows come before them."""

    source: Source
    first: int
    end: int
    rows: int
    rows_before: int
    moved: int = field(default=0, init=False)

    def fed_to(self, pipe: Path) -> Source:
        """The rows of this piece alone. They come through a pipe, so that nothing is copied to disk.

        Who feeds it waits for its reader, and ends with the process if there is none.
        """
        os.mkfifo(pipe)
        Thread(target=self._feed, args=[pipe], daemon=True).start()
        text = dict(self.source.text or {}, path=str(pipe), first=self.rows_before)
        if self.first:
            text["has_header"] = False
        return replace(self.source, rows=self.rows, text=text)

    def _feed(self, pipe: Path) -> None:
        with suppress(BrokenPipeError), pipe.open("wb", buffering=0) as out:  # the reader may have given up
            for block in self.blocks():
                view = memoryview(block)
                while view:
                    view = view[out.write(view) :]

    def blocks(self) -> Iterator[bytes]:
        """Its bytes, some at a time."""
        with self.source.files[0].open("rb", buffering=0) as file:
            file.seek(self.first)
            while block := file.read(min(AT_ONCE, self.end - self.first - self.moved)):
                yield block
                self.moved += len(block)


def pieces_of(source: Source, others: list[Source]) -> list[Piece]:
    """One for each thread, where the file is long, and all its lines are rows; else none.

    What is joined to it must be short: every piece reads it anew.
    """
    if source.text is None or source.text["has_breaks"] or _size(others) > MOST_READ_TWICE:
        return []
    path, size = source.files[0], _size([source])
    if size < LEAST:
        return []
    cuts = [0, *(_next_line(path, size * part // THREADS) for part in range(1, THREADS)), size]
    with ThreadPoolExecutor(THREADS) as pool:
        lines = list(pool.map(lambda ends: _lines(path, *ends), pairwise(cuts)))
    lines[0] -= source.text["has_header"]
    if sum(lines) != source.rows:  # some are blank, and no rows
        return []
    before = [0, *accumulate(lines[:-1])]
    return [
        Piece(source, *ends, *counts) for ends, *counts in zip(pairwise(cuts), lines, before, strict=True)
    ]


def _size(sources: list[Source]) -> int:
    return sum(path.stat().st_size for source in sources for path in source.files)


def _next_line(path: Path, place: int) -> int:
    """Where one begins; but not with what DuckDB would take for the mark at the beginning of a file."""
    with path.open("rb") as file:
        file.seek(place)
        file.readline()
        place = file.tell()
        while file.read(len(BOM_UTF8)) == BOM_UTF8:
            file.readline()
            place = file.tell()
        return place


def _lines(path: Path, first: int, end: int) -> int:
    """How many lines begin in this part of a file."""
    import numpy as np

    found, last = 0, NEWLINE
    with path.open("rb", buffering=0) as file:
        file.seek(first)
        while block := file.read(min(BLOCK, end - file.tell())):
            found += int(np.count_nonzero(np.frombuffer(block, np.uint8) == NEWLINE))
            last = block[-1]
    return found + (last != NEWLINE)

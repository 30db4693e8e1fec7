"""A file into a table while it is read: one child keeps good rows in blocks, another makes pieces for COPY.

Between the two stands the caller, who tells for each block what only the database knows.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import orjson
from orjson import Fragment

from src.domain.datasets import Folds
from src.engine.imports.plans import Loaded, LoadPlan
from src.engine.sandbox import ignore_progress, never, run_in_child
from src.engine.values import MIB, OnProgress, ReadLimits, ShouldStop

GIVES_BACK = 8 * MIB  # of what is free; what it would keep is a third of all it has
SECONDS = 3600.0
BLOCKS_AHEAD = 3  # with one or two it takes as long, with six a twentieth longer, without an end a twelfth


@dataclass(frozen=True, kw_only=True)
class Block:
    """Rows that were kept: what is to be asked of the database about them, in arrays as it writes them."""

    block: int
    rows: int
    names: Mapping[str, str]  # new ones, by the place of their column
    lines: str = "{}"
    keys: str = "{}"


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the database knows of a block, in JSON that it has made: there may be much of it."""

    ids: Mapping[str, str]  # of new names, by the place of their column: a list, with null for unknown ones
    unknown: Mapping[str, str]  # the unknown names by their places in that
    there: str = "[]"  # lines whose keys are there, and what is said of them
    fresh: str = "[]"  # ids for the rows: pairs of the first one and how many

    def to_json(self) -> bytes:
        parts = {"ids": self.ids, "unknown": self.unknown}
        told = {part: {place: Fragment(text) for place, text in by.items()} for part, by in parts.items()}
        return orjson.dumps({**told, "there": Fragment(self.there), "fresh": Fragment(self.fresh)})


@dataclass(frozen=True, kw_only=True)
class TargetColumn:
    """A column of the table, and the type of its ids or what stands for a missing value."""

    name: str
    default: str | None = None
    type: str | None = None
    code: str = ""  # of a row whose name has no id


@dataclass(frozen=True, kw_only=True)
class RowPlan:
    """How kept rows become rows of a table, column by column; `order` and `key` are places of such.

    A table in parts by `order` tells from which microsecond on each has its rows.
    """

    columns: tuple[TargetColumn, ...]
    order: int | None = None
    key: int | None = None
    folds: Folds | None = None
    begins: tuple[int, ...] = ()
    has_keys: bool = False  # the keys go to a table of their own as well

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        columns = tuple(TargetColumn(**column) for column in data["columns"])
        folds = data["folds"] and Folds(**data["folds"])
        return cls(**{**data, "columns": columns, "folds": folds, "begins": tuple(data["begins"])})


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A file with some rows for a part of the table, or, without a part, with their keys."""

    number: int
    part: int | None


@dataclass(frozen=True, kw_only=True)
class Written:
    """What came of the kept rows; `summary` counts faults as that of the reading does."""

    rows: int
    rejected: int
    duplicate: int
    summary: Mapping[str, Mapping[str, int]]
    unused: int  # how many names no written row has


class Orders:
    """The line from the caller to the child that writes: which blocks are known, and that they were all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        reading, self._writing = os.pipe()
        self.reading = os.fdopen(reading, "rb", buffering=0)

    def tell(self, number: int, known: Known) -> None:
        """The child may write the block. What is said is in a file, so that nobody waits for the child."""
        order_path(self._folder, number).write_bytes(known.to_json())
        self._say(b"%d\n" % number)

    def end(self, *, is_whole: bool) -> None:
        """There is no more; without having been told so, the child takes the end for a failure."""
        if is_whole:
            self._say(b"end\n")
        os.close(self._writing)

    def _say(self, word: bytes) -> None:
        with suppress(BrokenPipeError):  # a child that ended already is noticed where it is listened to
            os.write(self._writing, word)


class Lead:
    """How far the reading may be ahead of the writing: a mark for a block, given back when its rows are in.

    The database has the most to do. A reader that ran far ahead, and a writer behind it, would only take
    processors away from it; so, where there are few, they follow in turns.
    """

    def __init__(self, blocks: int = BLOCKS_AHEAD) -> None:
        reading, self._writing = os.pipe()
        self.reading = os.fdopen(reading, "rb", buffering=0)
        self.give(blocks)

    def give(self, blocks: int = 1) -> None:
        with suppress(BrokenPipeError):  # a child that has read all of the file waits for none
            os.write(self._writing, b"." * blocks)

    def close(self) -> None:
        os.close(self._writing)


def order_path(folder: Path, number: int) -> Path:
    return folder / f"order-{number}.json"


def piece_path(folder: Path, number: int) -> Path:
    """A COPY stream."""
    return folder / f"piece-{number}.copy"


def used_path(folder: Path, place: int) -> Path:
    """Ids of a column that written rows have, as a COPY stream."""
    return folder / f"used-{place}.copy"


def unused_path(folder: Path, place: int) -> Path:
    """Ids of its names that none of them has."""
    return folder / f"unused-{place}.copy"


def keep_rows(
    path: Path,
    plan: LoadPlan,
    *,
    folder: Path,
    faults: Path,
    refused: Path,
    key: int | None,
    lead: Lead,
    on_block: Callable[[Block], object],
    on_progress: OnProgress = ignore_progress,
    should_stop: ShouldStop = never,
    limits: ReadLimits,
) -> Loaded:
    """Read the file, as `lead` allows, keep its good rows in the folder, and tell of each block of them.

    With the place of a key, its values are told as well. What is wrong with other rows goes to `faults`, with
    their cells, and what is to be compared of them to `refused`.
    """
    arguments = {
        "path": str(path.resolve()),
        "plan": plan.to_json(),
        "faults": str(faults.resolve()),
        "spool": str(folder.resolve()),
        "key": key,
        "refused": str(refused.resolve()),
        "limits": asdict(limits),
    }
    answer = run_in_child(
        "keep",
        arguments,
        replace(limits.sandbox, memory=512 * MIB, seconds=SECONDS),
        work_dir=folder,
        on_progress=on_progress,
        should_stop=should_stop,
        on_block=_Words(lambda word: on_block(Block(**word))),
        given={"lead": lead.reading},
    )
    return Loaded.from_json(answer)


class _Words:
    """Puts what comes of a stream together to lines, each of which tells of something."""

    def __init__(self, on_word: Callable[[dict[str, Any]], object]) -> None:
        self._on_word = on_word
        self._pieces: list[bytes] = []

    def __call__(self, piece: bytes) -> None:
        *ends, rest = piece.split(b"\n")
        for end in ends:
            word = b"".join([*self._pieces, end])
            self._pieces.clear()
            self._on_word(orjson.loads(word))
        self._pieces.append(rest)


def write_rows(
    load_plan: LoadPlan,
    plan: RowPlan,
    *,
    folder: Path,
    faults: Path,
    orders: Orders,
    import_id: UUID,
    on_piece: Callable[[Piece], object],
    on_block_end: Callable[[], object],
    should_stop: ShouldStop = never,
    limits: ReadLimits,
) -> Written:
    """Make pieces of the kept rows, as the orders come, and tell of each, and of the end of each block.

    What is counted of them is written to the folder, if the plan says so; repeated keys, and rows that the
    database knows to be wrong, to `faults`.
    """
    arguments = {
        "spool": str(folder.resolve()),
        "load_plan": load_plan.to_json(),
        "plan": asdict(plan),
        "faults": str(faults.resolve()),
        "import_id": import_id.hex,
    }
    answer = run_in_child(
        "write",
        arguments,
        replace(limits.sandbox, memory=512 * MIB, seconds=SECONDS, gives_back=GIVES_BACK),
        work_dir=folder,
        should_stop=should_stop,
        on_block=_Words(lambda word: on_piece(Piece(**word)) if word else on_block_end()),
        given={"orders": orders.reading},
    )
    return Written(**answer)

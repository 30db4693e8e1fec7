"""A query as it crosses into the engine's process: SQL that we wrote, and what to make of what it selects."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from src.domain.errors import Invalid

LONGEST_SHOWN = 100
Keep = Literal["first", "last"]
OutputFormat = Literal["csv", "xlsx", "jsonl", "parquet"]


class UnreadableCell(Invalid):
    slug = "unreadable-cell"
    title = "A cell is not what its column is to be"


@dataclass(frozen=True)
class PartStatement:
    """What is found first: row numbers of the source `set_of`, a table, or cells that are refused.

    With `keep`, rows with `keys` are selected, and the numbers are those of the first or last of each key;
    `is_whole`, they are all rows of a file, in its order.
    """

    name: str
    select: str
    set_of: str | None
    may_stop: bool
    refusal: str | None
    keep: Keep | None = None
    keys: Sequence[str] = ()
    is_whole: bool = False

    def refuse(self, cells: Iterable[tuple[int, str]]) -> None:
        """Where one was found that must not be there."""
        for row, cell in cells:
            raise UnreadableCell((self.refusal or "").format(row=row + 1, cell=cell[:LONGEST_SHOWN]))


@dataclass(frozen=True)
class Chosen:
    """Rows that come out as they stand in their file: those whose numbers are in all of these sets.

    But for cells of the `guarded` columns that a spreadsheet would take for formulas.
    """

    sets: Sequence[str]
    guarded: Sequence[int]


@dataclass(frozen=True)
class NoteStatement:
    """A table that is made while rows pass by: the function `name` is called with their columns.

    `select` finds the same by itself.
    """

    name: str
    columns: Sequence[str]
    select: str


@dataclass(frozen=True)
class Statements:
    """A query for DuckDB: what is found first, one after the other, and what is selected in the end.

    `headers` are the names of what is selected; where one `is_number`, a workbook has numbers.
    `is_gathered`: all rows are seen before the first comes out.
    `divided`: a source whose rows pass by one after the other, each by itself: a piece of it gives a piece.
    `chosen`: what to do instead where the lines of that source are as we would write them.
    `notes`: what else is found by the way.
    """

    parts: list[PartStatement]
    select: str
    headers: list[str]
    are_numbers: list[bool]
    is_joined: bool
    is_gathered: bool
    format: OutputFormat
    divided: str | None = None
    chosen: Chosen | None = None
    notes: Sequence[NoteStatement] = ()

    @property
    def needed(self) -> set[str]:
        """The names of what is found first."""
        return {part.name for part in self.parts}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        parts = [PartStatement(**part) for part in data["parts"]]
        notes = [NoteStatement(**note) for note in data["notes"]]
        chosen = Chosen(**data["chosen"]) if data["chosen"] else None
        return cls(**{**data, "parts": parts, "notes": notes, "chosen": chosen})


@dataclass(frozen=True)
class Asked:
    """Statements about some of the sources, and where what they select is to be written."""

    statements: Statements
    sources: Sequence[str]
    target: str
    must_be_empty: bool = False

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{**data, "statements": Statements.from_json(data["statements"])})

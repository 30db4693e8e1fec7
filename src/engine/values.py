"""What the engine takes and gives: limits, readings, previews, profiles, all frozen and JSON-serialisable.

`dataclasses.asdict` turns each into plain JSON; `from_json` of `Detected` and `Profile` turns it back.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from src.domain.errors import Invalid

MIB = 1024 * 1024
GIB = 1024 * MIB

Format = Literal["csv", "tsv", "txt", "xlsx", "jsonl", "parquet", "mended"]  # the last one is our own
Packing = Literal["none", "gzip", "zip"]
ColumnType = Literal["text", "integer", "decimal", "date", "datetime", "boolean"]
DateOrder = Literal["ymd", "dmy", "mdy"]

OnProgress = Callable[[int, int, str], None]
ShouldStop = Callable[[], bool]
Turn = Callable[[], AbstractContextManager[None]]  # entered before a child starts, left when it has ended


class BrokenFile(Invalid):
    slug = "broken-file"
    title = "The file is damaged or not well formed"


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """What a child process may use; it is killed at the deadline.

    `reserved`: the writable memory that it may ask for, if that may be more than it may have at a time.
    `gives_back`: from so many bytes on, memory that is free goes back to the system.
    """

    seconds: float = 20
    memory: int = 512 * MIB
    reserved: int | None = None
    gives_back: int | None = None
    disk: int = 64 * GIB
    open_files: int = 256
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReadLimits:
    """What a file may be before it is refused, and how much of its head detection looks at."""

    head_bytes: int = MIB
    head_rows: int = 2_000
    preview_bytes: int = 4 * MIB
    record_bytes: int = MIB
    columns: int = 1_000
    archive_entries: int = 2_000
    workbook_bytes: int = 300 * MIB
    unpacked_bytes: int = 300 * MIB
    ratio: int = 200
    sandbox: Sandbox = Sandbox()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{**data, "sandbox": Sandbox(**data["sandbox"])})


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column and how its texts are read. `is_ambiguous`: another mark or order of dates would fit too."""

    name: str
    type: ColumnType = "text"
    decimal: str | None = None
    date_order: DateOrder | None = None
    is_ambiguous: bool = False


@dataclass(frozen=True, kw_only=True)
class Detected:
    """How a file is read. What does not apply to its format is None; `delimiter` None means one column."""

    format: Format
    packing: Packing
    media_type: str
    columns: tuple[Column, ...]
    has_header: bool = True
    encoding: str | None = None
    has_bom: bool = False
    delimiter: str | None = None
    quote: str | None = None
    decimal: str | None = None
    line_end: str | None = None
    sheets: tuple[str, ...] = ()
    sheet: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        columns = tuple(Column(**column) for column in data["columns"])
        return cls(**{**data, "columns": columns, "sheets": tuple(data["sheets"])})

    @property
    def is_utf16(self) -> bool:
        """Such a text shows by its head; what else it may be, only the whole of it can tell."""
        return self.encoding in ("utf-16-le", "utf-16-be")


@dataclass(frozen=True, kw_only=True)
class Preview:
    """Column names and the first rows, as texts; where the file is ragged, a row is longer than `columns`."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    truncated: bool


@dataclass(frozen=True, kw_only=True)
class Count:
    """A value and how often it occurs; long values are cut and end in an ellipsis."""

    value: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Bin:
    """One bar of a histogram: from `low` up to but without `high`; the last one holds its `high` too."""

    low: str
    high: str
    count: int


@dataclass(frozen=True, kw_only=True)
class ColumnProfile:
    """Facts about a whole column; numbers are written with a point, dates in ISO 8601, offsets become UTC."""

    name: str
    type: ColumnType
    empty: int
    distinct: int
    min: str | None = None
    max: str | None = None
    places: int | None = None  # the most decimals of a number; None: not known, or with exponents
    mean: str | None = None
    top: tuple[Count, ...] = ()
    histogram: tuple[Bin, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        top = tuple(Count(**count) for count in data["top"])
        return cls(**{**data, "top": top, "histogram": tuple(Bin(**bar) for bar in data["histogram"])})


@dataclass(frozen=True)
class Regular:
    """What was proven of a delimited UTF-8 file: how wide every record is and how many there are, cut with
    these marks, and whether any cell holds a line end.

    If each line is as we would write it, `signed` are the columns in which a cell begins like a formula.
    """

    width: int
    records: int
    delimiter: str
    quote: str
    has_breaks: bool = False
    signed: Sequence[int] | None = None


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Facts about a whole file. `detected` is the reading that all of it, not only its head, asks for.

    `regular` is the proof that a fast reader cannot misread the file as it is stored, if there is one.
    """

    detected: Detected
    rows: int
    columns: tuple[ColumnProfile, ...]
    regular: Regular | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        columns = tuple(ColumnProfile.from_json(column) for column in data["columns"])
        regular = data.get("regular")  # what was kept by an earlier version has none
        return cls(
            detected=Detected.from_json(data["detected"]),
            rows=data["rows"],
            columns=columns,
            regular=Regular(**regular) if regular else None,
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

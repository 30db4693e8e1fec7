"""How a column is written, judged by the rows that can be read: dirty ones must not hide it."""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from src.engine.reading.columns import guess_columns, names_of
from src.engine.reading.formats import EmptyFile
from src.engine.reading.kinds import BLANKS, KINDS, Kind
from src.engine.reading.preview import preview
from src.engine.values import DateOrder, Detected, ReadLimits, Turn

ROWS = 500
DEFAULT_LIMITS = ReadLimits()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The order of days and months, the decimal mark, and whether another one would fit as well."""

    date_order: DateOrder = "ymd"
    decimal: str = "."
    is_ambiguous: bool = False


def overridden(
    path: Path,
    detected: Detected,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
    limits: ReadLimits = DEFAULT_LIMITS,
    in_turn: Turn = nullcontext,
) -> Detected:
    """The file read in another way than was detected."""
    if detected.format == "xlsx" and sheet:
        look = preview(path, detected, ROWS, sheet=sheet, limits=limits, in_turn=in_turn)
        if not look.columns:
            raise EmptyFile(f"The sheet «{sheet}» is empty. The file has: {', '.join(detected.sheets)}.")
        columns, _ = guess_columns(look.columns, look.rows)
        return replace(detected, sheet=sheet, columns=columns)
    if detected.format in ("xlsx", "parquet", "jsonl") or not (encoding or delimiter):
        return detected
    other = replace(
        detected, encoding=encoding or detected.encoding, delimiter=delimiter or detected.delimiter
    )
    raw = preview(path, replace(other, columns=(), has_header=False), ROWS, limits=limits).rows
    if not raw:
        raise EmptyFile("The file has no rows.")
    titles = raw[0] if detected.has_header else ()
    names = names_of(len(raw[0]), titles)
    columns, decimal = guess_columns(names, raw[len(titles) > 0 :], other.delimiter)
    return replace(other, columns=columns, decimal=decimal)


def read_dates(values: Iterable[str]) -> Reading:
    """The order that most of the values can be read in; those that begin with their year fit any."""
    days, months = (_hits(values, "date_order", order) for order in ("dmy", "mdy"))
    if not days and not months:
        return Reading(date_order="ymd")
    return Reading(date_order="dmy" if days >= months else "mdy", is_ambiguous=days == months)


def read_numbers(values: Iterable[str], decimal: str) -> Reading:
    """The decimal mark that most of the values can be read with; `decimal` where both would do."""
    hits = {mark: _hits(values, "decimal", mark) for mark in (".", ",")}
    if hits["."] == hits[","]:
        return Reading(decimal=decimal, is_ambiguous=_tells_marks(values))
    return Reading(decimal=max(hits, key=lambda mark: hits[mark]))


def _hits(values: Iterable[str], attribute: str, wanted: str) -> int:
    kinds = [kind for kind in KINDS if getattr(kind, attribute) == wanted]
    return sum(_fits_any(kinds, value.strip(BLANKS)) for value in values)


def _fits_any(kinds: Sequence[Kind], value: str) -> bool:
    return bool(value) and any(kind.fits(value) for kind in kinds)


def _tells_marks(values: Iterable[str]) -> bool:
    """Whether a mark stands in some value at all: whole numbers are read alike either way."""
    return any("." in value or "," in value for value in values)

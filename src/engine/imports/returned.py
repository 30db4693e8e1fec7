"""The table of rejects as it comes back: whatever a spreadsheet made of it, its columns are found again."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from src.domain.errors import Invalid
from src.engine.export import as_meant
from src.engine.imports.rejects import CODE_COLUMN, LINE_COLUMN, REST_COLUMN
from src.engine.reading.columns import guess_columns, names_of
from src.engine.reading.preview import preview
from src.engine.values import Detected, ReadLimits, Turn

DELIMITERS = (",", ";", "\t", "|")


class NotTheRejects(Invalid):
    slug = "not-the-rejects"
    title = "This is not the table of rejects"


class BadCorrections(Invalid):
    slug = "bad-corrections"
    title = "The table of rejects cannot be understood"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the columns of the table are: those of the first file, in its order, and what was added."""

    cells: tuple[int | None, ...]
    line: int
    code: int | None
    rest: int | None


def read_as_table(
    path: Path,
    detected: Detected,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
    limits: ReadLimits,
    in_turn: Turn = nullcontext,
) -> Detected:
    """How the table is read: its first row is its header, and the delimiter is the one that shows it."""
    first = replace(
        detected,
        encoding=encoding or detected.encoding,
        sheet=sheet or detected.sheet,
        has_header=detected.format in ("jsonl", "parquet"),
        columns=detected.columns if detected.format in ("jsonl", "parquet") else (),
    )
    for one in _readings(first, delimiter):
        names = _names(path, one, limits, in_turn)
        if LINE_COLUMN in names:
            return replace(one, has_header=True, columns=guess_columns(names, [])[0])
    raise NotTheRejects(
        f"It has no column {LINE_COLUMN}. Send the table of the import's rejects, mended, with its header."
    )


def places_of(names: Sequence[str], headers: Sequence[str]) -> Places:
    """Find each header, of equal ones each in its turn; what was added stands behind."""
    free = list(enumerate(names))
    added = {name: _take(free, name, is_last=True) for name in (LINE_COLUMN, CODE_COLUMN, REST_COLUMN)}
    line = added[LINE_COLUMN]
    if line is None:
        raise NotTheRejects(f"It has no column {LINE_COLUMN}.")
    cells = tuple(_take(free, header) for header in headers)
    return Places(cells=cells, line=line, code=added[CODE_COLUMN], rest=added[REST_COLUMN])


def _readings(first: Detected, delimiter: str | None) -> Iterator[Detected]:
    if first.format in ("xlsx", "jsonl", "parquet"):
        yield first
        return
    for one in [delimiter] if delimiter else dict.fromkeys((first.delimiter, *DELIMITERS)):
        yield replace(first, delimiter=one, quote='"')


def _names(path: Path, detected: Detected, limits: ReadLimits, in_turn: Turn) -> list[str]:
    if detected.columns:
        return [column.name for column in detected.columns]
    rows = preview(path, detected, 1, limits=limits, in_turn=in_turn).rows
    return [as_meant(name) for name in names_of(len(rows[0]), rows[0])] if rows else []


def _take(free: list[tuple[int, str]], name: str, *, is_last: bool = False) -> int | None:
    found = [entry for entry in free if entry[1] == name]
    if not found:
        return None
    entry = found[-1 if is_last else 0]
    free.remove(entry)
    return entry[0]

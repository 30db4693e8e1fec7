"""The table of rejects as it comes back: whatever a spreadsheet made of it, its columns are found again."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from src.domain.errors import Invalid
from src.domain.mapping import normalised
from src.engine.export import as_meant
from src.engine.imports.rejects import ADDED_COLUMNS, CODE_COLUMN, LINE_COLUMN, REST_COLUMN
from src.engine.reading.columns import guess_columns, names_of
from src.engine.reading.preview import preview
from src.engine.values import Detected, ReadLimits, Turn

DELIMITERS = (",", ";", "\t", "|")
OWN = "_"  # how the names of columns begin that are none of the first file
MOST_TOLD, LONGEST_TOLD = 10, 100


class NotTheRejects(Invalid):
    slug = "not-the-rejects"
    title = "This is not the table of rejects"


class BadCorrections(Invalid):
    slug = "bad-corrections"
    title = "The table of rejects cannot be understood"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the columns of the table are: those of the first file, in its order, and what was added.

    Those `unnamed` have no header; spreadsheets leave such columns behind, and nothing may stand in them.
    """

    cells: tuple[int | None, ...]
    line: int
    code: int | None
    rest: int | None
    unnamed: tuple[int, ...]


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
        if has_lines(names):
            return replace(one, has_header=True, columns=guess_columns(names, [])[0])
    raise NotTheRejects(
        f"It has no column {LINE_COLUMN}. Send the table of the import's rejects, mended, with its header."
    )


def has_lines(names: Iterable[str]) -> bool:
    """Whether this is the header of a table of rejects."""
    return any(_is_added(name, LINE_COLUMN) for name in names)


def places_of(names: Sequence[str], headers: Sequence[str]) -> Places:
    """Find each header, of equal ones each in its turn, else the only one that is alike.

    What was added stands behind. A column that means none is refused: its values may be the mended ones.
    """
    free = list(enumerate(names))
    added = {name: _take_added(free, name) for name in (LINE_COLUMN, CODE_COLUMN, REST_COLUMN)}
    line = added[LINE_COLUMN]
    if line is None:
        raise NotTheRejects(f"It has no column {LINE_COLUMN}.")
    cells = [_take(free, header) for header in headers]
    _take_alike(free, headers, cells)
    unnamed = tuple(place for place, name in free if name == f"column_{place + 1}")
    strange = [name for place, name in free if place not in unnamed and not name.startswith(OWN)]
    if strange:
        lacking = [header for header, at in zip(headers, cells, strict=True) if at is None]
        raise _not_found(strange, headers, lacking)
    return Places(
        cells=tuple(cells), line=line, code=added[CODE_COLUMN], rest=added[REST_COLUMN], unnamed=unnamed
    )


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


def _take(free: list[tuple[int, str]], name: str) -> int | None:
    return _first([entry for entry in free if entry[1] == name], free)


def _take_added(free: list[tuple[int, str]], name: str) -> int | None:
    return _first([entry for entry in reversed(free) if _is_added(entry[1], name)], free)


def _first(found: list[tuple[int, str]], free: list[tuple[int, str]]) -> int | None:
    if not found:
        return None
    free.remove(found[0])
    return found[0][0]


def _is_added(name: str, added: str) -> bool:
    return name.strip().casefold() == added


def _take_alike(free: list[tuple[int, str]], headers: Sequence[str], cells: list[int | None]) -> None:
    """For headers that were not found, what is written like them; where two are alike, nothing is guessed."""
    lacking = {place: _key(headers[place]) for place, at in enumerate(cells) if at is None}
    wanted = Counter(lacking.values())
    like: dict[tuple[bool, str], list[tuple[int, str]]] = defaultdict(list)
    for entry in free:
        if entry[1] not in ADDED_COLUMNS:
            like[_key(entry[1])].append(entry)
    for place, key in lacking.items():
        if key[1] and wanted[key] == len(like[key]) == 1:
            cells[place] = _first(like[key], free)


def _key(name: str) -> tuple[bool, str]:
    return name.startswith(OWN), normalised(name)


def _not_found(strange: Sequence[str], headers: Sequence[str], lacking: Sequence[str]) -> BadCorrections:
    twice = [name for name in strange if name in headers]
    if twice:
        return BadCorrections(f"It has the column {_told(twice)} more often than the file that was imported.")
    hint = f"It lacks {_told(lacking)}. " if lacking else ""
    return BadCorrections(
        f"The file that was imported has no column {_told(strange)}. {hint}Name each column as it was; one "
        f"of your own may stay if its name begins with {OWN}, and is passed over."
    )


def _told(names: Sequence[str]) -> str:
    return ", ".join(f"«{name[:LONGEST_TOLD]}»" for name in names[:MOST_TOLD])

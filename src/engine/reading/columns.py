"""The names and guessed types of columns, from rows of texts."""

from collections.abc import Iterable, Sequence

from src.engine.reading.kinds import BLANKS, column, decimal_mark, fitting
from src.engine.values import BrokenFile, Column


def names_of(width: int, header: Sequence[str] = ()) -> list[str]:
    """The names in a header; a column without one is called by its number."""
    given = [name.strip(BLANKS) for name in header[:width]]
    return [name or f"column_{place}" for place, name in enumerate(given + [""] * (width - len(given)), 1)]


def guess_columns(
    names: Sequence[str], rows: Sequence[Sequence[str]], delimiter: str | None = None
) -> tuple[tuple[Column, ...], str]:
    """Each column read the way that fits all its values, and the decimal mark of the file."""
    if any("\0" in name for name in names):
        raise BrokenFile("The name of a column holds a NUL character, which no text has. Export it again.")
    kinds = [fitting(_cells(rows, place)) for place in range(len(names))]
    decimal = decimal_mark(kinds, delimiter)
    return tuple(column(name, fits, decimal) for name, fits in zip(names, kinds, strict=True)), decimal


def _cells(rows: Iterable[Sequence[str]], place: int) -> Iterable[str]:
    return (row[place] for row in rows if place < len(row))

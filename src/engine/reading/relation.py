"""A table as columns of texts on disk: Parquet files that SQL selects from, column by column, as c0, c1, …"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from src.engine.duck import quoted

COLUMNS_PER_FILE = 100  # every query reads a file's footer, which grows with its columns


@dataclass(frozen=True)
class Relation:
    """The files with the columns, what they are called in the table, and how many rows there are."""

    files: Sequence[str]
    names: Sequence[str]
    rows: int

    def source(self, place: int) -> str:
        """What SQL selects the column at `place` from."""
        return f"read_parquet({quoted(self.files[place // COLUMNS_PER_FILE])})"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**data)


def column_files(folder: Path, width: int) -> list[Path]:
    """Where the columns of a table of this width go."""
    return [folder / f"columns{first}.parquet" for first in range(0, width, COLUMNS_PER_FILE)]


def column_names(width: int, file: int) -> list[str]:
    """What the columns in one of the files are called there."""
    return [f"c{place}" for place in range(width)[file * COLUMNS_PER_FILE : (file + 1) * COLUMNS_PER_FILE]]

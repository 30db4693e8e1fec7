"""The sources of a query as views, whose rows have numbers: the order of the file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from src.engine.duck import quoted
from src.engine.reading.relation import COLUMNS_PER_FILE, Relation, column_names
from src.engine.reading.tables import read_table
from src.engine.values import OnProgress, Sandbox

BUFFERED_TIMES = 16  # the longest record: in smaller buffers, threads look more often for where rows begin


@dataclass(frozen=True)
class Source:
    """What a view is made of: converted columns, a regular file as it is, or what a cluster found.

    `signed` is part of a regular file's proof: if there is one, each of its lines is as we would write it.
    """

    rows: int
    relation: Relation | None = None
    text: Mapping[str, Any] | None = None
    found: Mapping[str, Any] | None = None
    signed: Sequence[int] | None = None

    @classmethod
    def from_json(
        cls, data: Mapping[str, Any], folder: Path, sandbox: Sandbox, on_progress: OnProgress
    ) -> Self:
        """As it was sent; a `file` is converted now."""
        if "text" in data:
            return cls(data["rows"], text=data["text"], signed=data["signed"])
        if "found" in data:
            return cls(0, found=data["found"])
        if "file" in data:
            data = read_table(data["file"], folder, sandbox, on_progress)
        relation = Relation.from_json(data["relation"])
        return cls(relation.rows, relation=relation)

    @property
    def files(self) -> list[Path]:
        if self.found:
            return [Path(file) for file in self.found["files"]]
        if self.relation:
            return [Path(file) for file in self.relation.files]
        return [Path((self.text or {})["path"])]

    def view(self) -> str:
        """The rows with their numbers, which are the order of the file."""
        if self.found:
            return _found(**self.found)
        if self.relation:
            return _columns(self.relation)
        return _text(**(self.text or {}))


def _text(
    path: str,
    width: int,
    delimiter: str,
    quote: str,
    *,
    has_header: bool,
    has_breaks: bool,
    longest: int,
    first: int = 0,
) -> str:
    """A regular file, told how it is written; from several places at once only if no cell holds a line end.

    `first` is the number of its first row.
    The kind of line ends is not told: with `new_line` set, DuckDB 2.0 finds no rows at all.
    """
    names = [f"c{place}" for place in range(width)]
    columns = ", ".join(f"{name}: 'VARCHAR'" for name in names)
    return (
        f"select row_number() over () + {first - 1} as row, {', '.join(names)} from read_csv({quoted(path)}, "
        f"auto_detect = false, header = {has_header}, columns = {{{columns}}}, delim = {quoted(delimiter)}, "
        f"quote = {quoted(quote)}, escape = {quoted(quote)}, allow_quoted_nulls = false, strict_mode = true, "
        f"null_padding = false, parallel = {not has_breaks}, max_line_size = {longest}, "
        f"buffer_size = {BUFFERED_TIMES * longest})"
    )


def _columns(relation: Relation) -> str:
    """Columns that were converted; where they are in several files, row by row beside each other."""
    width, first = len(relation.names), relation.files[0]
    if width <= COLUMNS_PER_FILE:
        names = ", ".join(column_names(width, 0))
        source = f"read_parquet({quoted(first)}, file_row_number = true)"
        return f"select file_row_number as row, {names} from {source}"
    files = " positional join ".join(f"read_parquet({quoted(file)})" for file in relation.files)
    names = ", ".join(f"c{place}" for place in range(width))
    return f"select row_number() over () - 1 as row, {names} from {files}"


def _found(files: list[str], columns: list[str], times: list[str]) -> str:
    """Typed columns in several files, one after the other. Their times are in UTC, and say so; ours don't."""
    selected = [f"cast({name} as timestamp) as {name}" if name in times else name for name in columns]
    paths = ", ".join(map(quoted, files))
    return f"select row_number() over () - 1 as row, {', '.join(selected)} from read_parquet([{paths}])"

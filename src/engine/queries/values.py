"""What a query is given, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from src.engine.queries.rows import Rows
from src.engine.queries.statements import OutputFormat
from src.engine.values import Detected, Regular


@dataclass(frozen=True)
class TableFile:
    """A file that a query reads, as its profile knows it: its reading, and the proof that it is regular."""

    path: Path
    detected: Detected
    regular: Regular | None = None


@dataclass(frozen=True)
class Query:
    """What to do: `rows` come of the sources, which are called as they were when they were scanned."""

    rows: Rows
    sources: Mapping[str, TableFile]
    format: OutputFormat = "csv"


@dataclass(frozen=True)
class Question:
    """A query, and the file that its rows go to. `must_be_empty`: if it finds any, the rest is not asked."""

    query: Query
    target: Path
    must_be_empty: bool = False


class EngineName(TypedDict):
    name: str
    version: str


@dataclass(frozen=True)
class Ran:
    """What came of it: how many rows each source has, how many were written, and which engine found them."""

    rows_in: dict[str, int]
    rows_out: int
    engine: EngineName

"""A query as it crosses into the engine's process: SQL that we wrote, and what to make of what it selects."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

OutputFormat = Literal["csv", "xlsx", "jsonl", "parquet"]


@dataclass(frozen=True)
class Statements:
    """A query for DuckDB. The sets of row numbers come first, each with its source if it is of its numbers.

    `headers` are the names of what is selected; where one `is_number`, a workbook has numbers.
    """

    sets: list[tuple[str, str, str | None]]
    select: str
    headers: list[str]
    are_numbers: list[bool]
    is_joined: bool
    format: OutputFormat

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**data)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

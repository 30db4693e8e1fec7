"""What a report is made of, and what comes of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.domain.errors import Conflict, Invalid
from src.domain.formulas.types import DECIMAL, Type, number, type_named
from src.engine.queries.values import TableFile
from src.engine.values import Column, Profile

MOST_WHOLE, MOST_PLACES = 18, 10


class DuplicateKey(Conflict):
    slug = "duplicate-key"
    title = "A key is in the reference more than once"


class UnmatchedKeys(Conflict):
    slug = "unmatched-keys"
    title = "Some keys are not in the reference"


class UnknownColumns(Invalid):
    slug = "unknown-columns"
    title = "The rules name columns that the files do not have"


@dataclass(frozen=True)
class Table:
    """A file of the report, as its profile knows it."""

    file: TableFile
    profile: Profile

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.profile.detected.columns

    def exact_types(self) -> dict[str, Type]:
        """Types by what stands in the whole column: numbers with the digits that they need."""
        found = {}
        for column, facts in zip(self.columns, self.profile.columns, strict=True):
            known = type_named(column.type)
            if column.type == "decimal":
                known = DECIMAL
            if (
                column.type in ("integer", "decimal")
                and facts.places is not None
                and facts.places <= MOST_PLACES
            ):
                known = number(_whole(facts.min, facts.max), facts.places)
            if known is not None:
                found[column.name] = known
        return found

    def proven(self) -> frozenset[str]:
        """The columns whose every cell is known to be what the type says."""
        return frozenset(
            column.name
            for column, facts in zip(self.columns, self.profile.columns, strict=True)
            if column.type not in ("integer", "decimal")
            or (facts.places is not None and facts.places <= MOST_PLACES)
        )


@dataclass(frozen=True)
class Made:
    """The files of a report, and its figures."""

    report: Path
    figures: dict[str, Any]
    unmatched: Path | None = None
    uncomputable: Path | None = None
    columns: list[dict[str, Any]] = field(default_factory=list)


def _whole(low: str | None, high: str | None) -> int:
    """The digits before the point of the widest of the two."""
    digits = [len(bound.lstrip("-").partition(".")[0].lstrip("0")) for bound in (low, high) if bound]
    return min(MOST_WHOLE, max([1, *digits]))

"""What came of loading a file: its counts, what was wrong, and where the time went."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from src.domain.errors import DomainError, Unavailable
from src.domain.imports import TooManyErrors
from src.engine.imports.loading import Loaded, LoadPlan, collect_rows, staging_types
from src.models import Import
from src.repositories.staging import Staging
from src.repositories.targets import Target
from src.services.sources import Source


class NamesGone(Unavailable):
    slug = "names-gone"
    title = "Something that the rows point to was deleted meanwhile"


@dataclass(kw_only=True)
class Counts:
    """What became of the rows; every row is in one of the last five."""

    rows_read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicate: int = 0
    rejected: int = 0

    @property
    def refused(self) -> int:
        """Rows that were not loaded."""
        return self.duplicate + self.rejected

    def check(self) -> None:
        parts = self.inserted + self.updated + self.unchanged + self.duplicate + self.rejected
        if parts != self.rows_read:
            raise RuntimeError(f"{self.rows_read} rows were read, and {parts} are accounted for: {self}")


@dataclass(kw_only=True)
class Loading:
    """What came of it: the counts, why it failed if it did, and where its time went."""

    loaded: Loaded
    counts: Counts = field(default_factory=Counts)
    error: DomainError | None = None
    summary: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def note_summary(self, found: Iterable[tuple[str, str, int]]) -> None:
        """What is wrong beyond what was said: how many rows by header and code."""
        for column, code, count in found:
            codes = self.summary.setdefault(column, {})
            codes[code] = codes.get(code, 0) + count

    @property
    def report(self) -> dict[str, Any]:
        total = sum(self.seconds.values())
        return {
            "summary": self.summary,
            "encoding": self.loaded.encoding,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "rows_per_second": round(self.counts.rows_read / total) if total else None,
        }


@dataclass(kw_only=True)
class Staged(Loading):
    """Rows in the staging table, and what it was found to be wrong with them."""

    staging: Staging
    compared: Path  # where the faults go that the database finds

    def note_faults(self, imported: Import) -> None:
        """Count and write down what is known to be wrong, and give up if that is too much."""
        self.summary = self.loaded.own_summary
        self.note_summary(self.staging.faults())
        counts = self.counts
        counts.rows_read = self.loaded.rows_read
        counts.duplicate, others = self.staging.faulty_rows()
        counts.rejected = self.loaded.rows_rejected + others
        self.staging.write_faults(self.compared)
        self.error = over_budget(imported, counts)


def over_budget(imported: Import, counts: Counts) -> TooManyErrors | None:
    """Whether more rows are wrong than the sender allows."""
    if imported.on_error == "reject_file" and counts.rejected:
        return TooManyErrors(f"{_wrong(counts)}, and the file was to be loaded whole.")
    if imported.max_errors is not None and counts.rejected > imported.max_errors:
        return TooManyErrors(f"{_wrong(counts)}; at most {imported.max_errors:,} may be.")
    rate = imported.max_error_rate
    if rate is not None and counts.rejected > rate * counts.rows_read:
        return TooManyErrors(f"{_wrong(counts)} out of {counts.rows_read:,}; at most {rate:%} may be.")
    return None


def _wrong(counts: Counts) -> str:
    return "1 row is wrong" if counts.rejected == 1 else f"{counts.rejected:,} rows are wrong"


def staging_of(session: Session, target: Target, imported: Import, plan: LoadPlan) -> Staging:
    """Room for the rows that are read by this plan."""
    types = dict(zip((column.field.name for column in plan.columns), staging_types(plan), strict=True))
    return Staging(session, target, types=types, headers=imported.mapping)


def collect_rejects(plan: LoadPlan, encoding: str | None, source: Source, *faults: Path) -> Path:
    """The rows that are not loaded, whole, with the reasons."""
    target = source.folder / "rejects.parquet"
    collect_rows(
        source.path,
        plan.detected,
        faults,
        target,
        encoding=encoding,
        marks=plan.marks,
        work_dir=source.folder,
        should_stop=source.should_stop,
        limits=source.limits,
    )
    return target


class Timed:
    """Adds the seconds spent inside to the loading's account."""

    def __init__(self, loading: Loading, part: str) -> None:
        self._loading, self._part = loading, part

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._loading.seconds[self._part] = time.monotonic() - self._began

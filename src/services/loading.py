"""One file into its dataset's table, in one transaction: staged, checked, written, and proven to add up."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from sqlalchemy.orm import Session

from src.database import Database
from src.domain.datasets import DATASETS, Mode
from src.domain.errors import DomainError, Unavailable
from src.domain.imports import AmbiguousDates, AmbiguousNumbers, TooManyErrors
from src.engine.evidence import Reading
from src.engine.loading import Loaded, LoadPlan, MappedColumn, load, settle, staging_types
from src.engine.rejects import write_faults
from src.engine.values import Detected, OnProgress, ReadLimits, ShouldStop
from src.models import Import
from src.repositories.landing import Landing
from src.repositories.staging import Staging, make_names
from src.repositories.targets import TARGETS
from src.services.imports import rows_belong_to

DUPLICATES = ("duplicate", "already_there")


class _GivenUp(Exception):
    """What was written is not to be kept."""


class NamesGone(Unavailable):
    slug = "names-gone"
    title = "Something that the rows point to was deleted meanwhile"


@dataclass(frozen=True, kw_only=True)
class Source:
    """The file on this machine, how much of it may come out, room for what is made of it, and who watches."""

    path: Path
    limits: ReadLimits
    folder: Path
    on_progress: OnProgress
    should_stop: ShouldStop

    @property
    def faults(self) -> Path:
        """What the reading of the file found."""
        return self.folder / "faults.parquet"

    @property
    def found(self) -> Path:
        """What the database found."""
        return self.folder / "found.parquet"


@dataclass(kw_only=True)
class Counts:
    """What became of the rows; every row is in one of the last five."""

    rows_read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicate: int = 0
    rejected: int = 0

    def check(self) -> None:
        parts = self.inserted + self.updated + self.unchanged + self.duplicate + self.rejected
        if parts != self.rows_read:
            raise RuntimeError(f"{self.rows_read} rows were read, and {parts} are accounted for: {self}")


@dataclass(kw_only=True)
class Loading:
    """What came of it: the counts, why it failed if it did, and where its time went."""

    counts: Counts = field(default_factory=Counts)
    error: DomainError | None = None
    summary: dict[str, dict[str, int]] = field(default_factory=dict)
    encoding: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def report(self) -> dict[str, Any]:
        total = sum(self.seconds.values())
        return {
            "summary": self.summary,
            "encoding": self.encoding,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "rows_per_second": round(self.counts.rows_read / total) if total else None,
        }


def plan_of(imported: Import, source: Source, time_zone: str) -> LoadPlan:
    """How the file is read; what its head leaves open, the whole file decides, or nobody does."""
    dataset, detected = DATASETS[imported.dataset], Detected.from_json(imported.detected)
    headers = [column.name for column in detected.columns]
    readings = {name: Reading(**reading) for name, reading in imported.report["readings"].items()}
    columns = tuple(
        MappedColumn(
            position=headers.index(header),
            field=dataset.field(name),
            decimal=readings[name].decimal if name in readings else ".",
            date_order=readings[name].date_order if name in readings else "ymd",
        )
        for name, header in imported.mapping.items()
    )
    plan = LoadPlan(
        detected=detected,
        columns=columns,
        rules=tuple(rule for rule in dataset.rules if {rule.field, rule.choice} <= set(imported.mapping)),
        time_zone=dataset.time_zone or time_zone,
        is_encoding_given="encoding" in imported.options,
    )
    open_questions = [name for name, reading in readings.items() if _is_open(reading, imported.options)]
    return _settled(plan, open_questions, source) if open_questions else plan


def _is_open(reading: Reading, options: Mapping[str, str]) -> bool:
    """Whether the whole file has to be asked: its head may mislead about the order of days and months."""
    has_order = reading.date_order != "ymd" and "date_order" not in options
    return reading.is_ambiguous or has_order


def _settled(plan: LoadPlan, names: list[str], source: Source) -> LoadPlan:
    """The plan with these fields read as the whole file says; an error where it says nothing."""
    settled = settle(
        source.path,
        plan,
        names=names,
        work_dir=source.folder,
        on_progress=source.on_progress,
        should_stop=source.should_stop,
        limits=source.limits,
    )
    for column in settled.ambiguous:
        if column.field in names:
            kind = AmbiguousNumbers if column.kind == "numbers" else AmbiguousDates
            option = "decimal" if column.kind == "numbers" else "date_order"
            readings = ", or ".join(f"{value} with {option}={how}" for how, value in column.readings.items())
            raise kind(
                f"In «{column.column}», {column.value} may be {readings}. Say which with the options.",
                column=column.column,
                readings=list(column.readings),
            )
    pairs = zip(plan.columns, settled.plan.columns, strict=True)
    columns = tuple(found if found.field.name in names else column for column, found in pairs)
    return replace(plan, columns=columns)


class LoadingService:
    def __init__(self, session: Session, database: Database) -> None:
        self.session = session
        self.database = database  # names that rows point to are committed ahead, so that nobody waits

    def load(self, imported: Import, plan: LoadPlan, source: Source) -> Loading:
        """Load, or with a dry run do the same and keep nothing. A failure keeps nothing either."""
        dataset = DATASETS[imported.dataset]
        loading = Loading()
        types = dict(zip((column.field.name for column in plan.columns), staging_types(plan), strict=True))
        staging = Staging(self.session, TARGETS[dataset.name], types=types, headers=imported.mapping)
        with _Timed(loading, "read"), staging.receive() as write:
            loaded = self._read(plan, source, write)
        loading.encoding, loading.summary = loaded.encoding, loaded.summary
        counts = loading.counts
        counts.rows_read, counts.rejected = loaded.rows_read, loaded.rows_rejected
        if staging.count() != loaded.rows_good:
            raise RuntimeError(f"{loaded.rows_good} good rows were sent, {staging.count()} came")
        with _Timed(loading, "check"):
            self._check(staging, cast("Mode", imported.mode))
        self._count_faults(loading, staging, loaded)
        loading.error = over_budget(imported, counts)
        if loading.error is None:
            with _Timed(loading, "write"):
                self._write(imported, staging, loading, loaded, source)
            if loading.error is None:
                counts.check()
        else:
            write_faults(source.found, staging.fault_rows())
        return loading

    def _read(self, plan: LoadPlan, source: Source, write: Callable[[bytes], None]) -> Loaded:
        return load(
            source.path,
            plan,
            work_dir=source.folder,
            faults=source.faults,
            on_block=write,
            on_progress=source.on_progress,
            should_stop=source.should_stop,
            limits=source.limits,
        )

    def _check(self, staging: Staging, mode: Mode) -> None:
        staging.reject_unknown()
        staging.reject_repeated()
        if mode == "insert":
            staging.reject_present()
        staging.reject_taken(mode)

    def _write(
        self, imported: Import, staging: Staging, loading: Loading, loaded: Loaded, source: Source
    ) -> None:
        """In a savepoint, which a dry run gives up."""
        counts, belongs_to = loading.counts, rows_belong_to(imported)
        with suppress(_GivenUp), self.session.begin_nested():
            self._make_names(imported, staging)
            if not staging.lock_references():
                raise NamesGone("The import is tried again.")
            landing = Landing(self.session, staging, belongs_to)
            if imported.mode == "upsert":
                counts.updated, counts.unchanged = landing.update()
            counts.inserted = landing.insert()
            self._count_faults(loading, staging, loaded)
            write_faults(source.found, staging.fault_rows())
            loading.error = over_budget(imported, counts)  # the database may have refused some more
            if loading.error:
                counts.inserted = counts.updated = counts.unchanged = 0
            if imported.is_dry_run or loading.error:
                raise _GivenUp

    def _make_names(self, imported: Import, staging: Staging) -> None:
        for reference, names in staging.missing_names().items():
            if imported.is_dry_run:
                make_names(self.session, reference, names, imported.id)
            else:
                with self.database.unit_of_work() as ahead:
                    make_names(ahead, reference, names, rows_belong_to(imported))

    def _count_faults(self, loading: Loading, staging: Staging, loaded: Loaded) -> None:
        loading.summary = {column: dict(codes) for column, codes in loaded.summary.items()}
        found = staging.faults()
        for column, code, count in found:
            loading.summary.setdefault(column, {})[code] = count
        loading.counts.duplicate = sum(count for _, code, count in found if code in DUPLICATES)
        others = sum(count for _, code, count in found if code not in DUPLICATES)
        loading.counts.rejected = loaded.rows_rejected + others


def over_budget(imported: Import, counts: Counts) -> TooManyErrors | None:
    """Whether more rows are wrong than the sender allows."""
    if imported.on_error == "reject_file" and counts.rejected:
        return TooManyErrors(f"{counts.rejected:,} rows are wrong, and the file was to be loaded whole.")
    if imported.max_errors is not None and counts.rejected > imported.max_errors:
        return TooManyErrors(f"{counts.rejected:,} rows are wrong; at most {imported.max_errors:,} may be.")
    rate = imported.max_error_rate
    if rate is not None and counts.rejected > rate * counts.rows_read:
        return TooManyErrors(
            f"{counts.rejected:,} of {counts.rows_read:,} rows are wrong; at most {rate:%} may be."
        )
    return None


class _Timed:
    """Adds the seconds spent inside to the loading's account."""

    def __init__(self, loading: Loading, part: str) -> None:
        self._loading, self._part = loading, part

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._loading.seconds[self._part] = time.monotonic() - self._began

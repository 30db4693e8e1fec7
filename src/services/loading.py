"""One file into its dataset's table, in one transaction: staged, checked, written, and proven to add up."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from sqlalchemy.orm import Session

from src.database import Database
from src.domain.datasets import DATASETS, Mode
from src.domain.errors import DomainError, Unavailable
from src.domain.imports import AmbiguousDates, AmbiguousNumbers, TooManyErrors
from src.engine.imports.evidence import Reading
from src.engine.imports.loading import Loaded, LoadPlan, MappedColumn, load, settle, staging_types
from src.engine.imports.rejects import write_faults
from src.engine.values import Detected
from src.models import Import
from src.repositories import bulk
from src.repositories.made_names import make_names
from src.repositories.staging import Staging
from src.repositories.targets import TARGETS
from src.services.landing import land_rows
from src.services.sources import Source

USUAL = Reading()


class _GivenUp(Exception):
    """What was written is not to be kept."""


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

    staging: Staging
    loaded: Loaded
    found: Path  # where the faults go that the database found
    counts: Counts = field(default_factory=Counts)
    error: DomainError | None = None
    summary: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def note_faults(self, imported: Import) -> None:
        """Count and write down what is known to be wrong, and give up if that is too much."""
        self.summary = {column: dict(codes) for column, codes in self.loaded.summary.items()}
        found = self.staging.faults()
        for column, code, count in found:
            self.summary.setdefault(column, {})[code] = count
        counts = self.counts
        counts.rows_read = self.loaded.rows_read
        counts.duplicate, others = self.staging.faulty_rows()
        counts.rejected = self.loaded.rows_rejected + others
        write_faults(self.found, self.staging.fault_rows())
        self.error = over_budget(imported, counts)

    @property
    def report(self) -> dict[str, Any]:
        total = sum(self.seconds.values())
        return {
            "summary": self.summary,
            "encoding": self.loaded.encoding,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "rows_per_second": round(self.counts.rows_read / total) if total else None,
        }


def plan_of(imported: Import, source: Source, time_zone: str) -> LoadPlan:
    """How the file is read; what its head leaves open, the whole file decides, or nobody does."""
    readings = readings_of(imported)
    plan = plan_for(imported, Detected.from_json(imported.detected), readings, time_zone)
    open_questions = [name for name, reading in readings.items() if _is_open(reading, imported.options)]
    return _settled(plan, open_questions, source) if open_questions else plan


def plan_for(
    imported: Import, detected: Detected, readings: Mapping[str, Reading], time_zone: str
) -> LoadPlan:
    """The mapping of the import over these columns, read so."""
    dataset = DATASETS[imported.dataset]
    headers = [column.name for column in detected.columns]
    columns = tuple(
        MappedColumn(
            position=headers.index(header),
            field=dataset.field(name),
            decimal=readings.get(name, USUAL).decimal,
            date_order=readings.get(name, USUAL).date_order,
        )
        for name, header in imported.mapping.items()
    )
    return LoadPlan(
        detected=detected,
        columns=columns,
        rules=tuple(rule for rule in dataset.rules if {rule.field, rule.choice} <= set(imported.mapping)),
        compared=dataset.compared,
        time_zone=dataset.time_zone or time_zone,
        is_encoding_given="encoding" in imported.options,
    )


def readings_of(imported: Import) -> dict[str, Reading]:
    """How the import's dates and numbers are written, by field."""
    return {name: Reading(**reading) for name, reading in imported.report["readings"].items()}


def settled_readings(plan: LoadPlan) -> dict[str, dict[str, Any]]:
    """The same, as the loading has settled it: corrections are read in no other way."""
    return {
        column.field.name: asdict(Reading(date_order=column.date_order, decimal=column.decimal))
        for column in plan.columns
        if column.field.type in ("date", "datetime", "decimal")
    }


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

    def stage(self, imported: Import, plan: LoadPlan, source: Source) -> Loading:
        """Read the file and check its rows. The names they need are made, and no record is written yet."""
        is_appended = DATASETS[imported.dataset].is_appended  # then each row is checked in its turn
        types = dict(zip((column.field.name for column in plan.columns), staging_types(plan), strict=True))
        staging = Staging(self.session, TARGETS[imported.dataset], types=types, headers=imported.mapping)
        if imported.is_bulk:
            bulk.take_turns(self.session, staging.target.dataset.table)
        began = time.monotonic()
        with staging.receive() as write:
            loaded = self._read(imported, plan, source, write)
        loading = Loading(staging=staging, loaded=loaded, found=source.found)
        loading.seconds["read"] = time.monotonic() - began
        if staging.count() != loaded.rows_good:
            raise RuntimeError(f"{loaded.rows_good} good rows were sent, {staging.count()} came")
        staging.refused.receive(source.refused)
        with _Timed(loading, "check"):
            if loaded.is_whole and not is_appended:
                staging.check(cast("Mode", imported.mode))
            loading.note_faults(imported)
            if loading.error is None and not is_appended:
                staging.gather_names()
                if not imported.is_dry_run:
                    self._make_names_ahead(imported, staging)
        return loading

    def land(self, imported: Import, loading: Loading, source: Source) -> bool:
        """Write the rows, or with a dry run do the same and keep nothing; a failure keeps nothing either.

        What it locks, others wait for until the end of the job: call it last. Answers whether the database
        refused rows that were thought to be good.
        """
        counts, refused_before = loading.counts, loading.counts.refused
        with _Timed(loading, "write"), suppress(_GivenUp), self.session.begin_nested():
            if imported.is_dry_run:
                for reference, names in loading.staging.missing_names():
                    make_names(self.session, reference, names, imported.id)
            pointed_to = loading.staging.lock_references()
            if pointed_to is None:
                raise NamesGone("The import is tried again.")
            counts.inserted, counts.updated, counts.unchanged = land_rows(
                self.session, imported, loading.staging, source, pointed_to
            )
            loading.note_faults(imported)  # the database may have refused some more
            if loading.error:
                counts.inserted = counts.updated = counts.unchanged = 0
            if imported.is_dry_run or loading.error:
                raise _GivenUp
        if loading.error is None:
            counts.check()
        return counts.refused > refused_before

    def _read(
        self, imported: Import, plan: LoadPlan, source: Source, write: Callable[[bytes], None]
    ) -> Loaded:
        is_appended = DATASETS[imported.dataset].is_appended
        is_written = imported.mode == "insert" and not imported.is_dry_run and not is_appended
        return load(
            source.path,
            plan,
            work_dir=source.folder,
            faults=source.faults,
            on_block=write,
            spool=source.spool if is_written else None,
            refused=source.refused,
            most_rejects=most_rejects(imported),
            on_progress=source.on_progress,
            should_stop=source.should_stop,
            limits=source.limits,
        )

    def _make_names_ahead(self, imported: Import, staging: Staging) -> None:
        for reference, names in staging.missing_names():
            with self.database.unit_of_work() as ahead:
                make_names(ahead, reference, names, imported.id)


def most_rejects(imported: Import) -> int | None:
    """After how many bad rows there is no need to read on; a dry run tells of all of them."""
    if imported.is_dry_run:
        return None
    return 0 if imported.on_error == "reject_file" else imported.max_errors


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

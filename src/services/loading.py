"""One file into its dataset's table, in one transaction: staged, checked, written, and proven to add up."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any, cast

from sqlalchemy.orm import Session

from src.database import Database
from src.domain.datasets import DATASETS, Mode
from src.domain.imports import AmbiguousDates, AmbiguousNumbers
from src.engine.imports.evidence import Reading
from src.engine.imports.loading import Loaded, LoadPlan, MappedColumn, load, settle
from src.engine.values import Detected
from src.models import Import
from src.repositories import bulk
from src.repositories.made_names import make_names
from src.repositories.staging import Staging
from src.repositories.targets import TARGETS
from src.services.landing import land_rows
from src.services.loadings import NamesGone, Staged, Timed, staging_of
from src.services.sources import Source

USUAL = Reading()


class _GivenUp(Exception):
    """What was written is not to be kept."""


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

    def stage(self, imported: Import, plan: LoadPlan, source: Source) -> Staged:
        """Read the file and check its rows. The names they need are made, and no record is written yet."""
        is_appended = DATASETS[imported.dataset].is_appended  # then each row is checked in its turn
        staging = staging_of(self.session, TARGETS[imported.dataset], imported, plan)
        if imported.is_bulk:
            bulk.take_turns(self.session, staging.target.dataset.table)
        began = time.monotonic()
        with staging.receive() as write:
            loaded = self._read(imported, plan, source, write)
        loading = Staged(staging=staging, loaded=loaded, found=source.found)
        loading.seconds["read"] = time.monotonic() - began
        if staging.count() != loaded.rows_good:
            raise RuntimeError(f"{loaded.rows_good} good rows were sent, {staging.count()} came")
        staging.refused.receive(source.refused)
        with Timed(loading, "check"):
            if loaded.is_whole and not is_appended:
                staging.check(cast("Mode", imported.mode))
            loading.note_faults(imported)
            if loading.error is None and not is_appended:
                staging.gather_names()
                if not imported.is_dry_run:
                    self._make_names_ahead(imported, staging)
        return loading

    def land(self, imported: Import, loading: Staged) -> bool:
        """Write the rows, or with a dry run do the same and keep nothing; a failure keeps nothing either.

        What it locks, others wait for until the end of the job: call it last. Answers whether the database
        refused rows that were thought to be good.
        """
        counts, refused_before = loading.counts, loading.counts.refused
        with Timed(loading, "write"), suppress(_GivenUp), self.session.begin_nested():
            if imported.is_dry_run:
                for reference, names in loading.staging.missing_names():
                    make_names(self.session, reference, names, imported.id)
            if not loading.staging.lock_references():
                raise NamesGone("The import is tried again.")
            counts.inserted, counts.updated, counts.unchanged = land_rows(
                self.session, imported, loading.staging
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
        return load(
            source.path,
            plan,
            work_dir=source.folder,
            faults=source.faults,
            on_block=write,
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

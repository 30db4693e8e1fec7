"""How the file of an import is read: its columns as fields, and what only the whole file settles."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from src.domain.datasets import DATASETS
from src.domain.imports import AmbiguousDates, AmbiguousNumbers
from src.engine.imports.evidence import Reading
from src.engine.imports.loading import LoadPlan, MappedColumn, settle
from src.engine.values import Detected
from src.models import Import
from src.services.sources import Source

USUAL = Reading()


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
    today = datetime.now(UTC).date()
    columns = tuple(
        MappedColumn(
            position=headers.index(header),
            field=dataset.field(name).on(today),
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
        is_encoding_given="encoding" in imported.options or detected.is_utf16,
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

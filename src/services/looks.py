"""The look at a file before its import: how it is read, its first rows, what its columns seem to mean."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from src.domain.datasets import Dataset
from src.domain.mapping import Proposal, propose
from src.engine.imports.evidence import ROWS, Reading, overridden, read_dates, read_numbers
from src.engine.reading.preview import preview
from src.engine.values import Detected
from src.integrations.storage import Storage
from src.services.reading import Readers

SAMPLE = 10


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the head of a file shows: how it is read, its first rows, and what its columns seem to mean."""

    detected: Detected
    rows: tuple[tuple[str, ...], ...]
    proposals: list[Proposal]

    @property
    def headers(self) -> list[str]:
        return [column.name for column in self.detected.columns]


def look_at(
    storage: Storage,
    readers: Readers,
    key: str,
    detected: Mapping[str, Any],
    dataset: Dataset,
    options: Mapping[str, str],
) -> Look:
    """Read the head of a stored file, the way the options say."""
    with storage.local_path(key) as path:
        read = overridden(
            Path(path),
            Detected.from_json(detected),
            encoding=options.get("encoding"),
            delimiter=options.get("delimiter"),
            sheet=options.get("sheet"),
            limits=readers.limits,
            in_turn=readers.turn,
        )
        head = preview(Path(path), read, ROWS, limits=readers.limits, in_turn=readers.turn)
    proposals = propose(dataset, [column.name for column in read.columns])
    return Look(detected=read, rows=head.rows, proposals=proposals)


def readings_of(
    dataset: Dataset, detected: Detected, mapping: Mapping[str, str], rows: Any, options: Mapping[str, str]
) -> dict[str, Reading]:
    """How dates and numbers are written, by field: as the options say, else as the rows show."""
    headers = [column.name for column in detected.columns]
    readings = {}
    for name, header in mapping.items():
        kind, place = dataset.field(name).type, headers.index(header)
        values = [row[place] for row in rows]
        if kind in ("date", "datetime"):
            given = options.get("date_order")
            readings[name] = Reading(date_order=given) if given else read_dates(values)  # type: ignore[arg-type]
        elif kind == "decimal":
            given = options.get("decimal")
            readings[name] = (
                Reading(decimal=given) if given else read_numbers(values, detected.decimal or ".")
            )
    return readings


def described(
    dataset: Dataset, look: Look, mapping: Mapping[str, str], options: Mapping[str, str]
) -> dict[str, Any]:
    """What a draft shows of the file and the mapping."""
    names = {field.name for field in dataset.fields}
    known = {name: header for name, header in mapping.items() if header in look.headers and name in names}
    readings = readings_of(dataset, look.detected, known, look.rows, options)
    return {
        "proposals": [asdict(proposal) for proposal in look.proposals],
        "sample": [[_shown(cell) for cell in row] for row in look.rows[:SAMPLE]],
        "readings": {name: asdict(reading) for name, reading in readings.items()},
        "ignored_columns": [header for header in look.headers if header not in mapping.values()],
        "missing_fields": [name for name in dataset.required if name not in mapping],
    }


def _shown(cell: str) -> str:
    """PostgreSQL keeps every character but one, which no honest text has."""
    return cell.replace("\0", "\N{REPLACEMENT CHARACTER}")

"""Loads without a child process, and what came of them: rows as a database would have them, and faults."""

import json
import os
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from src.domain.datasets import Field
from src.engine.imports.collecting import read_originals
from src.engine.imports.intake import read_load
from src.engine.imports.plans import Loaded, LoadPlan, MappedColumn
from src.engine.reading.detect import detect
from src.engine.sandbox import ignore_progress
from src.engine.values import Column, Detected, ReadLimits
from tests.engine.making import SANDBOX

LIMITS = ReadLimits(sandbox=SANDBOX)
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
Fault = tuple[int, str, str]


@dataclass(frozen=True)
class Result:
    """The rows of the COPY stream with their lines, the faults, and the counts."""

    rows: list[tuple[Any, ...]]
    faults: list[dict[str, Any]]
    loaded: Loaded

    @property
    def codes(self) -> list[Fault]:
        return [(fault["line"], fault["column"], fault["code"]) for fault in self.faults]


def reading(names: Sequence[str], **changes: Any) -> Detected:
    """Plain CSV with these columns."""
    plain: dict[str, Any] = {
        "format": "csv",
        "packing": "none",
        "media_type": "text/csv",
        "columns": tuple(Column(name=name) for name in names),
        "encoding": "utf-8",
        "delimiter": ",",
        "quote": '"',
        "decimal": ".",
    }
    return Detected(**{**plain, **changes})


def plan_of(detected: Detected, fields: Sequence[Field], **options: Any) -> LoadPlan:
    """Every field is fed by the column of its name, or by the one at its place."""
    names = [column.name for column in detected.columns]
    ways = {name: options.pop(name) for name in ("decimal", "date_order") if name in options}
    columns = tuple(
        MappedColumn(position=names.index(field.name) if field.name in names else place, field=field, **ways)
        for place, field in enumerate(fields)
    )
    return LoadPlan(detected=detected, columns=columns, **options)


def load_here(
    path: Path, plan: LoadPlan, folder: Path, *, limits: ReadLimits = LIMITS, most_rejects: int | None = None
) -> Result:
    """What the child would do, in this process."""
    folder.mkdir(exist_ok=True)
    stream, faults = folder / "stream", folder / "faults.parquet"
    arguments = {
        "path": str(path),
        "plan": json.loads(json.dumps(plan.to_json())),
        "faults": str(faults),
        "most_rejects": most_rejects,
        "refused": os.devnull,
        "limits": asdict(limits),
        "pipe": os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    }
    answer = json.loads(json.dumps(read_load(arguments, folder, SANDBOX, ignore_progress)))
    rows = rows_of(stream.read_bytes(), [column.field for column in plan.columns])
    return Result(rows, pq.read_table(faults).to_pylist(), Loaded.from_json(answer))


def load_csv(path: Path, fields: Sequence[Field], folder: Path, **options: Any) -> Result:
    """A file as it is detected, its columns in the order of the fields."""
    limits = options.pop("limits", LIMITS)
    detected = detect(path, "a.csv", limits)
    return load_here(path, plan_of(detected, fields, **options), folder, limits=limits)


def collect_here(
    path: Path, detected: Detected, faults: Sequence[Path], folder: Path, **options: Any
) -> list[dict[str, Any]]:
    """The rejected rows as the second reading finds them."""
    arguments = {
        "path": str(path),
        "detected": asdict(detected),
        "encoding": options.get("encoding"),
        "marks": options.get("marks", {}),
        "faults": [str(file) for file in faults],
        "target": str(folder / "rejects.parquet"),
        "limits": asdict(options.get("limits", LIMITS)),
    }
    read_originals(json.loads(json.dumps(arguments)), folder, SANDBOX, ignore_progress)
    found: list[dict[str, Any]] = pq.read_table(folder / "rejects.parquet").to_pylist()
    return found


def rows_of(stream: bytes, fields: Sequence[Field]) -> list[tuple[Any, ...]]:
    """A binary COPY stream, read by its documentation."""
    assert stream.startswith(HEADER)
    assert stream.endswith(b"\xff\xff")
    place, rows = len(HEADER), []
    while (width := struct.unpack_from(">h", stream, place)[0]) != -1:
        assert width == len(fields) + 1
        place += 2
        values: list[Any] = []
        for kind in ("line", *(field.type for field in fields)):
            (size,) = struct.unpack_from(">i", stream, place)
            place += 4
            values.append(None if size < 0 else _value(kind, stream[place : place + size]))
            place += max(size, 0)
        rows.append(tuple(values))
    assert place + 2 == len(stream)
    return rows


def _value(kind: str, raw: bytes) -> Any:
    if kind == "line":
        return struct.unpack(">q", raw)[0]
    if kind == "date":
        return date(2000, 1, 1) + timedelta(days=struct.unpack(">i", raw)[0])
    if kind == "datetime":
        return datetime(2000, 1, 1) + timedelta(microseconds=struct.unpack(">q", raw)[0])
    return _numeric(raw) if kind == "decimal" else raw.decode()


def _numeric(raw: bytes) -> Decimal:
    count, weight, sign, scale = struct.unpack_from(">hhHh", raw)
    digits = struct.unpack_from(f">{count}h", raw, 8)
    total = sum(
        (Decimal(digit) * Decimal(10_000) ** (weight - place) for place, digit in enumerate(digits)),
        Decimal(0),
    )
    return (-total if sign else total).quantize(Decimal(1).scaleb(-scale))

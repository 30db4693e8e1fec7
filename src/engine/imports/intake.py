"""The child's part of a load: shape and values are judged batch by batch, and good rows are passed on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from src.engine.imports.casting import cast_columns
from src.engine.imports.copying import CopyStream, refused_schema, row_schema
from src.engine.imports.plans import Loaded, LoadPlan
from src.engine.imports.spooling import Refused, Spool, refused_path
from src.engine.reading.faults import FaultFile, Found
from src.engine.reading.shaping import Batch
from src.engine.reading.sources import open_source
from src.engine.reading.stretches import Flags
from src.engine.values import OnProgress, ReadLimits, Sandbox

THREADS = 1


def read_load(
    arguments: Mapping[str, Any], folder: Path, sandbox: Sandbox, on_progress: OnProgress
) -> dict[str, Any]:
    """Read the file once, or until too much is wrong with it, and tell what came of it."""
    plan = LoadPlan.from_json(arguments["plan"])
    with (
        CopyStream(row_schema(plan), arguments["pipe"]) as stream,
        FaultFile(Path(arguments["faults"]), arguments["most_rejects"]) as faults,
        Refused(plan, arguments["refused"]) as refused,
    ):
        return _read(arguments, plan, stream, faults, refused, folder, sandbox, on_progress)


def read_spooled(
    arguments: Mapping[str, Any], folder: Path, sandbox: Sandbox, on_progress: OnProgress
) -> dict[str, Any]:
    """The same, into blocks on disk, and with the cells of faulty rows; too many names end it as well."""
    plan, spooled = LoadPlan.from_json(arguments["plan"]), Path(arguments["spool"])
    with (
        Spool(spooled, plan, arguments["pipe"], key=arguments["key"], lead=arguments["lead"]) as spool,
        FaultFile(Path(arguments["faults"]), has_cells=True) as faults,
        Refused(plan, arguments["refused"], refused_path(spooled)) as refused,
    ):
        return _read(arguments, plan, spool, faults, refused, folder, sandbox, on_progress)


def _read(
    arguments: Mapping[str, Any],
    plan: LoadPlan,
    good: CopyStream | Spool,
    faults: FaultFile,
    refused: Refused,
    folder: Path,
    sandbox: Sandbox,
    on_progress: OnProgress,
) -> dict[str, Any]:
    pa.set_cpu_count(THREADS)
    limits = ReadLimits.from_json(arguments["limits"])
    source = open_source(
        Path(arguments["path"]),
        plan.detected,
        folder,
        limits,
        sandbox,
        on_progress,
        is_encoding_given=plan.is_encoding_given,
    )
    read, count = 0, 0
    for batch in source.batches(plan.marks):
        read += len(batch.lines)
        rows, others = _judged(plan, batch, faults)
        if len(rows):
            good.add(rows)
        refused.add(others)
        count += len(rows)
        if faults.are_too_many or good.is_full:
            break
    return Loaded(
        rows_read=read,
        rows_good=count,
        rows_rejected=faults.rejected,
        is_whole=not (faults.are_too_many or good.is_full),
        encoding=source.encoding,
        is_recoded=source.encoding == "cp1252" and not plan.is_encoding_given,
        summary={column: dict(codes) for column, codes in faults.summary.items()},
    ).to_json()


def _judged(plan: LoadPlan, batch: Batch, faults: FaultFile) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """The rows of one batch that are good in every column, and of the others what else may be wrong with
    them; what is wrong goes to the faults."""
    columns, found = cast_columns(plan, batch.cells, plan.rules, batch.errors)
    own = [replace(group, rows=batch.sound[group.rows]) for group in found]
    faults.add(batch.lines, [*batch.faults, *own], batch.originals)
    lines = pa.array(batch.lines[batch.sound], pa.int64())
    if not own:
        nothing = pa.RecordBatch.from_pylist([], refused_schema(plan))
        return pa.record_batch([lines, *columns], schema=row_schema(plan)), nothing
    is_good = ~_faulty(len(batch.sound), found)
    mask = pa.array(is_good)
    rows = [column.filter(mask) for column in (lines, *columns)]
    others = [column.filter(pa.array(~is_good)) for column in (lines, *_readable(plan, columns, found))]
    return pa.record_batch(rows, row_schema(plan)), pa.record_batch(others, refused_schema(plan))


def _faulty(count: int, found: Sequence[Found]) -> Flags:
    """Which of so many rows have any of these faults."""
    is_faulty = np.zeros(count, bool)
    for group in found:
        is_faulty[group.rows] = True
    return is_faulty


def _readable(plan: LoadPlan, columns: Sequence[pa.Array], found: Sequence[Found]) -> list[pa.Array]:
    """The columns that are compared, with nothing where a value is faulty itself."""
    readable = []
    for column, values in zip(plan.columns, columns, strict=True):
        if column.field.name in plan.compared:
            own = [group for group in found if group.column == plan.header(column)]
            is_sound = pa.array(~_faulty(len(values), own))
            readable.append(pc.if_else(is_sound, values, pa.scalar(None, values.type)))
    return readable

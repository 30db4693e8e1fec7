"""The child's part of a load: shape and values are judged batch by batch, and good rows are passed on."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from src.engine.imports.casting import cast_columns
from src.engine.imports.copying import CopyStream, row_schema
from src.engine.imports.plans import Loaded, LoadPlan
from src.engine.imports.spooling import Spool
from src.engine.reading.faults import FaultFile
from src.engine.reading.shaping import Batch
from src.engine.reading.sources import open_source
from src.engine.values import OnProgress, ReadLimits, Sandbox

THREADS = 1


def read_load(
    arguments: Mapping[str, Any], folder: Path, sandbox: Sandbox, on_progress: OnProgress
) -> dict[str, Any]:
    """Read the file once, or until too much is wrong with it, and tell what came of it."""
    pa.set_cpu_count(THREADS)
    plan, limits = LoadPlan.from_json(arguments["plan"]), ReadLimits.from_json(arguments["limits"])
    source = open_source(
        Path(arguments["path"]),
        plan.detected,
        folder,
        limits,
        sandbox,
        on_progress,
        is_encoding_given=plan.is_encoding_given,
    )
    read, good, spool = 0, 0, arguments["spool"]
    with (
        FaultFile(Path(arguments["faults"]), arguments["most_rejects"]) as faults,
        CopyStream(row_schema(plan), arguments["pipe"]) as stream,
        Spool(spool and Path(spool), row_schema(plan)) as spooled,
    ):
        for batch in source.batches(plan.marks):
            read += len(batch.lines)
            rows = _good_rows(plan, batch, faults)
            stream.add(rows)
            spooled.add(rows)
            good += len(rows)
            if faults.are_too_many:
                break
    return Loaded(
        rows_read=read,
        rows_good=good,
        rows_rejected=faults.rejected,
        is_whole=not faults.are_too_many,
        encoding=source.encoding,
        is_recoded=source.encoding == "cp1252" and not plan.is_encoding_given,
        summary={column: dict(codes) for column, codes in faults.summary.items()},
    ).to_json()


def _good_rows(plan: LoadPlan, batch: Batch, faults: FaultFile) -> pa.RecordBatch:
    """Those of one batch that are good in every column; what is wrong with the others goes to the faults."""
    columns, found = cast_columns(plan, batch.cells, plan.rules)
    is_good = np.ones(len(batch.sound), bool)
    for group in found:
        is_good[group.rows] = False
    own = [replace(group, rows=batch.sound[group.rows]) for group in found]
    faults.add(batch.lines, [*batch.faults, *own])
    columns.insert(0, pa.array(batch.lines[batch.sound], pa.int64()))
    if own:
        mask = pa.array(is_good)
        columns = [column.filter(mask) for column in columns]
    return pa.record_batch(columns, schema=row_schema(plan))

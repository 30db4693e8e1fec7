"""The child's part of writing: spooled rows, with ids in place of names, as a COPY stream for their table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from src.engine.imports.copying import CopyStream
from src.engine.imports.folding import Folding
from src.engine.imports.spooling import read_spool, spool_schema
from src.engine.imports.writing import RowPlan, TargetColumn
from src.engine.values import OnProgress, Sandbox

ROWS = 65_536  # sorted together: neighbours in an index are written together
INTEGERS = {"integer": pa.int32(), "bigint": pa.int64()}


def write_rows(
    arguments: Mapping[str, Any], folder: Path, sandbox: Sandbox, on_progress: OnProgress
) -> dict[str, Any]:
    """Give the rows to the pipe, and fold what is counted of them into files."""
    del folder, sandbox
    pa.set_cpu_count(1)
    plan = RowPlan.from_json(arguments["plan"])
    spool, left_out = Path(arguments["spool"]), _lines(Path(arguments["left_out"]))
    import_id = bytes.fromhex(arguments["import_id"])
    stored = spool_schema(spool)
    makers = [_Maker(column, stored) for column in plan.columns]
    schema = pa.schema([*((maker.name, maker.type) for maker in makers), ("import_id", pa.binary())])
    folding = Folding(plan.folds, Path(arguments["folded"])) if plan.folds else None
    written = 0
    with CopyStream(schema, arguments["pipe"]) as stream:
        for table in read_spool(spool, ROWS):
            rows = table.filter(pc.invert(pc.is_in(table["line"], value_set=left_out)))
            if plan.order is not None:
                rows = rows.take(pc.sort_indices(rows[plan.order + 1]))
            columns = [maker.make(rows) for maker in makers]
            columns.append(pa.array([import_id], pa.binary()).take(pa.array(np.zeros(len(rows), np.int64))))
            batch = pa.record_batch(columns, schema=schema)
            stream.add(batch)
            if folding:
                folding.add(batch)
            written += len(rows)
            on_progress(written, arguments["rows"], "rows")
    if folding:
        folding.finish()
    return {"rows": written}


def _lines(path: Path) -> pa.Array:
    """The lines that were found to be wrong after the reading."""
    return pa.array(np.array(path.read_bytes().split(), np.int64), pa.int64())


class _Maker:
    """Makes one column of the table."""

    def __init__(self, column: TargetColumn, stored: pa.Schema) -> None:
        self.name, self._column = column.name, column
        self._ids = _ids(Path(column.ids), column.type) if column.ids else None
        self.type = INTEGERS[column.type] if column.ids else stored[column.place + 1].type

    def make(self, rows: pa.Table) -> pa.Array:
        values = rows[self._column.place + 1].combine_chunks()
        if self._ids is not None:
            found = self._ids["id"].take(pc.index_in(values, value_set=self._ids["name"]))
            if found.null_count:
                raise RuntimeError(f"{found.null_count} rows name something that has no id")
            return found
        default = self._column.default
        return values if default is None else values.fill_null(pa.scalar(default).cast(values.type))


def _ids(path: Path, kind: str) -> dict[str, pa.Array]:
    """Names and their ids; a name may have line ends in it."""
    found = csv.read_csv(
        path,
        read_options=csv.ReadOptions(column_names=["name", "id"], use_threads=False),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(column_types={"name": pa.string(), "id": INTEGERS[kind]}),
    )
    return {name: found[name].combine_chunks() for name in ("name", "id")}

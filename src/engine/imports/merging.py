"""The child's part after a correction: its own rejects, and those that its import still has."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow.parquet import ParquetFile, ParquetWriter

from src.domain.rejects import DUPLICATES
from src.engine.duck import connect, quoted
from src.engine.imports.clocks import EPOCH
from src.engine.imports.moments import moment
from src.engine.imports.plans import LoadPlan, MappedColumn
from src.engine.imports.rejects import ROWS_AT_A_TIME
from src.engine.imports.settling import number_in
from src.engine.reading.faults import WITH_CELLS
from src.engine.values import OnProgress, Sandbox

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

COLUMNS = ", ".join(f'"{name}"' for name in WITH_CELLS.names)
READ = (
    "select {columns}, {file} as file, file_row_number as place "
    "from read_parquet({path}, file_row_number = true)"
)
# Of the former rejects those stay that were not sent; of the others what is refused now, unless it is loaded.
STILL = f"""
    select {COLUMNS} from (
        select * from former where not exists (
            from (select line from sent union all select line from own where code <> 'already_loaded') as seen
            where seen.line = former.line)
        union all select * from retold where code <> 'already_loaded'
    ) order by line, place
"""
BY_CODE = 'select "column", code, count(*) from read_parquet({path}) group by all order by all'
BY_ROW = """
    select count(*) filter (is_duplicate), count(*) filter (not is_duplicate)
    from (select line, bool_and(code in {codes}) as is_duplicate from read_parquet({path}) group by line)
"""


def read_merged(
    arguments: Mapping[str, Any], folder: Path, sandbox: Sandbox, on_progress: OnProgress
) -> dict[str, Any]:
    """Write both lists, and count what is in them."""
    on_progress(0, 1, "files")
    own, whole, retold = Path(arguments["own"]), Path(arguments["whole"]), folder / "retold.parquet"
    former, rows, *refused = map(Path, (arguments["former"], arguments["rows"], *arguments["refused"]))
    plans = [LoadPlan.from_json(arguments[name]) for name in ("plan", "first_plan")]
    with connect(folder, [former, rows, *refused, own, whole], sandbox, own.parent) as connection:
        parts = " union all ".join(_read(path, place) for place, path in enumerate(refused))
        _copy(connection, f"select {COLUMNS} from ({parts}) order by line, file, place", own)
        _retell(own, retold, *plans)
        for name, path in {"former": former, "own": own, "retold": retold}.items():
            connection.execute(f"create view {name} as {_read(path, 0)}")
        connection.execute(f"create view sent as select line from read_parquet({quoted(rows)})")
        _copy(connection, STILL, whole)
        return {"own": _counted(connection, own), "whole": _counted(connection, whole)}


def _read(path: Path, file: int) -> str:
    return READ.format(columns=COLUMNS, file=file, path=quoted(path))


def _copy(connection: "DuckDBPyConnection", query: str, target: Path) -> None:
    connection.execute(
        f"copy ({query}) to {quoted(target)} (format parquet, compression zstd, row_group_size 20480)"
    )


def _counted(connection: "DuckDBPyConnection", path: Path) -> dict[str, Any]:
    summary: dict[str, dict[str, int]] = {}
    for column, code, count in connection.execute(BY_CODE.format(path=quoted(path))).fetchall():
        summary.setdefault(column, {})[code] = count
    codes = f"({', '.join(map(quoted, sorted(DUPLICATES)))})"
    counts = connection.execute(BY_ROW.format(path=quoted(path), codes=codes)).fetchone() or (0, 0)
    return {"summary": summary, "duplicate": counts[0], "rejected": counts[1]}


def _retell(source: Path, target: Path, plan: LoadPlan, first: LoadPlan) -> None:
    """What a correction wrote in its own way is told in that of the first file, to mean the same there."""
    pairs = [
        (column, other)
        for column, other in zip(plan.columns, first.columns, strict=True)
        if (column.decimal, column.date_order) != (other.decimal, other.date_order)
    ]
    with ParquetFile(source) as file, ParquetWriter(target, WITH_CELLS, compression="zstd") as writer:
        for batch in file.iter_batches(batch_size=ROWS_AT_A_TIME):
            cells = [_retold(row, pairs, plan.time_zone) for row in batch.column("cells").to_pylist()]
            columns = [*batch.columns[:-1], pa.array(cells, pa.list_(pa.string()))]
            writer.write_batch(pa.record_batch(columns, schema=WITH_CELLS))


def _retold(cells: list[str], pairs: Sequence[tuple[MappedColumn, MappedColumn]], zone: str) -> list[str]:
    told = list(cells)
    for column, other in pairs:
        if column.position < len(told):
            told[column.position] = _told(told[column.position], column, other, zone)
    return told


def _told(text: str, column: MappedColumn, other: MappedColumn, zone: str) -> str:
    """A date with its year first is read alike in every order; what cannot be read stays as it is."""
    if column.field.type == "decimal":
        return number_in(text.strip(), column.decimal).replace(".", other.decimal) or text
    value = moment(text.strip(), column.date_order, zone)
    if value is None:
        return text
    written = str(np.datetime64(EPOCH) + np.timedelta64(value, "us")).replace("T", " ")
    return written.removesuffix(".000000").removesuffix(" 00:00:00")

"""The child's part of writing: kept rows, with ids in place of names, as a COPY stream for their table."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from src.engine.imports.copying import CopyStream
from src.engine.imports.folding import Folding
from src.engine.imports.plans import LoadPlan
from src.engine.imports.repeats import Flags, Integers, Seen, first_lines
from src.engine.imports.spooling import ROWS, block_path, read_block, spool_schema
from src.engine.imports.writing import RowPlan, TargetColumn, order_path
from src.engine.reading.faults import FaultFile, Found
from src.engine.values import OnProgress, Sandbox

INTEGERS = {"integer": pa.int32(), "bigint": pa.int64()}
NONE = -1  # for an id
SUSPECTS = "suspects.arrows"  # rows whose key may stand further up
MOST_AT_A_TIME = 4 * ROWS  # of them


def write_rows(
    arguments: Mapping[str, Any], folder: Path, sandbox: Sandbox, on_progress: OnProgress
) -> dict[str, Any]:
    """Give the rows to the pipe as they are ordered, and fold what is counted of them into files."""
    del folder, sandbox
    pa.set_cpu_count(1)
    plan, load_plan = RowPlan.from_json(arguments["plan"]), LoadPlan.from_json(arguments["load_plan"])
    spool = Path(arguments["spool"])
    makers = _makers(plan, load_plan)
    schema = pa.schema([*((maker.name, maker.type) for maker in makers), ("import_id", pa.binary())])
    folding = Folding(plan.folds, spool) if plan.folds else None
    with (
        FaultFile(Path(arguments["faults"])) as faults,
        CopyStream(schema, arguments["pipe"]) as stream,
    ):
        out = _Out(schema, bytes.fromhex(arguments["import_id"]), stream, folding)
        writer = _Writer(spool, plan, makers, out, faults, load_plan)
        for number in _orders(arguments["orders"]):
            writer.take(number)
            on_progress(out.rows, out.rows, "rows")
        writer.settle()
    if folding:
        folding.finish()
    return {
        "rows": out.rows,
        "rejected": faults.rejected,
        "summary": {column: dict(codes) for column, codes in faults.summary.items()},
        "unused": {str(place): maker.unused() for place, maker in enumerate(makers) if maker.has_ids},
    }


def _orders(pipe: int) -> Iterator[int]:
    """The numbers of the blocks that may be written, until the last one was told."""
    with os.fdopen(pipe) as lines:
        for line in lines:
            if line == "end\n":
                return
            yield int(line)
    raise RuntimeError("the caller has given up")


class _Maker:
    """Makes one column of the table."""

    def __init__(self, column: TargetColumn, stored: pa.DataType, header: str) -> None:
        self.name, self.code, self.header = column.name, column.code, header
        self._default = column.default
        self.has_ids = column.type is not None
        self.type = INTEGERS[column.type] if column.type else stored
        self._ids = np.empty(0, np.int64)
        self._names: dict[int, str] = {}  # of those that have no id
        self._is_used = np.empty(0, bool)

    def learn(self, ids: list[int | None], unknown: Mapping[str, str]) -> None:
        """The ids of the next names; of those that have none, the name by its place among these."""
        self._names |= {len(self._ids) + int(place): name for place, name in unknown.items()}
        self._ids = np.append(self._ids, np.array([NONE if id_ is None else id_ for id_ in ids], np.int64))
        self._is_used = np.append(self._is_used, np.zeros(len(ids), bool))

    def is_unknown(self, numbers: pa.Array) -> Flags:
        found: Flags = self._ids[numbers.to_numpy()] == NONE
        return found

    def names(self, numbers: Integers) -> pa.Array:
        """Of unknown ones."""
        return pa.array([self._names[number] for number in numbers.tolist()], pa.string())

    def make(self, values: pa.Array) -> pa.Array:
        if self.has_ids:
            numbers = values.to_numpy()
            self._is_used[numbers] = True
            return pa.array(self._ids[numbers].astype(self.type.to_pandas_dtype()))
        if self._default is None:
            return values
        return values.fill_null(pa.scalar(self._default).cast(values.type))

    def unused(self) -> list[int]:
        """The ids that were told, and that no row has."""
        unused: list[int] = self._ids[~self._is_used & (self._ids != NONE)].tolist()
        return unused


def _makers(plan: RowPlan, load_plan: LoadPlan) -> list[_Maker]:
    stored = spool_schema(load_plan).types[1:]
    headers = map(load_plan.header, load_plan.columns)
    return [_Maker(*parts) for parts in zip(plan.columns, stored, headers, strict=True)]


class _Out:
    """Where finished rows go."""

    def __init__(
        self, schema: pa.Schema, import_id: bytes, stream: CopyStream, folding: Folding | None
    ) -> None:
        self._schema, self._import_id = schema, pa.array([import_id], pa.binary())
        self._stream, self._folding = stream, folding
        self.rows = 0

    def add(self, columns: list[pa.Array]) -> None:
        size = len(columns[0])
        same = self._import_id.take(pa.array(np.zeros(size, np.int64)))
        batch = pa.record_batch([*columns, same], schema=self._schema)
        self._stream.add(batch)
        if self._folding:
            self._folding.add(batch)
        self.rows += size


class _Writer:
    """Takes blocks; rows whose key may be there twice wait until all others are written."""

    def __init__(
        self,
        spool: Path,
        plan: RowPlan,
        makers: list[_Maker],
        out: _Out,
        faults: FaultFile,
        load_plan: LoadPlan,
    ) -> None:
        self._spool, self._plan, self._makers, self._out, self._faults = spool, plan, makers, out, faults
        self._seen = Seen() if plan.key is not None else None
        self._suspects = pa.ipc.new_stream(spool / SUSPECTS, spool_schema(load_plan))
        self._unknown: list[Integers] = []  # their lines
        self._blocks = self._suspected = 0

    def take(self, number: int) -> None:
        """Write a block, but for what is wrong with it, or may be."""
        self._blocks = number + 1
        order = orjson.loads(order_path(self._spool, number).read_bytes())
        for place, ids in order["ids"].items():
            self._makers[int(place)].learn(ids, order["unknown"][place])
        rows = self._known(read_block(block_path(self._spool, number)))
        if self._seen is not None and self._plan.key is not None:
            may_repeat = self._seen.again(_text(rows, self._plan.key))
            self._set_aside(rows.filter(pa.array(may_repeat)))
            rows = rows.filter(pa.array(~may_repeat))
            rows = self._not_there(rows, dict(order["there"]))
        self._write(rows)

    def settle(self) -> None:
        """Write those rows that waited, and repeat no other one."""
        self._suspects.close()
        key = self._plan.key
        if not self._suspected or key is None:
            return
        unknown = np.concatenate([np.empty(0, np.int64), *self._unknown])
        for suspects in _parts(self._spool / SUSPECTS, MOST_AT_A_TIME):
            keys = _text(suspects, key)
            distinct = keys.unique()
            first = first_lines(self._spool, self._blocks, key, distinct, unknown)
            first = first[pc.index_in(keys, value_set=distinct).to_numpy()]
            lines = suspects["line"].to_numpy()
            repeated = np.flatnonzero(first != lines)
            details = [f"It stands on line {line}." for line in first[repeated].tolist()]
            self._refuse(suspects, repeated, "duplicate", key, details)
            rows = suspects.filter(pa.array(first == lines))
            if len(rows):
                self._write(self._not_there(rows, self._all_there(rows["line"].to_pylist())))

    def _known(self, rows: pa.Table) -> pa.Table:
        """The rows whose names all have ids, or get none here."""
        is_unknown = np.zeros(len(rows), bool)
        for place, maker in enumerate(self._makers):
            if maker.code:
                numbers = rows[place + 1].combine_chunks()
                found = np.flatnonzero(maker.is_unknown(numbers))
                if len(found):
                    self._refuse(
                        rows, found, maker.code, place, values=maker.names(numbers.to_numpy()[found])
                    )
                    is_unknown[found] = True
        if not is_unknown.any():
            return rows
        self._unknown.append(rows["line"].to_numpy()[is_unknown])
        return rows.filter(pa.array(~is_unknown))

    def _not_there(self, rows: pa.Table, there: Mapping[int, str]) -> pa.Table:
        """The rows whose key is not in the table."""
        if not there or self._plan.key is None:
            return rows
        lines = rows["line"].to_numpy()
        is_there = np.isin(lines, np.fromiter(there, np.int64))
        found = np.flatnonzero(is_there)
        details = [there[line] for line in lines[found].tolist()]
        self._refuse(rows, found, "already_there", self._plan.key, details)
        return rows.filter(pa.array(~is_there))

    def _all_there(self, lines: list[int]) -> dict[int, str]:
        """Of these lines, what was said of those whose key is in the table: in whichever block that was."""
        wanted, found = set(lines), {}
        for number in range(self._blocks):
            order = orjson.loads(order_path(self._spool, number).read_bytes())
            found.update({line: detail for line, detail in order["there"] if line in wanted})
        return found

    def _refuse(
        self,
        rows: pa.Table,
        found: Integers,
        code: str,
        place: int,
        detail: str | list[str] = "",
        values: pa.Array | None = None,
    ) -> None:
        if len(found):
            shown = _text(rows, place).take(pa.array(found)) if values is None else values
            fault = Found(code, found, shown, detail, self._makers[place].header)
            self._faults.add(rows["line"].to_numpy(), [fault])

    def _set_aside(self, rows: pa.Table) -> None:
        if len(rows):
            self._suspects.write_table(rows)
            self._suspected += len(rows)

    def _write(self, rows: pa.Table) -> None:
        if not len(rows):
            return
        if self._plan.order is not None:
            rows = rows.take(pc.sort_indices(rows[self._plan.order + 1]))
        columns = zip(self._makers, rows.columns[1:], strict=True)
        self._out.add([maker.make(column.combine_chunks()) for maker, column in columns])


def _text(rows: pa.Table, place: int) -> pa.Array:
    column = rows[place + 1].combine_chunks()
    return column.chunk(0) if isinstance(column, pa.ChunkedArray) else column


def _parts(path: Path, size: int) -> Iterator[pa.Table]:
    """Some rows of a file at a time."""
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
        waiting: list[pa.RecordBatch] = []
        for batch in reader:
            waiting.append(batch)
            if sum(one.num_rows for one in waiting) >= size:
                yield pa.Table.from_batches(waiting)
                waiting = []
        if waiting:
            yield pa.Table.from_batches(waiting)

"""The child's part of writing: kept rows, with ids in place of names, in pieces that COPY takes."""

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from src.engine.imports.copying import write_copy
from src.engine.imports.folding import Folding
from src.engine.imports.making import FreshIds, Maker, makers_of, write_ids
from src.engine.imports.plans import LoadPlan
from src.engine.imports.repeats import Flags, Integers, Seen, first_lines
from src.engine.imports.spooling import ROWS, block_path, read_block, refused_path, rows_of, spool_schema
from src.engine.imports.writing import RowPlan, order_path, piece_path, unused_path, used_path
from src.engine.reading.faults import FaultFile, Found
from src.engine.values import OnProgress, Sandbox

SUSPECTS = "suspects.arrows"  # rows whose key may stand further up
NAMELESS = "nameless.arrows"  # keys of rows with unknown names
KEY_SCHEMA = pa.schema([("line", pa.int64()), ("key", pa.string())])
KEYS = pa.schema([("key", pa.string())])
MOST_AT_A_TIME = 4 * ROWS  # of them
END_OF_BLOCK = b"{}\n"  # after its pieces, if it has any


def write_rows(
    arguments: Mapping[str, Any], folder: Path, sandbox: Sandbox, on_progress: OnProgress
) -> dict[str, Any]:
    """Make pieces of the rows as they are ordered, and fold what is counted of them into files."""
    del folder, sandbox, on_progress
    pa.set_cpu_count(1)
    plan, load_plan = RowPlan.from_json(arguments["plan"]), LoadPlan.from_json(arguments["load_plan"])
    spool = Path(arguments["spool"])
    makers = makers_of(plan, load_plan)
    folding = Folding(plan.folds, spool) if plan.folds else None
    with (
        FaultFile(Path(arguments["faults"])) as faults,
        os.fdopen(arguments["pipe"], "wb", buffering=0) as told,
    ):
        out = _Out(plan, makers, bytes.fromhex(arguments["import_id"]), spool, told, folding)
        writer = _Writer(spool, plan, makers, out, faults, load_plan)
        for number in _orders(arguments["orders"]):
            writer.take(number)
            told.write(END_OF_BLOCK)
        writer.settle()
    if folding:
        folding.finish()
    for place, maker in enumerate(makers):
        if maker.has_ids:
            write_ids(used_path(spool, place), maker.used())
            write_ids(unused_path(spool, place), maker.unused())
    return {
        "rows": out.rows,
        "rejected": writer.rejected,
        "duplicate": writer.duplicate,
        "summary": {column: dict(codes) for column, codes in faults.summary.items()},
        "unused": sum(len(maker.unused()) for maker in makers),
    }


def _orders(pipe: int) -> Iterator[int]:
    """The numbers of the blocks that may be written, until the last one was told."""
    with os.fdopen(pipe) as lines:
        for line in lines:
            if line == "end\n":
                return
            yield int(line)
    raise RuntimeError("the caller has given up")


class _Out:
    """Where finished rows go: to pieces, each of which is told of."""

    def __init__(
        self,
        plan: RowPlan,
        makers: list[Maker],
        import_id: bytes,
        folder: Path,
        told: IO[bytes],
        folding: Folding | None,
    ) -> None:
        self._plan, self._folder, self._told, self._folding = plan, folder, told, folding
        self._schema = pa.schema(
            [*((maker.name, maker.type) for maker in makers), ("import_id", pa.binary()), ("id", pa.int64())]
        )
        self.ids = FreshIds()
        self._import_id = pa.array([import_id], pa.binary())
        self._pieces = self.rows = 0

    def add(self, columns: list[pa.Array]) -> None:
        """Rows, sorted by the order of the plan if it has one."""
        size = len(columns[0])
        same = self._import_id.take(pa.array(np.zeros(size, np.int64)))
        batch = pa.record_batch([*columns, same, self.ids.take(size)], schema=self._schema)
        for part, rows in self._parts(batch):
            self._put(part, rows)
        if self._plan.has_keys and self._plan.key is not None:
            keys = columns[self._plan.key]
            self._put(None, pa.record_batch([keys.take(pc.sort_indices(keys))], schema=KEYS))
        if self._folding:
            self._folding.add(batch)
        self.rows += size

    def _parts(self, batch: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The rows of each part of the table."""
        if self._plan.order is None or not self._plan.begins:
            yield 0, batch
            return
        moments = batch.column(self._plan.order).cast(pa.int64()).to_numpy()
        ends = np.searchsorted(moments, self._plan.begins[1:]).tolist()
        for part, (begin, end) in enumerate(pairwise([0, *ends, len(batch)])):
            if begin < end:
                yield part, batch.slice(begin, end - begin)

    def _put(self, part: int | None, rows: pa.RecordBatch) -> None:
        write_copy(piece_path(self._folder, self._pieces), rows.schema, [rows])
        self._told.write(orjson.dumps({"number": self._pieces, "part": part}) + b"\n")
        self._pieces += 1


class _Writer:
    """Takes blocks; rows whose key may be there twice wait until all others are written."""

    def __init__(
        self,
        spool: Path,
        plan: RowPlan,
        makers: list[Maker],
        out: _Out,
        faults: FaultFile,
        load_plan: LoadPlan,
    ) -> None:
        self._spool, self._plan, self._makers, self._out, self._faults = spool, plan, makers, out, faults
        self._seen = Seen() if plan.key is not None else None
        self._suspects = pa.ipc.new_stream(spool / SUSPECTS, spool_schema(load_plan))
        self._nameless = pa.ipc.new_stream(spool / NAMELESS, KEY_SCHEMA)
        self._unknown: list[Integers] = []  # their lines
        self._blocks = self._suspected = 0
        self.rejected = self.duplicate = 0
        names = [column.field.name for column in load_plan.columns]
        compared = [name for name in names if name in load_plan.compared]
        key = None if plan.key is None else names[plan.key]
        self._refused_key = compared.index(key) + 1 if key in compared else None

    def take(self, number: int) -> None:
        """Write a block, but for what is wrong with it, or may be."""
        self._blocks = number + 1
        order = orjson.loads(order_path(self._spool, number).read_bytes())
        self._out.ids.learn(order["fresh"])
        for place, ids in order["ids"].items():
            self._makers[int(place)].learn(ids, order["unknown"][place])
        rows = self._known(read_block(block_path(self._spool, number)))
        if self._seen is not None and self._plan.key is not None:
            may_repeat = self._seen.again(_text(rows, self._plan.key))
            self._set_aside(rows.filter(pa.array(may_repeat)))
            rows = rows.filter(pa.array(~may_repeat))
            rows = self._not_there(rows, dict(order["there"]))
        self._write(rows)
        self._out.ids.keep(self._suspected)

    def settle(self) -> None:
        """Write those rows that waited, and repeat no other one; tell which others do, refused or not."""
        self._suspects.close()
        self._nameless.close()
        if self._plan.key is None:
            return
        for suspects in rows_of(self._spool / SUSPECTS, MOST_AT_A_TIME) if self._suspected else ():
            keys, lines = _text(suspects, self._plan.key), suspects["line"].to_numpy()
            first = self._first(keys)
            self._refuse_repeated(keys, lines, first, first != lines)
            self.duplicate += int((first != lines).sum())
            rows = suspects.filter(pa.array(first == lines))
            if len(rows):
                self._write(self._not_there(rows, self._all_there(rows["line"].to_pylist())))
        if self._unknown:
            self._compare(self._spool / NAMELESS, 1)
        if self._refused_key is not None:
            self._compare(refused_path(self._spool), self._refused_key)

    def _compare(self, path: Path, place: int) -> None:
        """Of rows that are refused already, those whose key is that of a written row above them."""
        for rows in rows_of(path, MOST_AT_A_TIME):
            rows = rows.filter(rows[place].is_valid())  # noqa: PLW2901 # the others have none
            keys, lines = _text(rows, place - 1), rows["line"].to_numpy()
            first = self._first(keys)
            is_repeated = first < lines
            there = list(self._all_there(first[is_repeated].tolist()))
            is_repeated &= ~np.isin(first, there)
            self._refuse_repeated(keys, lines, first, is_repeated)

    def _first(self, keys: pa.Array) -> Integers:
        """Of each key, the line on which it stands first, apart from rows with unknown names."""
        if not len(keys):
            return np.empty(0, np.int64)
        distinct = keys.unique()
        unknown = np.concatenate([np.empty(0, np.int64), *self._unknown])
        first = first_lines(self._spool, self._blocks, self._plan.key or 0, distinct, unknown)
        own: Integers = first[pc.index_in(keys, value_set=distinct).to_numpy()]
        return own

    def _refuse_repeated(self, keys: pa.Array, lines: Integers, first: Integers, is_repeated: Flags) -> None:
        found = np.flatnonzero(is_repeated)
        details = [f"It stands on line {line}." for line in first[found].tolist()]
        values = keys.take(pa.array(found))
        self._refuse(lines, found, "duplicate", self._plan.key or 0, values, details)

    def _known(self, rows: pa.Table) -> pa.Table:
        """The rows whose names all have ids, or get none here."""
        is_unknown = np.zeros(len(rows), bool)
        for place, maker in enumerate(self._makers):
            if maker.code:
                numbers = rows[place + 1].combine_chunks()
                found = np.flatnonzero(maker.is_unknown(numbers))
                names = maker.names(numbers.to_numpy()[found])
                self._refuse(rows["line"].to_numpy(), found, maker.code, place, names)
                is_unknown[found] = True
        if not is_unknown.any():
            return rows
        self.rejected += int(is_unknown.sum())
        self._unknown.append(rows["line"].to_numpy()[is_unknown])
        if self._plan.key is not None:
            nameless = rows.select([0, self._plan.key + 1]).filter(pa.array(is_unknown))
            self._nameless.write_table(nameless.rename_columns(KEY_SCHEMA.names))
        return rows.filter(pa.array(~is_unknown))

    def _not_there(self, rows: pa.Table, there: Mapping[int, str]) -> pa.Table:
        """The rows whose key is not in the table."""
        if not there or self._plan.key is None:
            return rows
        lines = rows["line"].to_numpy()
        is_there = np.isin(lines, np.fromiter(there, np.int64))
        found = np.flatnonzero(is_there)
        self.duplicate += len(found)
        details = [there[line] for line in lines[found].tolist()]
        keys = _text(rows, self._plan.key).take(pa.array(found))
        self._refuse(lines, found, "already_there", self._plan.key, keys, details)
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
        lines: Integers,
        found: Integers,
        code: str,
        place: int,
        values: pa.Array,
        details: Sequence[str] | None = None,
    ) -> None:
        if len(found):
            fault = Found(code, found, values, details or "", self._makers[place].header)
            self._faults.add(lines, [fault])

    def _set_aside(self, rows: pa.Table) -> None:
        if len(rows):
            self._suspects.write_table(rows)
            self._suspected += len(rows)

    def _write(self, rows: pa.Table) -> None:
        if not len(rows):
            return
        if self._plan.order is not None:
            rows = rows.take(_order(rows[self._plan.order + 1]))
        columns = zip(self._makers, rows.columns[1:], strict=True)
        self._out.add([maker.make(column.combine_chunks()) for maker, column in columns])


def _order(column: pa.ChunkedArray) -> pa.Array:
    """Where sorted values come from; moments are sorted as numbers, which is faster."""
    if not pa.types.is_timestamp(column.type) or column.null_count:
        return pc.sort_indices(column)
    return pa.array(np.argsort(column.cast(pa.int64()).to_numpy()))


def _text(rows: pa.Table, place: int) -> pa.Array:
    column = rows[place + 1].combine_chunks()
    return column.chunk(0) if isinstance(column, pa.ChunkedArray) else column

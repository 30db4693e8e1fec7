"""The child's part of a correction: the table that came back becomes rows of the first file again.

Each row is found by its line among the rejects. What cannot be judged anew is left aside with its faults.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.parquet import ParquetWriter

from src.domain.rejects import CELL_ERRORS, MESSAGES, SHAPELESS, WHOLE_ROW, Reject
from src.engine.duck import batches_of, connect, quoted
from src.engine.export import as_meant, fitting, harmless
from src.engine.imports.rejects import (
    LINE_COLUMN,
    REST_COLUMN,
    ROWS_AT_A_TIME,
    RejectedRow,
    cells_to_mend,
    rejected_rows,
)
from src.engine.imports.returned import BadCorrections, Places, has_lines, places_of
from src.engine.reading.columns import guess_columns, names_of
from src.engine.reading.faults import WITH_CELLS
from src.engine.reading.shaping import Batch
from src.engine.reading.sources import Source, open_source
from src.engine.reading.texts import BLANKS
from src.engine.reading.workbooks import sheet_rows
from src.engine.values import Detected, OnProgress, ReadLimits, Sandbox

SENT = pa.schema(
    [
        ("row", pa.int64()),
        ("line", pa.int64()),
        ("is_settled", pa.bool_()),  # its code was emptied: it is right as it stands
        ("rest", pa.string()),
        ("cells", pa.list_(pa.string())),
        ("errors", pa.list_(pa.int64())),  # the places of cells that hold an error of a workbook
    ]
)
MENDED = pa.schema([(name, SENT.field(name).type) for name in ("line", "cells", "errors")])
LINE = r"\A[0-9]{1,18}(?:\.0+)?\z"
FEW = 10


@dataclass
class Mending:
    """Sorts rows: those to load go to `rows`, those that stay as they are to `left`, with their faults."""

    headers: Sequence[str]
    counts: dict[str, int] = field(default_factory=lambda: {"mended": 0, "refused": 0, "unknown": 0})

    def judge(self, sent: Mapping[str, Any], former: RejectedRow | None) -> tuple[list[Reject], list[str]]:
        """The faults that keep a row from being read anew, and its cells."""
        line = sent["line"]
        if former is None:
            self.counts["unknown"] += 1
            faults = [Reject(line, LINE_COLUMN, "already_loaded", str(line))]
            return faults, [as_meant(cell or "") for cell in sent["cells"]]
        cells, is_changed = self._mended(sent["cells"], former.cells)
        is_shapeless = not SHAPELESS.isdisjoint(fault.code for fault in former.faults)
        if is_shapeless and not (is_changed or sent["is_settled"]):
            self.counts["refused"] += 1
            return list(former.faults), list(former.cells)
        if sent["rest"]:
            self.counts["refused"] += 1
            fault = Reject(line, WHOLE_ROW, "wrong_column_count", "", f"Empty {REST_COLUMN} as well.")
            return [fault], [*cells, *next(csv.reader([as_meant(sent["rest"])]))]
        self.counts["mended"] += 1
        return [], cells

    def errors_in(self, sent: Mapping[str, Any], former: RejectedRow | None, cells: list[str]) -> list[int]:
        """Where a cell holds an error: one of the table, or one of the first file that nobody has changed."""
        errors = set(sent["errors"])
        if former is not None and not sent["is_settled"]:
            refused = {(fault.column, fault.value) for fault in former.faults if fault.code in CELL_ERRORS}
            named = zip(self.headers, cells, strict=True)
            errors |= {place for place, cell in enumerate(named) if cell in refused}
        return sorted(errors)

    def _mended(self, sent: Sequence[str | None], former: Sequence[str]) -> tuple[list[str], bool]:
        """Each cell as it was where nobody changed it; a column that was left out has not changed."""
        before = cells_to_mend(former, len(self.headers))
        shown = [harmless(cell) for cell in before]
        cells = [
            old if new is None or new in (seen, fitting(seen), harmless(fitting(old))) else as_meant(new)
            for new, seen, old in zip(sent, shown, before, strict=True)
        ]
        return cells, cells != before


def read_mended(
    arguments: Mapping[str, Any], folder: Path, sandbox: Sandbox, on_progress: OnProgress
) -> dict[str, Any]:
    """Write the rows to load and those to leave, by line; and tell how many there are of each."""
    pa.set_cpu_count(1)
    detected, limits = Detected.from_json(arguments["detected"]), ReadLimits.from_json(arguments["limits"])
    source = open_source(
        Path(arguments["path"]),
        detected,
        folder,
        limits,
        sandbox,
        on_progress,
        is_encoding_given=arguments["is_encoding_given"],
    )
    sent = folder / "sent.parquet"
    with ParquetWriter(sent, SENT, compression="zstd") as writer:
        for table in _tables_of(source, is_sheet_given=arguments["is_sheet_given"]):
            _write_sent(table, arguments["headers"], arguments["marks"], writer)
    mending = Mending(arguments["headers"])
    with (
        connect(folder, [sent], sandbox, in_order=True) as connection,
        ParquetWriter(arguments["rows"], MENDED, compression="zstd") as rows,
        ParquetWriter(arguments["left"], WITH_CELLS, compression="zstd") as left,
    ):
        query = f"select * from read_parquet({quoted(sent)}) order by line, row"
        former = rejected_rows(Path(arguments["rejects"]))
        for batch in _beside(batches_of(connection, query, ROWS_AT_A_TIME), former):
            _write(batch, mending, rows, left)
    return mending.counts


def _beside(
    batches: Iterator[pa.RecordBatch], rejects: Iterator[RejectedRow]
) -> Iterator[list[tuple[dict[str, Any], RejectedRow | None]]]:
    """The rows that were sent, each with the row that is refused on its line; both come by line."""
    former, last = next(rejects, None), None
    for batch in batches:
        pairs: list[tuple[dict[str, Any], RejectedRow | None]] = []
        for sent in batch.to_pylist():
            if sent["line"] == last:
                _refuse("Line {} occurs a second time.", [(last, sent["row"])])
            last = sent["line"]
            while former is not None and former.line < last:
                former = next(rejects, None)
            pairs.append((sent, former if former is not None and former.line == last else None))
        yield pairs


def _write(
    pairs: Sequence[tuple[dict[str, Any], RejectedRow | None]],
    mending: Mending,
    rows: ParquetWriter,
    left: ParquetWriter,
) -> None:
    mended: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for sent, former in pairs:
        faults, cells = mending.judge(sent, former)
        if faults:
            others += [asdict(fault) | {"cells": cells} for fault in faults]
        else:
            errors = mending.errors_in(sent, former, cells)
            mended.append({"line": sent["line"], "cells": cells, "errors": errors})
    rows.write_batch(pa.RecordBatch.from_pylist(mended, MENDED))
    left.write_batch(pa.RecordBatch.from_pylist(others, WITH_CELLS))


def _tables_of(source: Source, *, is_sheet_given: bool) -> Iterator[Source]:
    """The table; of a workbook, unless a sheet was named, all sheets that have its header: one sheet does
    not hold all rows there may be."""
    yield source
    if source.detected.format != "xlsx" or is_sheet_given:
        return
    for sheet in source.detected.sheets:
        if sheet != source.detected.sheet:
            _, header = next(sheet_rows(source.path, sheet, has_errors=False), (0, []))
            names = names_of(len(header), header)
            if has_lines(map(as_meant, names)):
                columns = guess_columns(names, [])[0]
                yield replace(source, detected=replace(source.detected, sheet=sheet, columns=columns))


def _write_sent(
    source: Source, headers: Sequence[str], marks: Mapping[str, str], writer: ParquetWriter
) -> None:
    """The table's rows with their cells in the order of the first file's columns."""
    places = places_of([as_meant(column.name) for column in source.detected.columns], headers)
    marked = {places.cells[int(position)]: mark for position, mark in marks.items()}
    read = (places.line, places.code, places.rest, *places.cells, *places.unnamed)
    wanted = [place for place in read if place is not None]
    every = {place: marked.get(place, ".") for place in wanted}
    for batch in source.batches(every):
        _refuse_shapeless(batch)
        columns = dict(zip(every, batch.cells, strict=True))
        errors = _errors_by_row(batch, list(every), places)
        for start in range(0, len(batch.sound), ROWS_AT_A_TIME):
            part = {place: column.slice(start, ROWS_AT_A_TIME) for place, column in columns.items()}
            numbers = batch.lines[batch.sound][start : start + ROWS_AT_A_TIME]
            typed = pa.array(errors[start : start + ROWS_AT_A_TIME], pa.list_(pa.int64()))
            rows = pa.array(numbers, pa.int64())
            _refuse_unnamed(rows, part, places)
            writer.write_batch(_sent(rows, part, places, typed))


def _errors_by_row(batch: Batch, read: Sequence[int], places: Places) -> list[list[int]]:
    """For each row, the columns of the first file where an error stands."""
    errors: list[list[int]] = [[] for _ in batch.sound]
    for place, rows in zip(read, batch.errors, strict=False):
        for row in rows.tolist() if place in places.cells else ():
            errors[row].append(places.cells.index(place))
    return errors


def _sent(
    rows: pa.Array, columns: Mapping[int, pa.Array], places: Places, errors: pa.Array
) -> pa.RecordBatch:
    lines = pc.utf8_trim(columns[places.line], BLANKS)
    is_bad = pc.invert(pc.match_substring_regex(lines, LINE))
    bad = zip(lines.filter(is_bad).to_pylist(), rows.filter(is_bad).to_pylist(), strict=True)
    _refuse(f"«{{}}» is no {LINE_COLUMN}.", list(bad)[:FEW])
    whole = pc.list_element(pc.split_pattern(lines, "."), 0).cast(pa.int64())
    nothing = pa.array([""] * len(rows), pa.string())
    texts = [[None] * len(rows) if place is None else columns[place].to_pylist() for place in places.cells]
    cells = [list(row) for row in zip(*texts, strict=True)]
    is_settled = (
        pa.array([False] * len(rows))
        if places.code is None
        else pc.equal(pc.utf8_trim(columns[places.code], BLANKS), "")
    )
    rest = nothing if places.rest is None else columns[places.rest]
    return pa.record_batch(
        [rows, whole, is_settled, rest, pa.array(cells, pa.list_(pa.string())), errors], schema=SENT
    )


def _refuse_unnamed(rows: pa.Array, columns: Mapping[int, pa.Array], places: Places) -> None:
    """Nobody can tell which column is meant by values below no header."""
    for place in places.unnamed:
        texts = pc.utf8_trim(columns[place], BLANKS)
        is_filled = pc.not_equal(texts, "")
        found = zip(texts.filter(is_filled).to_pylist(), rows.filter(is_filled).to_pylist(), strict=True)
        _refuse("«{}» stands in a column without a header.", list(found)[:FEW])


def _refuse_shapeless(batch: Batch) -> None:
    for group in batch.faults:
        rows = batch.lines[group.rows].tolist()[:FEW]
        _refuse(MESSAGES[group.code], [("", row) for row in rows])


def _refuse(reason: str, found: list[tuple[Any, int]]) -> None:
    """Such a table is not guessed at: no row of it is loaded."""
    if found:
        raise BadCorrections(
            " ".join(f"Row {row} of the table: {reason.format(value)}" for value, row in found)
        )

"""Pages of rejected rows, compared with reading all of them."""

from itertools import count, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.domain.rejects import Reject
from src.engine.imports.rejects import RejectedRow, read_rejects, rejected_rows
from src.engine.reading.faults import WITH_CELLS


def write(path: Path, parts: list[list[int]]) -> None:
    """Faults of these lines, in parts of a file; each has a value of its own."""
    numbers = count()
    with pq.ParquetWriter(path, WITH_CELLS) as writer:
        for part in parts:
            faults = [
                {"line": line, "column": "a", "code": "x", "value": str(next(numbers)), "cells": [str(line)]}
                for line in part
            ]
            writer.write_batch(pa.RecordBatch.from_pylist(faults, WITH_CELLS))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), max_size=6), max_size=6), st.integers(0, 12), st.integers(1, 5))
def test_a_page_is_what_stands_there_when_all_is_read(
    tmp_path_factory: pytest.TempPathFactory, steps: list[list[int]], first: int, most: int
) -> None:
    """A row has one fault or several, which may stand in two parts of the file."""
    path, line = tmp_path_factory.mktemp("rejects") / "rejects.parquet", 2
    write(path, [[line := line + step for step in part] for part in steps])
    assert read_rejects(path, first, most) == list(islice(rejected_rows(path), first, first + most))


def test_of_rows_before_a_page_only_the_lines_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "rejects.parquet", [list(range(start, start + 10)) for start in range(0, 1_000, 10)])
    wanted: list[Any] = []
    read = pq.ParquetFile.iter_batches

    def noting(file: pq.ParquetFile, *, row_groups: range, **options: Any) -> Any:
        wanted.append(row_groups)
        return read(file, row_groups=row_groups, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", noting)
    page = read_rejects(tmp_path / "rejects.parquet", 975, 10)
    assert [row.line for row in page] == list(range(975, 985))
    assert wanted == [range(97, 100)]


def test_messages_that_share_a_cell_each_name_their_column() -> None:
    name, mail, row = (
        Reject(2, "Nome", "missing"),
        Reject(2, "E-mail", "missing"),
        Reject(2, "", "giant_line"),
    )
    told = "This value is required, and empty."
    assert RejectedRow(2, (name,), ("",)).as_cells(1, has_rest=False)[-1] == told
    several = RejectedRow(2, (name, mail, row), ("", "")).as_cells(2, has_rest=False)
    assert several[-1] == f"Nome: {told} E-mail: {told} This row is longer than is allowed."

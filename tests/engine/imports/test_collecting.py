"""The rows that were refused are found again by line, and come exactly as they stand in the file."""

import csv
import io
import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.generate import generate
from src.domain.datasets import ATENDIMENTOS
from src.engine.imports.loading import collect_rows
from src.engine.reading.detect import detect
from src.engine.reading.faults import SCHEMA
from src.engine.values import Column, Detected
from tests.engine.importing import LIMITS, collect_here, load_here, plan_of, reading
from tests.engine.making import Make, parquet_bytes, workbook_bytes
from tests.engine.processes import mine
from tests.engine.reading.test_splitting import by_csv

TWO = reading(["a", "b"])
CELLS = st.text(st.sampled_from(list('ab",\n\r é')), max_size=5)


def written(path: Path, lines: list[int], code: str = "missing") -> Path:
    """A file of faults, as others write them."""
    faults = [{"line": line, "column": "a", "code": code, "value": "", "detail": ""} for line in lines]
    pq.write_table(pa.Table.from_pylist(faults, SCHEMA), path)
    return path


def cells_of(found: list[dict[str, Any]]) -> list[tuple[int, list[str]]]:
    return [(fault["line"], fault["cells"]) for fault in found]


class TestDelimited:
    def test_rows_come_as_they_stand_whatever_is_wrong_with_them(self, make: Make, tmp_path: Path) -> None:
        path = make(b'a,b\n1,"x\ny"\n 2 ,"p""q"\n3\n4,"z\n5,\xe9\n6,' + b"x" * 60 + b"\n\n7,8,9\n")
        limits = replace(LIMITS, record_bytes=50)
        faults = written(tmp_path / "faults", [4, 5, 6, 7, 8, 10, 2])
        found = cells_of(collect_here(path, TWO, [faults], tmp_path, limits=limits, encoding="utf-8"))
        assert found == [
            (2, ["1", "x\ny"]),
            (4, [" 2 ", 'p"q']),
            (5, ["3"]),
            (6, ['4,"z']),
            (7, ["5", "é"]),
            (8, ["6," + "x" * 60]),
            (10, ["7", "8", "9"]),
        ]

    def test_faults_of_several_files_are_put_in_order(self, make: Make, tmp_path: Path) -> None:
        path = make(b"a,b\n1,2\n3,4\n")
        files = [written(tmp_path / "one", [3, 2], "missing"), written(tmp_path / "two", [3], "duplicate")]
        found = collect_here(path, TWO, files, tmp_path)
        assert [(fault["line"], fault["code"], fault["cells"]) for fault in found] == [
            (2, "missing", ["1", "2"]),
            (3, "missing", ["3", "4"]),
            (3, "duplicate", ["3", "4"]),
        ]

    def test_a_line_that_no_row_starts_on_has_no_cells(self, make: Make, tmp_path: Path) -> None:
        path = make(b'a,b\n1,"2\n3"\n')
        found = collect_here(path, TWO, [written(tmp_path / "faults", [0, 1, 3, 99])], tmp_path)
        assert cells_of(found) == [(0, []), (1, []), (3, []), (99, [])]

    def test_without_faults_there_is_nothing(self, make: Make, tmp_path: Path) -> None:
        assert collect_here(make(b"a,b\n1,2\n"), TWO, [written(tmp_path / "faults", [])], tmp_path) == []

    def test_another_encoding_is_read_as_the_load_read_it(self, make: Make, tmp_path: Path) -> None:
        path, faults = make("a,b\né,ó\n".encode("cp1252")), written(tmp_path / "faults", [2])
        assert cells_of(collect_here(path, TWO, [faults], tmp_path)) == [(2, ["é", "ó"])]
        assert cells_of(collect_here(path, TWO, [faults], tmp_path, encoding="iso8859-5")) == [
            (2, ["щ", "ѓ"])
        ]

    @settings(deadline=None, max_examples=50)
    @given(rows=st.lists(st.lists(CELLS, min_size=2, max_size=2).filter(any), min_size=1, max_size=6))
    def test_any_row_comes_as_python_reads_it(
        self, rows: list[list[str]], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        folder = tmp_path_factory.mktemp("rows")
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator="\n").writerows([["a", "b"], *rows])
        (folder / "file").write_bytes(out.getvalue().encode())
        expected = by_csv(out.getvalue(), ",", '"')[1:]
        faults = written(folder / "faults", [line for line, _ in reversed(expected)])
        assert cells_of(collect_here(folder / "file", TWO, [faults], folder)) == expected

    def test_all_planted_rejects_are_found_exactly(self, tmp_path: Path) -> None:
        made = generate("atendimentos", 5_000, tmp_path, bad=0.2)
        detected = detect(made.dirty, "a.csv", LIMITS)
        load_here(made.dirty, plan_of(detected, ATENDIMENTOS.fields), tmp_path / "out")
        found = collect_here(made.dirty, detected, [tmp_path / "out" / "faults.parquet"], tmp_path)
        planted = [json.loads(line) for line in made.rejects.read_text().splitlines()]
        assert cells_of(found) == [(fault["line"], fault["cells"]) for fault in planted]


class TestOtherFormats:
    def test_workbooks(self, make: Make, tmp_path: Path) -> None:
        path = make(workbook_bytes({"A": [["a", "b"], [1, 2.5], [], [date(2021, 6, 30), " x "]]}))
        found = collect_here(path, detect(path, "a"), [written(tmp_path / "faults", [4, 2])], tmp_path)
        assert cells_of(found) == [(2, ["1", "2.5"]), (4, ["2021-06-30", " x "])]

    def test_json_lines(self, make: Make, tmp_path: Path) -> None:
        path = make(b'{"a": 1.50, "b": "x"}\nnot json\n{"b": "y"}\n')
        detected = replace(TWO, format="jsonl", delimiter=None, quote=None)
        found = collect_here(path, detected, [written(tmp_path / "faults", [3, 2, 1])], tmp_path)
        assert cells_of(found) == [(1, ["1.50", "x"]), (2, ["not json"]), (3, ["", "y"])]

    def test_parquet_files(self, make: Make, tmp_path: Path) -> None:
        path = make(parquet_bytes("select i as a, case when i > 5 then 'x' end as b from range(50000) t(i)"))
        detected = Detected(
            format="parquet", packing="none", media_type="", columns=(Column(name="a"), Column(name="b"))
        )
        found = collect_here(path, detected, [written(tmp_path / "faults", [40_000, 1])], tmp_path)
        assert cells_of(found) == [(1, ["0", ""]), (40_000, ["39999", "x"])]


def test_the_child_writes_the_same(make: Make, tmp_path: Path) -> None:
    path = make(b"a,b\n1,2\n3,4\n")
    faults = written(tmp_path / "faults", [3])
    count = collect_rows(path, TWO, faults, tmp_path / "target", work_dir=tmp_path, limits=LIMITS)
    found = pq.read_table(tmp_path / "target").to_pylist()
    assert (count, cells_of(found), mine()) == (1, [(3, ["3", "4"])], [])


def test_arrow_loads_no_pandas_into_the_child(make: Make, tmp_path: Path) -> None:
    (tmp_path / "pandas.py").write_text(f"open({str(tmp_path / 'loaded')!r}, 'w')")
    sandbox = replace(LIMITS.sandbox, environment={"PYTHONPATH": str(tmp_path)})
    faults = written(tmp_path / "faults", [2])
    limits = replace(LIMITS, sandbox=sandbox)
    collect_rows(make(b"a,b\n1,2\n"), TWO, faults, tmp_path / "target", work_dir=tmp_path, limits=limits)
    assert not (tmp_path / "loaded").exists()

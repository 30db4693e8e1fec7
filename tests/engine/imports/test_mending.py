"""The table of rejects goes out and comes back: unchanged it means the same, mended it means what was mended."""

import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.engine.export import as_meant, csv_lines, harmless, xlsx_file
from src.engine.imports.mending import read_mended
from src.engine.imports.rejects import rejected_rows, table_columns
from src.engine.imports.returned import BadCorrections, NotTheRejects, places_of, read_as_table
from src.engine.reading.detect import detect
from src.engine.reading.faults import WITH_CELLS
from src.engine.sandbox import ignore_progress
from tests.engine.importing import LIMITS
from tests.engine.making import SANDBOX

HEADERS = ["Id", "Valor", "=Nota", "Id"]
SIGNS = list("'=+-@\t\r\n7a,;\"|_ é.0")
TEXTS = st.text(st.sampled_from(SIGNS), max_size=6)
ANY_TEXTS = st.text(st.sampled_from([*SIGNS, "\0", "\x01"]), max_size=6)  # much of that makes no text file


def rows_of(texts: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    return st.lists(st.lists(texts, min_size=4, max_size=4), min_size=1, max_size=4)


def rejects(path: Path, rows: dict[int, list[str]], codes: dict[int, str] | None = None) -> Path:
    """A file of rejects with these rows, by line."""
    faults = [
        {
            "line": line,
            "column": "Valor",
            "code": (codes or {}).get(line, "missing"),
            "value": "",
            "detail": "",
            "cells": cells,
        }
        for line, cells in rows.items()
    ]
    pq.write_table(pa.Table.from_pylist(faults, WITH_CELLS), path)
    return path


def sheet(path: Path, *, has_rest: bool = False) -> list[list[Any]]:
    """The table that goes out."""
    cells = [row.as_cells(len(HEADERS), has_rest=has_rest) for row in rejected_rows(path)]
    return [table_columns(HEADERS, has_rest=has_rest), *cells]


def written(table: list[list[Any]], form: str, folder: Path) -> Path:
    path = folder / f"table.{form}"
    if form == "csv":
        path.write_text("".join(csv_lines(table[0], table[1:])), newline="")
    else:
        path.write_bytes(b"".join(xlsx_file(table[0], table[1:])))
    return path


def back(
    path: Path, former: Path, folder: Path, **options: Any
) -> tuple[dict[int, list[str]], dict[int, str]]:
    """What becomes of a table that comes back: the rows to load, and what is left aside."""
    table = read_as_table(path, detect(path, path.name, LIMITS), limits=LIMITS, **options)
    arguments = {
        "path": str(path),
        "detected": asdict(table),
        "rejects": str(former),
        "headers": HEADERS,
        "marks": {"1": ","},
        "is_encoding_given": False,
        "is_sheet_given": False,
        "rows": str(folder / "rows.parquet"),
        "left": str(folder / "left.parquet"),
        "limits": asdict(LIMITS),
    }
    counts = read_mended(json.loads(json.dumps(arguments)), folder, SANDBOX, ignore_progress)
    rows = {row["line"]: row["cells"] for row in pq.read_table(folder / "rows.parquet").to_pylist()}
    left = {row["line"]: row["code"] for row in pq.read_table(folder / "left.parquet").to_pylist()}
    assert (counts["mended"], counts["refused"] + counts["unknown"]) == (len(rows), len(left))
    return rows, left


@given(TEXTS)
def test_what_is_made_harmless_is_as_it_was_when_it_comes_back(text: str) -> None:
    assert as_meant(harmless(text)) == text


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("'-7a", "-7a"), ("-7a", "-7a"), ("'tis", "'tis"), ("'-7", "-7"), ("''=x", "'=x"), ("O'Neil", "O'Neil")],
)
def test_a_clerk_may_write_the_apostrophe_or_not(typed: str, meant: str) -> None:
    assert as_meant(typed) == meant


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["csv", "xlsx"]).flatmap(
        lambda form: st.tuples(st.just(form), rows_of(TEXTS if form == "csv" else ANY_TEXTS))
    )
)
def test_every_value_comes_back_as_it_was(sent: tuple[str, list[list[str]]]) -> None:
    form, rows = sent
    with TemporaryDirectory() as name:
        folder = Path(name)
        former = {line * 2: cells for line, cells in enumerate(rows, 1)}
        path = rejects(folder / "former.parquet", former)
        assert back(written(sheet(path), form, folder), path, folder) == (former, {})


@pytest.fixture
def former(tmp_path: Path) -> Path:
    rows = {
        2: ["1", "x", "a", "b"],
        5: ["2", "1,5", "'=c", "x" * 40_000],
        9: ["3;4"],
        11: ["5", "6", "7", "8", "9"],
    }
    codes = {9: "broken_quotes", 11: "wrong_column_count"}
    return rejects(tmp_path / "former.parquet", rows, codes)


class TestWhatComesBack:
    @pytest.mark.parametrize("form", ["csv", "xlsx"])
    def test_rows_without_a_shape_keep_their_faults_until_somebody_looked_at_them(
        self, former: Path, tmp_path: Path, form: str
    ) -> None:
        table = sheet(former, has_rest=True)
        rows, left = back(written(table, form, tmp_path), former, tmp_path)
        assert (set(rows), left) == ({2, 5}, {9: "broken_quotes", 11: "wrong_column_count"})
        assert len(rows[5][3]) == 40_000
        table[3][:2], table[4][8] = ["3", "4"], ""
        table[4][6] = ""
        rows, left = back(written(table, form, tmp_path), former, tmp_path)
        assert (rows[9], rows[11], left) == (["3", "4", "", ""], ["5", "6", "7", "8"], {})

    def test_cells_right_of_the_header_are_not_dropped_unseen(self, former: Path, tmp_path: Path) -> None:
        table = sheet(former, has_rest=True)
        assert table[4][8] == "9"
        table[4][1] = "60"
        _, left = back(written(table, "csv", tmp_path), former, tmp_path)
        assert left[11] == "wrong_column_count"

    def test_columns_may_be_moved_or_left_out_and_rows_too(self, former: Path, tmp_path: Path) -> None:
        table = [[row[4], row[1], row[0]] for row in (sheet(former)[at] for at in (0, 2, 1))]
        table[1][1] = "mended"
        rows, _ = back(written(table, "csv", tmp_path), former, tmp_path)
        assert rows == {2: ["1", "x", "a", "b"], 5: ["2", "mended", "'=c", "x" * 40_000]}

    @pytest.mark.parametrize("form", ["csv", "xlsx"])
    @pytest.mark.parametrize("name", ["VALOR", "valor ", "Välor", "-Valor-", "'Valor"])
    def test_a_header_is_known_however_it_is_written(
        self, former: Path, tmp_path: Path, form: str, name: str
    ) -> None:
        table = sheet(former)[:2]
        table[0][1], table[1][1] = name, "mended"
        rows, _ = back(written(table, form, tmp_path), former, tmp_path)
        assert rows == {2: ["1", "mended", "a", "b"]}

    def test_what_was_added_is_known_however_it_is_written(self, former: Path, tmp_path: Path) -> None:
        table = sheet(former, has_rest=True)
        table[0][4:] = [name.upper() for name in table[0][4:]]
        table[3][6], table[4][1] = "", "60"
        rows, left = back(written(table, "csv", tmp_path), former, tmp_path)
        assert (sorted(rows), left) == ([2, 5, 9], {11: "wrong_column_count"})

    def test_columns_of_ones_own_are_passed_over_and_so_are_empty_ones_without_a_header(
        self, former: Path, tmp_path: Path
    ) -> None:
        table = [[*row, more, ""] for row, more in zip(sheet(former)[:2], ["_note", "called"], strict=True)]
        assert back(written(table, "csv", tmp_path), former, tmp_path)[0] == {2: ["1", "x", "a", "b"]}

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda table: table[0].__setitem__(1, "Amount"), "has no column «Amount». It lacks «Valor»"),
            (lambda table: table[0].__setitem__(3, "Valor"), "has the column «Valor» more often"),
            (lambda table: table[0].__setitem__(5, "Column"), "has no column «Column»"),
            (
                lambda table: table[0].__setitem__(slice(1, 3), ["valor", "VALOR"]),
                "no column «valor», «VALOR»",
            ),
            (lambda table: table[0].__setitem__(1, ""), "«x» stands in a column without a header"),
        ],
    )
    def test_a_column_that_is_not_found_is_refused_by_its_name(
        self, former: Path, tmp_path: Path, spoil: Any, message: str
    ) -> None:
        table = sheet(former)[:2]
        spoil(table)
        with pytest.raises(BadCorrections, match=message):
            back(written(table, "csv", tmp_path), former, tmp_path)

    def test_headers_that_are_alike_are_told_apart_as_they_are_written(self) -> None:
        places = places_of(["_line", "name", "NAME", "Name"], ["NAME", "Name", "name"])
        assert places.cells == (2, 3, 1)
        with pytest.raises(BadCorrections, match="«náme»"):
            places_of(["_line", "náme"], ["NAME", "Name"])

    def test_headers_in_other_letters_are_not_taken_for_each_other(self) -> None:
        assert places_of(["_line", "ГОРОД 1"], ["Имя 1", "Город 1"]).cells == (None, 1)
        with pytest.raises(BadCorrections, match="«Город 1». It lacks «Имя 1»"):
            places_of(["_line", "Город 1"], ["Имя 1"])

    @pytest.mark.parametrize("delimiter", [";", "\t", "|"])
    def test_a_spreadsheet_may_have_saved_it_in_its_own_way(
        self, former: Path, tmp_path: Path, delimiter: str
    ) -> None:
        lines = [delimiter.join(f'"{cell}"' for cell in row) for row in sheet(former)[:2]]
        path = tmp_path / "table.csv"
        path.write_bytes("\r\n".join(lines).replace('"x"', '"é"').encode("cp1252"))
        assert back(path, former, tmp_path)[0] == {2: ["1", "é", "a", "b"]}

    def test_a_number_that_was_typed_has_the_mark_of_its_column(self, former: Path, tmp_path: Path) -> None:
        table = sheet(former)[:3]
        table[1][1], table[2][1] = 10.5, 7
        rows, _ = back(written(table, "xlsx", tmp_path), former, tmp_path)
        assert (rows[2][1], rows[5][1]) == ("10,5", "7")

    def test_lines_that_are_refused_no_more_are_left_alone(self, former: Path, tmp_path: Path) -> None:
        table = sheet(former)[:2]
        table[1][4] = 3
        assert back(written(table, "csv", tmp_path), former, tmp_path) == ({}, {3: "already_loaded"})

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda table: table[1].__setitem__(4, "x"), "«x» is no _line"),
            (lambda table: table[1].__setitem__(4, ""), "«» is no _line"),
            (lambda table: table[2].__setitem__(4, 2), "Line 2 occurs a second time"),
            (lambda table: table[2].pop(), "Row 3 of the table: This row has more or fewer columns"),
        ],
    )
    def test_a_table_that_cannot_be_understood_is_refused_whole(
        self, former: Path, tmp_path: Path, spoil: Any, message: str
    ) -> None:
        table = sheet(former)[:3]
        spoil(table)
        with pytest.raises(BadCorrections, match=message):
            back(written(table, "csv", tmp_path), former, tmp_path)

    def test_another_table_is_told_apart(self, former: Path, tmp_path: Path) -> None:
        path = written([["Id", "Valor"], ["1", "2"]], "csv", tmp_path)
        with pytest.raises(NotTheRejects, match="_line"):
            back(path, former, tmp_path)

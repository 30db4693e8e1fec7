"""What no step touched comes out as it went in, whatever the file is, and whichever it becomes."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from src.domain.errors import DomainError
from src.engine.queries.rows import Rows, scan
from src.engine.queries.running import run_query
from src.engine.queries.values import Query, TableFile
from src.engine.sandbox import Stopped
from src.engine.values import Regular
from tests.engine.making import Make, csv_bytes, gzipped, parquet_bytes, workbook_bytes
from tests.engine.queries.asking import (
    EXAMPLES,
    LIMITS,
    ask,
    read_back,
    reading,
    run,
    table_file,
    unchanged,
    written,
)

CELLS = st.one_of(
    st.none(),
    st.text(st.sampled_from(list("ab\"',;\n\r é漢😀\t|0")), max_size=6),
    st.sampled_from(["007", "1.10", "-5", "1e5", "true", "", " ", "NULL", "\\N", "2024-02-30"]),
)
HARMLESS = CELLS.filter(lambda cell: not cell or cell.lstrip("'")[:1] not in ("\t", "\r"))


@st.composite
def tables(draw: st.DrawFn) -> list[list[str | None]]:
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(HARMLESS, min_size=width, max_size=width), max_size=12))
    return rows if width > 1 else [[row[0] or "x"] for row in rows]


@settings(deadline=None, max_examples=EXAMPLES)
@given(tables(), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_untouched_values_come_out_unchanged(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str | None]], end: str, is_converted: bool
) -> None:
    folder = tmp_path_factory.mktemp("query")
    names = [f"name {place}" for place in range(len(rows[0]) if rows else 2)]
    path = folder / "a.csv"
    path.write_bytes(written([names, *rows], end))
    file = table_file(path, reading(names))
    assert file.regular
    if is_converted:
        file = replace(file, regular=None)
    ran = run(unchanged, {"input": file}, folder / "out.csv")
    assert (ran.rows_in, ran.rows_out) == ({"input": len(rows)}, len(rows))
    assert read_back((folder / "out.csv").read_bytes()) == [names, *rows]


ROWS: Sequence[Sequence[str]] = (
    ["id", "Name", "name", "price", "day"],
    ["007", 'Zé "o"', "a\nb", "1.10", "01/02/2024"],
    ["008", "", "x,y", "-2", "28/02/2024"],
)


class TestForms:
    def test_jsonl(self, make: Make, tmp_path: Path) -> None:
        run(unchanged, {"input": table_file(make(csv_bytes(ROWS)))}, tmp_path / "out", "jsonl")
        lines = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
        header, *rows = ROWS
        assert lines == [dict(zip(header, [cell or None for cell in row], strict=True)) for row in rows]

    def test_parquet(self, make: Make, tmp_path: Path) -> None:
        run(unchanged, {"input": table_file(make(csv_bytes(ROWS)))}, tmp_path / "out", "parquet")
        table = pq.read_table(tmp_path / "out")
        assert table.column_names == ROWS[0]
        found = [list(row) for row in zip(*(column.to_pylist() for column in table.columns), strict=True)]
        assert found == [[cell or None for cell in row] for row in ROWS[1:]]

    def test_xlsx_has_numbers_where_they_show_as_written(self, make: Make, tmp_path: Path) -> None:
        run(unchanged, {"input": table_file(make(csv_bytes(ROWS)))}, tmp_path / "out", "xlsx")
        found = CalamineWorkbook.from_path(tmp_path / "out").get_sheet_by_index(0).to_python()
        assert found == [
            list(ROWS[0]),
            ["007", 'Zé "o"', "a\nb", "1.10", "01/02/2024"],
            ["008", "", "x,y", -2.0, "28/02/2024"],
        ]

    @pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "xlsx"])
    def test_the_same_rows_give_the_same_bytes(self, make: Make, tmp_path: Path, form: str) -> None:
        file = table_file(make(csv_bytes([["a", "b"], *([f"{n}", f"text {n}"] for n in range(3_000))])))
        for name in ("one", "two"):
            run(unchanged, {"input": file}, tmp_path / name, form)
        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()

    def test_formulas_are_made_harmless_but_numbers_are_not_touched(self, make: Make, tmp_path: Path) -> None:
        cells = ["=1+1", "+5", "-5", "-a", "@x", "\tx", "-1e5", "+", "a=b", "-1.5"]
        content = csv_bytes([["=h", "b"], *([cell, "t"] for cell in cells)], quoting=1)
        shown = ["'=1+1", "+5", "-5", "'-a", "'@x", "'\tx", "-1e5", "'+", "a=b", "-1.5"]
        file = table_file(make(content))
        assert ask(unchanged, file) == [["'=h", "b"], *([cell, "t"] for cell in shown)]
        run(unchanged, {"input": file}, tmp_path / "out.jsonl", "jsonl")
        lines = (tmp_path / "out.jsonl").read_text().splitlines()
        assert [json.loads(line)["=h"] for line in lines] == cells

    @pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "xlsx"])
    def test_no_rows(self, make: Make, tmp_path: Path, form: str) -> None:
        def none(rows: Rows) -> Rows:
            return rows.where(rows.text("a") == "nothing")

        ran = run(none, {"input": table_file(make(b"a,b\n1,2\n"))}, tmp_path / "out", form)
        assert ran.rows_out == 0
        if form == "csv":
            assert (tmp_path / "out").read_bytes() == b"a,b\n"


@pytest.mark.parametrize(
    "content",
    [
        csv_bytes(ROWS, delimiter=";", lineterminator="\r\n"),
        csv_bytes(ROWS, delimiter="|", quotechar="'", quoting=csv.QUOTE_ALL),
        csv_bytes(ROWS, encoding="cp1252"),
        csv_bytes(ROWS, encoding="utf-8-sig"),
        b"\xff\xfe" + csv_bytes(ROWS, encoding="utf-16-le"),
        gzipped(csv_bytes(ROWS)),
        csv_bytes(ROWS[:2], lineterminator="\r\n") + csv_bytes(ROWS[2:]),
        workbook_bytes({"s": [list(row) for row in ROWS]}),
        "\n".join(json.dumps(dict(zip(ROWS[0], row, strict=True))) for row in ROWS[1:]).encode(),
        parquet_bytes(
            "select * from (values ('007', 'Zé \"o\"', e'a\\nb', '1.10', '01/02/2024'), "
            "('008', null, 'x,y', '-2', '28/02/2024')) t(id, Name, other, price, day)"
        ),
    ],
    ids=["crlf", "quotes", "cp1252", "bom", "utf-16", "gzip", "mixed ends", "workbook", "jsonl", "parquet"],
)
def test_every_kind_of_file_is_read(make: Make, content: bytes) -> None:
    assert ask(unchanged, make(content))[1:] == [list(row) for row in ROWS[1:]]


def test_a_wide_file_keeps_its_rows_together(make: Make) -> None:
    rows = [[f"{row}.{place}" for place in range(250)] for row in range(200)]
    content = csv_bytes([[f"n{place}" for place in range(250)], *rows])
    file = table_file(make(content))
    assert ask(unchanged, replace(file, regular=None))[1:] == ask(unchanged, file)[1:] == rows


class TestDistrust:
    def test_a_file_that_is_read_otherwise_than_proven_is_read_again_with_care(
        self, make: Make, tmp_path: Path
    ) -> None:
        path = make(b"a,b\n1,2\n3,4\n")
        file = replace(table_file(path), regular=Regular(2, 9, ",", '"'))
        ran = run(unchanged, {"input": file}, tmp_path / "out")
        assert (ran.rows_in, ran.rows_out) == ({"input": 2}, 2)

    @pytest.mark.parametrize(
        ("content", "line"),
        [
            (b"a,b\n1,2\n3\n", "Line 3"),
            (b'a,b\n1,2\n"3,4\n', "Line 3"),
            (b"a,b\n1,2\n3,4,5\n", "Line 3"),
            (b"\xef\xbb\xbfa,b\n1,\xff\n", "Line 2"),
        ],
    )
    def test_a_malformed_file_is_refused_with_its_line(
        self, make: Make, tmp_path: Path, content: bytes, line: str
    ) -> None:
        file = TableFile(make(content), reading(["a", "b"]))
        with pytest.raises(DomainError, match=line):
            run(unchanged, {"input": file}, tmp_path / "out")


class TestInTheChild:
    def test_a_query_runs_there(self, make: Make, tmp_path: Path) -> None:
        file = table_file(make(b"a,b\n1,2\n3,4\n"))
        rows = scan("input", file.detected.columns)
        ran = run_query(
            Query(rows.where(rows.value("a") > 1), {"input": file}),
            tmp_path / "out",
            work_dir=tmp_path,
            limits=LIMITS,
        )
        assert (ran.rows_in, ran.rows_out) == ({"input": 2}, 1)
        assert (tmp_path / "out").read_bytes() == b"a,b\n3,4\n"

    def test_it_stops_when_asked_to(self, make: Make, tmp_path: Path) -> None:
        file = table_file(make(b"a,b\n1,2\n"))
        rows = scan("input", file.detected.columns)
        with pytest.raises(Stopped):
            run_query(
                Query(rows, {"input": file}),
                tmp_path / "out",
                work_dir=tmp_path,
                limits=LIMITS,
                should_stop=lambda: True,
            )

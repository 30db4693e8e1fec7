"""A load: good rows come out as COPY bytes, all others as faults with their lines, whatever the file is."""

import csv
import json
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from bench.generate import generate
from src.domain.datasets import ATENDIMENTOS, CLIENTS, DATASETS, TRANSACTIONS, Dataset, Field, FieldType
from src.domain.errors import DomainError
from src.domain.rejects import MESSAGES
from src.engine.imports.loading import load
from src.engine.imports.plans import Loaded, LoadPlan, staging_types
from src.engine.reading.detect import detect
from src.engine.sandbox import EngineCrashed, EngineOutOfMemory, EngineTimeout, Stopped
from src.engine.values import Column
from tests.engine.importing import LIMITS, Result, collect_here, load_csv, load_here, plan_of, reading
from tests.engine.making import (
    Make,
    csv_bytes,
    gzipped,
    parquet_bytes,
    with_cells,
    with_error_cells,
    workbook_bytes,
    zipped,
)
from tests.engine.processes import mine

pytestmark = pytest.mark.xdist_group("large")  # what they share takes a while to make

LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999)
ID = Field(name="id", type="identifier", is_required=True)
NAME = Field(name="name", type="text", max_length=20)
WHEN = Field(name="when", type="datetime")
AMOUNT = Field(name="amount", type="decimal")
TWO = [ID, NAME]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file that keeps a child busy for a while."""
    path = tmp_path_factory.mktemp("large") / "large.csv"
    rows = (f"{number},name {number},2021-06-30 15:30,{number}.25\n" for number in range(300_000))
    path.write_text("id,name,when,amount\n" + "".join(rows))
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def plan(large: Path) -> LoadPlan:
    return plan_of(detect(large, "a.csv", LIMITS), [ID, NAME, WHEN, AMOUNT])


def faults_of(result: Result) -> list[tuple[int, str, str, str]]:
    return [(fault["line"], fault["column"], fault["code"], fault["value"]) for fault in result.faults]


def plan_for(path: Path, dataset: Dataset) -> LoadPlan:
    detected = detect(path, "a.csv", LIMITS)
    fields = [dataset.field(column.name) for column in detected.columns]
    return plan_of(detected, fields, rules=dataset.rules)


class TestShapes:
    def test_each_broken_row_is_named_and_the_others_are_loaded(self, make: Make, tmp_path: Path) -> None:
        path = make(
            b'id,name\n1,a\n\n2,"b\r\nb"\n3\n4,"x\n5,e,f\n6,"a"b\n7,\xe9\n8,"""q"""\n9,'
            + b"x" * 60
            + b"\n10,\xc3\xa9"
        )
        limits = replace(LIMITS, record_bytes=50)
        result = load_here(path, plan_of(reading(["id", "name"]), TWO), tmp_path / "out", limits=limits)
        assert result.rows == [(2, "1", "a"), (4, "2", "b\r\nb"), (11, "8", '"q"'), (13, "10", "é")]
        assert [(*fault[:3], fault[3][:8]) for fault in faults_of(result)] == [
            (6, "", "wrong_column_count", "3"),
            (7, "", "broken_quotes", '4,"x'),
            (8, "", "wrong_column_count", "5,e,f"),
            (9, "", "broken_quotes", '6,"a"b'),
            (10, "", "invalid_encoding", "7,é"),
            (12, "", "giant_line", "9,xxxxxx"),
        ]
        offset = path.read_bytes().index(b"\xe9")
        assert result.faults[4]["detail"] == f"The first such byte is 0xE9, at offset {offset} of the text."
        assert result.loaded.rows_read == 10
        assert result.loaded.summary[""]["broken_quotes"] == 2

    def test_a_row_may_have_several_faults_and_counts_once(self, make: Make, tmp_path: Path) -> None:
        path = make(b"id,name,when\n,toolong toolong toolong,now\n1,a,2021-06-30\n")
        result = load_csv(path, [ID, NAME, WHEN], tmp_path)
        assert result.codes == [(2, "id", "missing"), (2, "name", "too_long"), (2, "when", "not_a_date")]
        assert (result.loaded.rows_rejected, result.loaded.rows_good) == (1, 1)
        assert result.loaded.summary == {
            "id": {"missing": 1},
            "name": {"too_long": 1},
            "when": {"not_a_date": 1},
        }

    def test_columns_come_in_the_order_of_the_plan_and_others_are_left_out(
        self, make: Make, tmp_path: Path
    ) -> None:
        path = make("name;x;Código\nAna;;7\n".encode())
        plan = plan_of(detect(path, "a"), [replace(ID, name="Código"), NAME])
        assert load_here(path, plan, tmp_path / "out").rows == [(2, "7", "Ana")]

    def test_without_a_header_the_first_line_is_a_row(self, make: Make, tmp_path: Path) -> None:
        detected = reading(["column_1", "column_2"], has_header=False)
        assert load_here(make(b"\n1,a\n2,b"), plan_of(detected, TWO), tmp_path / "out").rows == [
            (2, "1", "a"),
            (3, "2", "b"),
        ]

    def test_a_mark_within_the_text_is_a_character(self, make: Make, tmp_path: Path) -> None:
        path = make("id,name\n\ufeff1,a\n".encode())
        detected = reading(["id", "name"])
        assert load_here(path, plan_of(detected, TWO), tmp_path / "out").rows == [(2, "\ufeff1", "a")]

    def test_a_value_is_kept_as_it_stands_up_to_a_thousand_characters(
        self, make: Make, tmp_path: Path
    ) -> None:
        result = load_csv(make(f"id,name\n1, {'é' * 2000}\n2,b\n".encode()), TWO, tmp_path)
        assert result.faults[0]["value"] == " " + "é" * 999

    def test_a_file_with_no_rows_gives_none(self, make: Make, tmp_path: Path) -> None:
        result = load_here(make(b"id,name\n"), plan_of(reading(["id", "name"]), TWO), tmp_path / "out")
        assert (result.rows, result.faults, result.loaded.rows_read) == ([], [], 0)

    def test_a_single_column_is_read_too(self, make: Make, tmp_path: Path) -> None:
        detected = reading(["id"], delimiter=None)
        result = load_here(make(b'id\n"a,b"\n\n""\n'), plan_of(detected, [ID]), tmp_path / "out")
        assert (result.rows, result.codes) == ([(2, "a,b")], [(4, "id", "missing")])

    def test_too_many_rejects_end_it_with_those_in_the_file(self, make: Make, tmp_path: Path) -> None:
        path = make(b"id,name\n" + b"1,a\n,b\n" * 10)
        plan = plan_of(detect(path, "a"), TWO)
        cut = load_here(path, plan, tmp_path / "out", most_rejects=9)
        assert (cut.loaded.is_whole, len(cut.faults)) == (False, 10)
        whole = load_here(path, plan, tmp_path / "out", most_rejects=10)
        assert (whole.loaded.is_whole, whole.loaded.rows_good) == (True, 10)

    @pytest.mark.parametrize("code", sorted(MESSAGES))
    def test_every_code_has_a_sentence(self, code: str) -> None:
        assert MESSAGES[code].endswith(".")


class TestEncodings:
    @pytest.mark.parametrize(
        ("content", "encoding", "is_recoded"),
        [
            ("id,name\n1,João\n".encode(), "utf-8", False),
            ("\ufeffid,name\n1,João\n".encode(), "utf-8", False),
            ("id,name\n1,João\n".encode("cp1252"), "cp1252", True),
            ("\ufeffid,name\n1,João\n".encode("utf-16-le"), "utf-16-le", False),
            ("\ufeffid,name\r\n1,João\r\n".encode("utf-16-be"), "utf-16-be", False),
        ],
    )
    def test_the_whole_file_decides(
        self, make: Make, tmp_path: Path, content: bytes, encoding: str, is_recoded: bool
    ) -> None:
        result = load_csv(make(content), TWO, tmp_path)
        assert result.rows == [(2, "1", "João")]
        assert (result.loaded.encoding, result.loaded.is_recoded) == (encoding, is_recoded)

    def test_what_the_head_says_may_be_overruled(self, make: Make, tmp_path: Path) -> None:
        path = make("id,name\n1,João\n".encode() + "2,José\n3,Zé\n".encode("latin-1"))
        result = load_here(path, plan_of(reading(["id", "name"]), TWO), tmp_path / "out")
        assert [row[2] for row in result.rows] == ["JoÃ£o", "José", "Zé"]
        assert result.loaded.is_recoded

    def test_what_is_given_decides(self, make: Make, tmp_path: Path) -> None:
        path = make("id,name\n1,a\n2,José\n3,Zé\n".encode("latin-1"))
        plan = plan_of(reading(["id", "name"]), TWO, is_encoding_given=True)
        result = load_here(path, plan, tmp_path / "out")
        assert result.codes == [(3, "", "invalid_encoding"), (4, "", "invalid_encoding")]
        assert [fault["value"] for fault in result.faults] == ["2,José", "3,Zé"]
        assert not result.loaded.is_recoded

    def test_half_a_character_of_utf16_costs_its_row(self, make: Make, tmp_path: Path) -> None:
        content = "\ufeffid,name\n1,a\n2,".encode("utf-16-le") + b"\x00\xd8" + "\n3,c\n".encode("utf-16-le")
        result = load_csv(make(content), TWO, tmp_path)
        assert (result.codes, len(result.rows)) == ([(3, "", "invalid_encoding")], 2)


class TestFormats:
    @pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
    @pytest.mark.parametrize("mark", [";", ",", "\t"])
    def test_a_line_that_names_the_delimiter_counts_as_a_line_only(
        self, make: Make, tmp_path: Path, codec: str, mark: str
    ) -> None:
        text = f"sep={mark}\nid{mark}name\n1{mark}a\n\nsep={mark}\n2{mark}b\n"
        result = load_csv(make(text.encode(codec)), TWO, tmp_path)
        assert result.rows == [(3, "1", "a"), (5, "sep=", None), (6, "2", "b")]
        assert result.faults == []

    def test_nor_is_it_a_row_without_a_header(self, make: Make, tmp_path: Path) -> None:
        detected = reading(["id", "name"], has_header=False)
        result = load_here(make(b"sep=,\n1,a\n"), plan_of(detected, TWO), tmp_path / "out")
        assert (result.rows, result.faults) == ([(2, "1", "a")], [])

    @pytest.mark.parametrize("pack", [gzipped, lambda content: zipped({"a.csv": content})])
    def test_archives_are_unpacked(self, make: Make, tmp_path: Path, pack: Any) -> None:
        assert load_csv(make(pack(b"id,name\n1,a\n")), TWO, tmp_path).rows == [(2, "1", "a")]

    @pytest.mark.parametrize("mark", [".", ","])
    def test_workbooks_have_typed_cells(self, make: Make, tmp_path: Path, mark: str) -> None:
        sheet: list[list[Any]] = [
            ["id", "name", "when", "amount"],
            [7.0, "Ana", datetime(2021, 6, 30, 15, 30), 9870.610000000001],
            [],
            ["007", 8.5, "30/06/2021", f"1{mark}25"],
            [1.0, "", "now", 1.125],
            ["", "x", "", ""],
        ]
        path = make(workbook_bytes({"A": sheet}))
        result = load_csv(path, [ID, NAME, WHEN, AMOUNT], tmp_path, decimal=mark, date_order="dmy")
        assert (
            result.rows
            == [
                (2, "7", "Ana", datetime(2021, 6, 30, 15, 30), Decimal("9870.61")),
                (4, "007", "8.5", datetime(2021, 6, 30), Decimal("1.25")),
            ]
            or mark == ","
        )
        assert result.rows[0][4] == Decimal("9870.61")
        assert result.codes == [
            (5, "when", "not_a_date"),
            (5, "amount", "too_many_decimals"),
            (6, "id", "missing"),
        ]

    @pytest.mark.parametrize("kind", get_args(FieldType))
    def test_an_error_of_a_workbook_is_a_fault_in_any_column(
        self, make: Make, tmp_path: Path, kind: FieldType
    ) -> None:
        fields = [ID, Field(name="other", type=kind, choices=("#N/A",))]
        book = workbook_bytes({"A": [["id", "other"], ["1", ""], ["2", "x"], ["x", "y"]]})
        path = make(with_error_cells(book, {"B3": "#N/A", "A4": "#REF!", "B4": "#DIV/0!"}))
        result = load_here(path, plan_of(detect(path, "a.xlsx"), fields), tmp_path / "out")
        assert result.rows == [(2, "1", None)]
        assert faults_of(result) == [
            (3, "other", "error_value", "#N/A"),
            (4, "id", "error_value", "#REF!"),
            (4, "other", "error_value", "#DIV/0!"),
        ]

    def test_a_formula_without_its_result_is_a_fault(self, make: Make, tmp_path: Path) -> None:
        book = workbook_bytes({"A": [["id", "amount"], ["1", 5], ["2", 6], ["3", 7], ["4", 8]]})
        written = {
            "B2": "><f>1000+234</f></c>",
            "A3": "><f>A2</f><v/></c>",
            "B4": ' t="str"><f>A1</f><v/></c>',
        }
        path = make(with_cells(book, written))
        result = load_here(path, plan_of(detect(path, "a.xlsx"), [ID, AMOUNT]), tmp_path / "out")
        assert result.rows == [(4, "3", None), (5, "4", Decimal(8))]
        assert faults_of(result) == [
            (2, "amount", "unsaved_formula", "=1000+234"),
            (3, "id", "unsaved_formula", "=A2"),
        ]

    def test_a_number_that_may_have_been_another_one_is_a_fault(self, make: Make, tmp_path: Path) -> None:
        rows: list[list[Any]] = [
            ["id", "name"],
            [1234567890123456, "a"],
            [2**53, "b"],
            [1e17, "c"],
            ["1", -1e20],
            [2, 1e15],
        ]
        path = make(workbook_bytes({"A": rows}))
        result = load_here(path, plan_of(detect(path, "a.xlsx"), TWO), tmp_path / "out")
        assert result.rows == [
            (2, "1234567890123456", "a"),
            (3, "9007199254740992", "b"),
            (6, "2", "1000000000000000"),
        ]
        assert faults_of(result) == [
            (4, "id", "inexact_number", "100000000000000000"),
            (5, "name", "inexact_number", "-100000000000000000000"),
        ]

    def test_an_error_in_a_column_that_is_not_loaded_does_no_harm(self, make: Make, tmp_path: Path) -> None:
        book = workbook_bytes({"A": [["id", "name", "note"], ["1", "a", "x"]]})
        path = make(with_error_cells(book, {"C2": "#N/A"}))
        result = load_here(path, plan_of(detect(path, "a.xlsx"), TWO), tmp_path / "out")
        assert (result.rows, result.faults) == ([(2, "1", "a")], [])

    def test_cells_right_of_the_header_are_too_many(self, make: Make, tmp_path: Path) -> None:
        path = make(workbook_bytes({"A": [["id", "name"], ["1", "a"], ["2", "b", "c"]]}))
        detected = replace(detect(path, "a"), columns=(Column(name="id"), Column(name="name")))
        result = load_here(path, plan_of(detected, TWO), tmp_path / "out")
        assert (result.rows, faults_of(result)) == (
            [(2, "1", "a")],
            [(3, "", "wrong_column_count", "2\tb\tc")],
        )

    def test_json_lines_are_read_line_by_line(self, make: Make, tmp_path: Path) -> None:
        lines = [
            b'{"id": 7.0, "name": "Ana", "amount": 1.25, "when": null}',
            b"",
            b'{"id": "7.0", "name": "a\\nb", "more": [1]}',
            b'{"id": 1, "name": ',
            b"[1]",
            b'{"id": 1, "id": 2}',
            b'{"id": 1, "name": "\xe9"}',
            b'{"id": 1, "name": "\\ud800"}',
            b'{"id": 1, "name": "a\\u0000"}',
            b'{"id": 1, "amount": NaN}',
            b'{"name": "x"}',
            b"[" * 100_000,
            b'{"id": 2, "name": "' + b"x" * 200_000 + b'"}',
            b'{"id": 3}',
        ]
        path = make(b"\n".join(lines))
        names = tuple(Column(name=name) for name in ("id", "name", "when", "amount"))
        detected = replace(reading([]), format="jsonl", columns=names)
        limits = replace(LIMITS, record_bytes=150_000)
        plan = plan_of(detected, [ID, NAME, WHEN, AMOUNT], is_encoding_given=True)
        result = load_here(path, plan, tmp_path / "out", limits=limits)
        assert result.rows == [
            (1, "7", "Ana", None, Decimal("1.25")),
            (3, "7.0", "a\nb", None, None),
            (14, "3", None, None, None),
        ]
        assert result.codes == [
            *((line, "", "not_json") for line in (4, 5, 6)),
            *((line, "", "invalid_encoding") for line in (7, 8)),
            (9, "name", "control_character"),
            (10, "", "not_json"),
            (11, "id", "missing"),
            (12, "", "not_json"),
            (13, "", "giant_line"),
        ]

    def test_parquet_files_have_typed_columns(self, make: Make, tmp_path: Path) -> None:
        query = """
            select * from (values
                (7.0::double, 'Ana', timestamptz '2021-06-30 15:30:00+00', 1.5000::decimal(9,4)),
                (8.0, null, timestamptz '2021-06-30 15:30:00+00', 1.1250), (null, 'x', null, null)
            ) t(id, name, "when", amount)
        """
        path = make(parquet_bytes(query))
        result = load_csv(
            path, [ID, NAME, WHEN, AMOUNT], tmp_path, decimal=",", time_zone="America/Sao_Paulo"
        )
        assert result.rows == [(1, "7", "Ana", datetime(2021, 6, 30, 12, 30), Decimal("1.50"))]
        assert result.codes == [(2, "amount", "too_many_decimals"), (3, "id", "missing")]
        assert result.loaded.encoding is None


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("1234567890123457", "1234567890123457"),
        ("1e15", "1000000000000000"),
        ("1e20", "100000000000000000000"),
        ("-7", "-7"),
        ("0.1 + 0.2", "0.3"),
        ("2.50", "2.5"),
        ("1e-5", "1e-05"),
        ("12345678901234.5", "12345678901234.5"),
        ("'nan'", None),
    ],
)
def test_numbers_of_parquet_keep_the_digits_of_ids(
    make: Make, tmp_path: Path, number: str, shown: str | None
) -> None:
    query = f"select cast({number} as double) as id, 'Ana' as name, '2021-06-30' as when, '1.50' as amount"
    result = load_csv(
        make(parquet_bytes(query.replace(" as when", ' as "when"'))), [ID, NAME, WHEN, AMOUNT], tmp_path
    )
    assert [row[1] for row in result.rows] == ([shown] if shown else [])


class TestAnyFile:
    """Whatever the bytes are: a result whose counts add up, or an error with a reason."""

    @settings(deadline=None)
    @given(
        content=st.binary(max_size=200)
        | st.lists(
            st.sampled_from(
                [b"id", b",", b"\n", b'"', b"\r", b"a", b"1", b"\0", "é".encode(), b"\xe9", b"\n\n", b";"]
            ),
            max_size=40,
        ).map(b"".join)
    )
    def test_bytes_never_break_it(self, content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
        folder = tmp_path_factory.mktemp("any")
        path = folder / "file"
        path.write_bytes(content)
        try:
            detected = detect(path, "a.csv", LIMITS)
            fields = [
                replace(field, name=f"f{place}")
                for place, field in enumerate(FUZZED[: len(detected.columns)])
            ]
            result = load_here(path, plan_of(detected, fields), folder / "out")
        except DomainError:
            return
        assert_adds_up(result)

    @settings(deadline=None, max_examples=50)
    @given(
        lines=st.lists(
            st.sampled_from(
                [
                    b"1,a,2021-06-30,5",
                    b'2,"b\nb",,',
                    b"3,c",
                    b',x,,"',
                    b'4,"d"d,,',
                    b"5,\xe9,,",
                    b"6,f,now,x",
                    b"",
                    b"\0,,,",
                ]
            ),
            max_size=12,
        ),
        line_end=st.sampled_from([b"\n", b"\r\n"]),
        longest=st.sampled_from([20, 1000]),
    )
    def test_every_row_is_good_or_rejected(
        self, lines: list[bytes], line_end: bytes, longest: int, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        folder = tmp_path_factory.mktemp("rows")
        path = folder / "file"
        path.write_bytes(line_end.join([b"id,name,when,amount", *lines]))
        plan = plan_of(reading(["id", "name", "when", "amount"]), FUZZED, is_encoding_given=True)
        result = load_here(path, plan, folder / "out", limits=replace(LIMITS, record_bytes=longest))
        assert_adds_up(result)
        assert [line for line, *_ in result.rows] == sorted({line for line, *_ in result.rows})
        limits = replace(LIMITS, record_bytes=longest)
        faults = [folder / "out" / "faults.parquet"]
        found = collect_here(path, plan.detected, faults, folder, encoding="utf-8", limits=limits)
        assert [{**fault, "cells": None} for fault in found] == [
            {**fault, "cells": None} for fault in result.faults
        ]
        assert all(fault["cells"] for fault in found)


FUZZED = [ID, NAME, WHEN, AMOUNT]


def assert_adds_up(result: Result) -> None:
    loaded, lines = result.loaded, [fault["line"] for fault in result.faults]
    assert loaded.rows_read == loaded.rows_good + loaded.rows_rejected
    assert loaded.rows_good == len(result.rows)
    assert loaded.rows_rejected == len(set(lines))
    assert lines == sorted(lines)
    assert not set(lines) & {row[0] for row in result.rows}
    assert sum(sum(codes.values()) for codes in loaded.summary.values()) == len(lines)
    assert {fault["code"] for fault in result.faults} <= set(MESSAGES)


class TestPlans:
    @pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
    def test_a_plan_survives_json(self, dataset: Dataset) -> None:
        detected = reading([field.name for field in dataset.fields])
        plan = plan_of(
            detected, dataset.fields, rules=dataset.rules, date_order="dmy", time_zone="Europe/Lisbon"
        )
        assert LoadPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan

    def test_staging_has_a_type_per_column(self) -> None:
        plan = plan_of(reading([field.name for field in CLIENTS.fields]), CLIENTS.fields)
        assert staging_types(plan) == ["text", "text", "text", "date", "text", "numeric(15,2)"]


class TestGeneratedFiles:
    @pytest.mark.parametrize("kind", ["atendimentos", "clients", "transactions"])
    def test_rows_and_rejects_are_those_that_were_planted(self, kind: str, tmp_path: Path) -> None:
        made = generate(kind, 3_000, tmp_path, bad=0.05)
        result = load_here(made.dirty, plan_for(made.dirty, DATASETS[kind]), tmp_path / "out")
        planted = [json.loads(line) for line in made.rejects.read_text().splitlines()]
        assert result.codes == [(fault["line"], fault["column"], fault["code"]) for fault in planted]
        with made.clean.open(newline="") as clean:
            expected = list(csv.reader(clean))[1:]
        assert [["" if value is None else str(value) for value in row] for row in result.rows] == expected


def end(ending: int) -> None:
    """Send a signal to the child that is at work."""
    for child in mine():
        os.kill(child, ending)


class TestChild:
    def test_the_stream_is_whole_and_nothing_is_left_behind(
        self, large: Path, plan: LoadPlan, tmp_path: Path
    ) -> None:
        sizes: list[int] = []
        units: set[str] = set()
        loaded = load(
            large,
            plan,
            work_dir=tmp_path,
            faults=tmp_path / "faults",
            on_block=lambda block: sizes.append(len(block)),
            on_progress=lambda done, total, unit: units.add(unit),
            limits=LIMITS,
        )
        here = load_here(large, plan, tmp_path / "here")
        assert sum(sizes) == (tmp_path / "here" / "stream").stat().st_size
        assert loaded == here.loaded
        assert units <= {"files", "bytes checked", "bytes read"}
        assert units
        assert (mine(), sorted(path.name for path in tmp_path.iterdir())) == ([], ["faults", "here"])

    @pytest.mark.parametrize(
        ("ending", "error"), [(signal.SIGKILL, EngineOutOfMemory), (signal.SIGSEGV, EngineCrashed)]
    )
    def test_a_child_that_is_killed_in_the_middle_is_an_error(
        self, large: Path, plan: LoadPlan, tmp_path: Path, ending: int, error: type[DomainError]
    ) -> None:
        with pytest.raises(error):
            self.load(large, plan, tmp_path, lambda block: end(ending))
        assert mine() == []

    def test_a_failing_reader_takes_the_child_with_it(
        self, large: Path, plan: LoadPlan, tmp_path: Path
    ) -> None:
        def fail(block: bytes) -> None:
            raise ConnectionError

        with pytest.raises(ConnectionError):
            self.load(large, plan, tmp_path, fail)
        assert mine() == []

    def test_it_ends_when_it_is_no_longer_wanted(self, large: Path, plan: LoadPlan, tmp_path: Path) -> None:
        blocks: list[bytes] = []
        with pytest.raises(Stopped):
            self.load(large, plan, tmp_path, blocks.append, should_stop=lambda: len(blocks) > 2)
        assert mine() == []

    def test_a_child_that_hangs_is_ended_at_the_deadline(
        self, large: Path, plan: LoadPlan, tmp_path: Path
    ) -> None:
        with pytest.raises(EngineTimeout):
            self.load(
                large,
                plan,
                tmp_path,
                lambda block: end(signal.SIGSTOP),
                seconds=3,
            )
        assert mine() == []

    def test_a_file_with_too_many_rejects_is_not_read_to_its_end(self, make: Make, tmp_path: Path) -> None:
        path = make(b"id,name\n" + b",a\n" * 5 + b"1,a\n" * 2_000_000)
        loaded = self.load(path, plan_of(reading(["id", "name"]), TWO), tmp_path, bytes, most_rejects=2)
        assert (loaded.is_whole, loaded.rows_rejected) == (False, 5)
        assert loaded.rows_read < 2_000_000
        assert len(pq.read_table(tmp_path / "faults")) == 5

    def load(self, path: Path, plan: LoadPlan, folder: Path, on_block: Any, **options: Any) -> Loaded:
        return load(
            path, plan, work_dir=folder, faults=folder / "faults", on_block=on_block, limits=LIMITS, **options
        )


class TestDatabase:
    @pytest.mark.parametrize("dataset", [ATENDIMENTOS, CLIENTS, TRANSACTIONS], ids=lambda one: one.name)
    def test_what_is_loaded_comes_back_equal(
        self, connection: Connection, dataset: Dataset, tmp_path: Path
    ) -> None:
        made = generate(dataset.name, 2_000, tmp_path)
        plan = plan_for(made.dirty, dataset)
        names = [
            f'"{column.field.name}" {kind}'
            for column, kind in zip(plan.columns, staging_types(plan), strict=True)
        ]
        connection.execute(text(f"CREATE TEMP TABLE loaded (line bigint, {', '.join(names)}) ON COMMIT DROP"))
        driver = connection.connection.driver_connection
        assert driver is not None
        with driver.cursor() as cursor, cursor.copy("COPY loaded FROM STDIN (FORMAT BINARY)") as copy:
            load(
                made.dirty,
                plan,
                work_dir=tmp_path,
                faults=tmp_path / "faults",
                on_block=copy.write,
                limits=LIMITS,
            )
        rows = [tuple(row) for row in connection.execute(text("SELECT * FROM loaded ORDER BY line"))]
        assert rows == load_here(made.dirty, plan, tmp_path / "here").rows
        assert len(rows) == made.good

    def test_the_edges_of_every_type_come_back_equal(
        self, connection: Connection, make: Make, tmp_path: Path
    ) -> None:
        fields = [AMOUNT, Field(name="day", type="date"), WHEN, NAME]
        rows: Sequence[Sequence[str]] = [
            ["amount", "day", "when", "name"],
            ["9999999999999.99", "9999-12-31", "9999-12-31 23:59:59.999999", "é漢😀"],
            ["-9999999999999.99", "0001-01-01", "0001-01-01 00:00", "\\N"],
            ["0.01", "2000-01-01", "2000-01-01", "a\tb\\.\nc"],
            ["-0.00", "1999-12-31", "1999-12-31 23:59:59", "' \""],
            ["10000", "", "", ""],
        ]
        path = make(csv_bytes(rows))
        plan = plan_of(reading(["amount", "day", "when", "name"]), fields)
        connection.execute(
            text(
                'CREATE TEMP TABLE edges (line bigint, amount numeric(15,2), day date, "when" timestamp, name text)'
            )
        )
        driver = connection.connection.driver_connection
        assert driver is not None
        with driver.cursor() as cursor, cursor.copy("COPY edges FROM STDIN (FORMAT BINARY)") as copy:
            load(
                path, plan, work_dir=tmp_path, faults=tmp_path / "faults", on_block=copy.write, limits=LIMITS
            )
        assert [tuple(row) for row in connection.execute(text("SELECT * FROM edges ORDER BY line"))] == [
            (2, Decimal("9999999999999.99"), date.max, LAST, "é漢😀"),
            (3, Decimal("-9999999999999.99"), date.min, datetime(1, 1, 1), "\\N"),
            (4, Decimal("0.01"), date(2000, 1, 1), datetime(2000, 1, 1), "a\tb\\.\nc"),
            (6, Decimal("0.00"), date(1999, 12, 31), datetime(1999, 12, 31, 23, 59, 59), "' \""),
            (7, Decimal(10_000), None, None, None),
        ]

"""Rows keep the order of their file, whatever is done to them, and are read as their columns say."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import ibis
import pytest

from src.engine.queries.duckdb import statements
from src.engine.queries.rows import ROW, Rows, scan
from src.engine.values import Column
from tests.engine.making import Make, csv_bytes
from tests.engine.queries.asking import ask, run, table_file

NUMBERS = [[f"{n * 7919 % 5000}", f"g{n % 7}"] for n in range(5_000)]


@pytest.fixture
def numbers(make: Make) -> Path:
    return make(csv_bytes([["n", "g"], *NUMBERS]))


def test_rows_are_kept_in_the_order_of_the_file(numbers: Path) -> None:
    kept = ask(lambda rows: rows.where(rows.value("n") >= 2_500), numbers)
    assert kept[1:] == [row for row in NUMBERS if int(row[0]) >= 2_500]


def test_sorting_is_stable_and_empty_cells_come_last(make: Make) -> None:
    path = make(b"a,b\n2,x\n,y\n10,z\n2,w\n")
    assert ask(lambda rows: rows.sorted_by([(rows.value("a"), False)]), path)[1:] == [
        ["2", "x"],
        ["2", "w"],
        ["10", "z"],
        ["", "y"],
    ]
    assert ask(lambda rows: rows.sorted_by([(rows.value("a"), True)]), path)[1:] == [
        ["10", "z"],
        ["2", "x"],
        ["2", "w"],
        ["", "y"],
    ]


def test_the_first_rows_are_those_of_the_present_order(numbers: Path) -> None:
    def last(rows: Rows) -> Rows:
        return rows.sorted_by([(rows.value("n"), True)]).first(3, skip=1)

    assert [row[0] for row in ask(last, numbers)[1:]] == ["4998", "4997", "4996"]
    assert ask(lambda rows: rows.first(2, skip=1), numbers)[1:] == NUMBERS[1:3]


def test_rows_among_numbers_are_kept_in_order_without_a_join(numbers: Path, tmp_path: Path) -> None:
    def firsts(rows: Rows) -> Rows:
        return rows.among(rows.table.group_by("c1").agg(row=rows.table[ROW].min()))

    assert ask(firsts, numbers)[1:] == NUMBERS[:7]
    sql = statements(firsts(scan("input", [Column(name="n"), Column(name="g")])), "csv")
    assert "get_bit" in sql.select.lower()
    assert not sql.is_joined


def test_rows_that_were_numbered_anew_are_found_as_well(numbers: Path) -> None:
    def lasts(rows: Rows) -> Rows:
        rows = rows.sorted_by([(rows.value("n"), True)]).numbered()
        return rows.among(rows.table.group_by("c1").agg(row=rows.table[ROW].min()))

    expected: dict[str, list[str]] = {}
    for row in sorted(NUMBERS, key=lambda row: -int(row[0])):
        expected.setdefault(row[1], row)
    assert ask(lasts, numbers)[1:] == list(expected.values())


class TestJoins:
    def test_a_lookup_keeps_the_order_and_shows_what_was_not_found(self, make: Make, numbers: Path) -> None:
        other = make(csv_bytes([["key", "value"], *([f"g{n}", f"v{n}"] for n in range(5))]))

        def looked_up(rows: Rows, other: Rows) -> Rows:
            on = [(rows.identity("g"), other.identity("key"))]
            rows = rows.joined(other, on, {"value": "found"}, is_unique=True)
            return rows.with_values({"missing": rows.table["other_row"].isnull()})

        expected = [
            [n, g, f"v{g[1]}" if int(g[1]) < 5 else "", str(int(g[1]) >= 5).lower()] for n, g in NUMBERS
        ]
        assert ask(looked_up, numbers, other) == [["n", "g", "found", "missing"], *expected]

    def test_several_matches_come_in_the_order_of_the_other_table(self, make: Make) -> None:
        left = make(b"k,a\n1,x\n2,y\n1,z\n")
        right = make(b"k,b\n1,p\n3,q\n1,r\n")

        def both(rows: Rows, other: Rows) -> Rows:
            on = [(rows.identity("k"), other.identity("k"))]
            return rows.joined(other, on, {"b": "b"}, is_inner=True)

        assert ask(both, left, right)[1:] == [
            ["1", "x", "p"],
            ["1", "x", "r"],
            ["1", "z", "p"],
            ["1", "z", "r"],
        ]


class TestReadings:
    @pytest.mark.parametrize(
        ("cells", "type_", "greater"),
        [
            (["9", "10", ""], "integer", lambda rows: rows.value("a") > 9),
            (
                ["1.234,5", "2.000,25"],
                "decimal",
                lambda rows: rows.value("a") > ibis.literal(Decimal("1234.5")),
            ),
            (["31/01/2024", "01/02/2024"], "date", lambda rows: rows.value("a") > ibis.date("2024-01-31")),
            (
                ["2024-01-01T10:00:00+02:00", " 2024-01-01T09:00:00Z"],
                "datetime",
                lambda rows: rows.value("a") > ibis.timestamp("2024-01-01 08:30:00"),
            ),
            (["não", "Sim"], "boolean", lambda rows: rows.value("a")),
            (["007", "7"], "text", lambda rows: rows.value("a") > "007"),
        ],
    )
    def test_a_column_is_read_as_its_profile_says(
        self, make: Make, cells: list[str], type_: str, greater: Callable[[Rows], ibis.Value]
    ) -> None:
        file = table_file(make(csv_bytes([["a", "b"], *([cell, "x"] for cell in cells)], quoting=1)))
        assert file.detected.columns[0].type == type_
        assert ask(lambda rows: rows.where(greater(rows)), file)[1:] == [[cells[1], "x"]]

    def test_computed_values_are_written_as_short_as_they_can_be(self, make: Make) -> None:
        def computed(rows: Rows) -> Rows:
            return rows.with_values(
                {
                    "sum": rows.value("a") + rows.value("b"),
                    "share": rows.value("a").cast("float64") / 4,
                    "whole": rows.value("b").cast("float64") * 2,
                    "a": rows.value("a") * 1,
                }
            )

        path = make(b"a,b\n1.50,2\n-100.25,20\n")
        assert ask(computed, path) == [
            ["a", "b", "sum", "share", "whole"],
            ["1.5", "2", "3.5", "0.375", "4"],
            ["-100.25", "20", "-80.25", "-25.0625", "40"],
        ]


def test_columns_are_chosen_and_renamed(make: Make) -> None:
    def chosen(rows: Rows) -> Rows:
        return rows.renamed({"a": "b", "b": "a"}).selected(["a", "A"])

    assert ask(chosen, make(b"a,b,A\n1,2,3\n")) == [["a", "A"], ["2", "3"]]


def test_a_result_is_written_as_json_with_typed_values(make: Make, tmp_path: Path) -> None:
    def computed(rows: Rows) -> Rows:
        return rows.with_values({"n": rows.value("a") * 2, "t": rows.value("a") > 1})

    run(computed, {"input": table_file(make(b"a\n1\n\n"))}, tmp_path / "out", "jsonl")
    assert (tmp_path / "out").read_text() == '{"a":"1","n":2,"t":false}\n{"a":null,"n":null,"t":null}\n'

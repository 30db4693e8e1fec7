"""What is found in a reference for a row of the input, and what is not."""

from pathlib import Path
from typing import Any

import pytest

from src.domain.rules import Lookup
from src.engine.duck import sessions
from src.engine.queries.asking import answers
from src.engine.queries.duckdb import statements
from src.engine.queries.executing import LOOKED_AFTER
from src.engine.queries.rows import scan
from src.engine.queries.statements import Asked, PartStatement, Statements
from src.engine.reports.lookups import unmatched
from src.engine.values import Column
from tests.engine.making import SANDBOX
from tests.engine.reports.asking import CUSTOMERS, INPUT, REFERENCE, SALES, SHORT, Make, refused


def test_the_short_rules_look_up_each_shared_column_and_the_later_lies_over_the_earlier(make: Make) -> None:
    assert make().rows == [
        "outfield1,outfield2,outfield3,outfield4,outfield5",
        "aC,two,CD,7.5,3",
        '"b, cC",two,CD,0,10',
        "d,,,0,0",
    ]


def test_rows_keys_and_cells_that_went_astray_are_counted(make: Make) -> None:
    made = make()
    assert made.figures == {
        "rows_in": 3,
        "rows_out": 3,
        "unmatched": [
            {"lookup": "refkey1", "keys": 1, "rows": 1},
            {"lookup": "refkey2", "keys": 1, "rows": 2},
        ],
        "uncomputable": 0,
    }
    assert made.made.unmatched is not None
    assert made.made.unmatched.read_text().splitlines() == [
        "lookup,key,rows",
        "refkey1,none,1",
        "refkey2,none,2",
    ]


def test_keys_of_all_lookups_are_missed_in_one_reading_of_the_input() -> None:
    """Statements that say the same are executed once in a session."""
    columns = [Column(name="k"), Column(name="v")]
    lookups = [Lookup(on=("k",), take=("w",)), Lookup(on=("v", "k"), take=("w",))]
    reference = scan("reference", [*columns, Column(name="w")])
    found = [statements(rows, "jsonl") for rows in unmatched(scan("input", columns), reference, lookups)]
    assert len(found) == 2
    assert found[0].parts == found[1].parts
    selects = [found[0].parts[0].select, *(one.select for one in found)]
    assert ['"input"' in select for select in selects] == [True, False, False]


ALL = {"outputs": [{"output": "o", "formula": "country"}], "lookups": [{"on": ["customer"]}]}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"where": "amount > 10"},
        {"order_by": ["o"]},
        {"limit": 1},
        {"lookups": [{"on": ["customer"], "missing": "drop"}]},
        {"outputs": [{"output": "o", "formula": "country"}, {"output": "n", "formula": "count()"}]}
        | {"group_by": ["country"]},
    ],
    ids=["all", "where", "order_by", "limit", "drop", "group_by"],
)
def test_keys_of_all_rows_are_missed_whatever_rows_come_out(make: Make, more: dict[str, Any]) -> None:
    made = make(ALL | more, SALES + "c8,100\nc9,0.1\n", CUSTOMERS)
    assert made.figures["unmatched"] == [{"lookup": "customer", "keys": 2, "rows": 3}]
    assert made.made.unmatched is not None
    assert made.made.unmatched.read_text().splitlines()[1:] == ["customer,c9,2", "customer,c8,1"]


def test_what_was_found_for_one_question_is_not_searched_again_for_the_next(tmp_path: Path) -> None:
    """A table of random numbers: two questions see the same ones, a part that says something else is new."""

    def asked(place: int, select: str) -> Asked:
        part = PartStatement("part_x", select, None, True, None)
        out = Statements([part], "select n from part_x", ["n"], [False], False, False, "jsonl")
        return Asked(out, [], str(tmp_path / f"{place}"))

    texts = "select random()::varchar as n from range(3)"
    every = [asked(0, "select 'none' as n"), asked(1, texts), asked(2, texts), asked(3, "select 'x' as n")]
    with sessions(4, tmp_path, [], SANDBOX, more=LOOKED_AFTER) as open_:
        answers(open_, every, {}, tmp_path, lambda _: None)
    found = [(tmp_path / f"{place}").read_text() for place in range(4)]
    assert found[1] == found[2] != found[0]
    assert found[3] == "x\n"


def test_a_key_that_the_reference_has_twice_is_named(make: Make) -> None:
    error = refused(make, SHORT, INPUT, REFERENCE + "k1,again,x3,E,F,1\n")
    assert (error.slug, "«k1» in 2 rows" in error.detail) == ("duplicate-key", True)


def test_an_empty_key_finds_nothing_and_may_be_there_twice(make: Make) -> None:
    reference = "k,v\n,1\n,2\na,3\n"
    made = make([{"output": "v", "formula": "v"}, {"output": "k", "formula": "k"}], 'k\n""\na\n', reference)
    assert made.rows == ["v,k", ",", "3,a"]


@pytest.mark.parametrize(("missing", "expected"), [("null", 6), ("drop", 5)])
def test_what_is_not_found_is_empty_or_dropped(make: Make, missing: str, expected: int) -> None:
    assert len(make(looking(missing), SALES, CUSTOMERS).rows) == expected + 1


def test_what_is_not_found_can_be_refused(make: Make) -> None:
    error = refused(make, looking("fail"), SALES, CUSTOMERS)
    assert (error.slug, "«c9»" in error.detail) == ("unmatched-keys", True)


def looking(missing: str) -> dict[str, Any]:
    return {
        "outputs": [{"output": "c", "formula": "customer"}, {"output": "country", "formula": "country"}],
        "lookups": [{"on": ["customer"], "missing": missing}],
    }


def test_keys_of_two_columns(make: Make) -> None:
    document = {"outputs": [{"output": "v", "formula": "v"}], "lookups": [{"on": ["a", "b"]}]}
    made = make(document, "a,b\n1,2\n2,1\n1,1\n", "a,b,v\n1,2,x\n2,1,y\n")
    assert made.rows == ["v", "x", "y", '""'] or made.rows == ["v", "x", "y", ""]
    assert made.figures["unmatched"] == [{"lookup": "a, b", "keys": 1, "rows": 1}]


def test_a_key_column_may_be_called_rows(make: Make) -> None:
    document = {"outputs": [{"output": "o", "formula": "n"}], "lookups": [{"on": ["rows"]}]}
    error = refused(make, document, "rows,n\nx,1\n", "rows,v\nz,1\nz,2\n")
    assert "«z» in 2 rows" in error.detail


def test_what_is_taken_does_not_mix_with_a_column_of_the_input_that_is_called_so(make: Make) -> None:
    made = make([{"output": "o", "formula": "v"}], "k,v@0\na,wrong\n", "k,v\na,right\n")
    assert made.rows == ["o", "right"]

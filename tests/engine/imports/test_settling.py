"""What a column's values say about its dates and numbers, where the head of the file did not."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.domain.datasets import Field
from src.engine.imports.evidence import Reading, read_dates, read_numbers
from src.engine.imports.loading import settle, unsettled
from src.engine.imports.moments import moment
from src.engine.imports.plans import LoadPlan, Settled
from src.engine.imports.settling import DAY_OR_MONTH_FIRST, Evidence
from src.engine.reading.detect import detect
from src.engine.values import Column
from tests.engine.importing import LIMITS, plan_of, reading
from tests.engine.making import Make, csv_bytes, workbook_bytes
from tests.engine.processes import mine

FIELDS = {
    "dates": Field(name="a", type="datetime"),
    "numbers": Field(name="a", type="decimal"),
    "texts": Field(name="a", type="text"),
}


def plan_for(kind: str, **facts: Any) -> LoadPlan:
    return plan_of(reading(["a"], columns=(Column(name="a", **facts),)), [FIELDS[kind]])


def settled(make: Make, tmp_path: Path, kind: str, values: Sequence[str]) -> Settled:
    path = make(csv_bytes([["a"], *([value] for value in values)]))
    return settle(path, plan_for(kind, is_ambiguous=True), work_dir=tmp_path, limits=LIMITS)


@pytest.mark.parametrize(
    ("values", "order"),
    [
        (["03/04/2021"] * 3000 + ["13/04/2021"], "dmy"),
        (["03/04/2021 10:00"] * 3000 + ["03/14/2021 10:00"], "mdy"),
        (["2021-04-03"] * 9 + ["30/06/2021"], "dmy"),
        (["2021-04-03"] * 3000 + ["03/04/2021", "04/30/2021", "2021-04-03"], "mdy"),
        (["2021-04-03", "2021-04-03 10:00"], "ymd"),
        (["31/02/2021", "30/06/2021", "06/30/2021", "30/07/2021"], "dmy"),
        (["now", "", "03/03/2021"], "ymd"),
    ],
)
def test_a_day_above_twelve_settles_the_order(
    make: Make, tmp_path: Path, values: list[str], order: str
) -> None:
    found = settled(make, tmp_path, "dates", values)
    assert ([column.date_order for column in found.plan.columns], found.ambiguous) == ([order], ())


@pytest.mark.parametrize(
    ("values", "mark"),
    [
        (["1.234"] * 3000 + ["1,5"], ","),
        (["1,234"] * 3000 + ["1.5"], "."),
        (["1.234", "1.234.567"], ","),
        (["1.234", "0.125"], "."),
        (["1,234", "1.234,5"], ","),
        (["12", "-7", "x", ""], "."),
    ],
)
def test_a_number_that_can_be_read_in_one_way_settles_the_mark(
    make: Make, tmp_path: Path, values: list[str], mark: str
) -> None:
    found = settled(make, tmp_path, "numbers", values)
    assert ([column.decimal for column in found.plan.columns], found.ambiguous) == ([mark], ())


def test_what_nothing_settles_is_named_with_both_readings(make: Make, tmp_path: Path) -> None:
    (dates,) = settled(make, tmp_path, "dates", ["", "03/04/2021", "05/06/2021"]).ambiguous
    assert (dates.column, dates.kind, dates.value) == ("a", "dates", "03/04/2021")
    assert dates.readings == {"dmy": "2021-04-03", "mdy": "2021-03-04"}
    (numbers,) = settled(make, tmp_path, "numbers", ["1", "1.234"]).ambiguous
    assert (numbers.kind, numbers.readings) == ("numbers", {".": "1.234", ",": "1234"})
    assert mine() == []


@pytest.mark.parametrize(
    ("kind", "values", "example", "readings"),
    [
        (
            "dates",
            ["13/04/1990", "04/13/1990", "03/04/1990"],
            "03/04/1990",
            {"dmy": "1990-04-03", "mdy": "1990-03-04"},
        ),
        ("dates", ["13/04/1990", "04/13/1990"], "13/04/1990", {"dmy": "1990-04-13", "mdy": "no date"}),
        (
            "dates",
            ["1990-05-06", "03/04/1990", "1990-05-06"],
            "03/04/1990",
            {"dmy": "1990-04-03", "mdy": "1990-03-04"},
        ),
        ("numbers", ["1.5", "2,5", "1.234"], "1.234", {".": "1.234", ",": "1234"}),
        ("numbers", ["2,5", "1.5"], "2,5", {".": "no number", ",": "2.5"}),
    ],
)
def test_as_much_for_one_as_for_the_other_settles_nothing_in_any_order_of_lines(
    make: Make, tmp_path: Path, kind: str, values: list[str], example: str, readings: dict[str, str]
) -> None:
    (first,) = settled(make, tmp_path, kind, values).ambiguous
    assert (first.value, first.readings) == (example, readings)
    assert settled(make, tmp_path, kind, values[::-1]).ambiguous != ()


def test_numbers_and_dates_that_are_typed_as_such_say_nothing_of_texts(make: Make, tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["a", "b"],
        *([10.5, datetime(1990, 5, 6)] for _ in range(3)),
        ["1,5", "20/12/1990"],
    ]
    path = make(workbook_bytes({"A": rows}))
    fields = [FIELDS["numbers"], Field(name="b", type="datetime")]
    plan = plan_of(detect(path, "a.xlsx", LIMITS), fields)
    found = settle(path, plan, work_dir=tmp_path, names=["a", "b"], limits=LIMITS)
    number, day = found.plan.columns
    assert (number.decimal, day.date_order, found.ambiguous) == (",", "dmy", ())


DATES = [
    "13/04/1990",
    "04/13/1990 10:00",
    "03/04/1990",
    "03/03/1990",
    "03.04.1990",
    "1990-05-06",
    "1990-05-06T10:00:00-03:00",
    "31/02/1990",
    "now",
    "",
]
NUMBERS = ["1.5", "-2,5", "1.234", "1,234", "1.234,5", "1,234.5", "7", "x", ""]


def judged(kind: str, values: Sequence[str]) -> Evidence:
    (column,) = plan_for(kind).columns
    evidence = Evidence(column, "a")
    for start in range(0, len(values), 3):  # as it comes, block by block
        evidence.add(pa.array(values[start : start + 3], pa.string()))
    return evidence


@settings(deadline=None)
@given(st.lists(st.sampled_from(DATES), max_size=12), st.randoms())
def test_the_order_of_lines_never_decides_and_the_head_agrees_with_the_whole(
    values: list[str], random: Random
) -> None:
    whole, head = judged("dates", values), read_dates(values)
    random.shuffle(values)
    again = judged("dates", values)
    assert (again.winner, again.ambiguous() is None) == (whole.winner, whole.ambiguous() is None)
    if whole.winner:
        assert head == Reading(date_order=whole.winner)
    if whole.ambiguous():
        assert head.is_ambiguous
    assert (head.date_order == "ymd") is not any(
        DAY_OR_MONTH_FIRST.match(text) for text in values if is_day(text)
    )


@settings(deadline=None)
@given(st.lists(st.sampled_from(NUMBERS), max_size=12), st.randoms())
def test_the_order_of_lines_never_decides_on_numbers(values: list[str], random: Random) -> None:
    whole, head = judged("numbers", values), read_numbers(values, ".")
    random.shuffle(values)
    again = judged("numbers", values)
    assert (again.winner, again.ambiguous() is None) == (whole.winner, whole.ambiguous() is None)
    if whole.winner:
        assert head == Reading(decimal=whole.winner)
    if whole.ambiguous():
        assert head.is_ambiguous


def is_day(text: str) -> bool:
    return any(moment(text, order, "UTC") is not None for order in ("dmy", "mdy"))


@pytest.mark.parametrize(
    ("kind", "facts", "is_open"),
    [
        ("dates", {"type": "date", "date_order": "dmy", "is_ambiguous": True}, True),
        ("dates", {"type": "date", "date_order": "ymd"}, False),
        ("dates", {"type": "text"}, True),
        ("numbers", {"type": "decimal", "decimal": "."}, False),
        ("numbers", {"type": "integer"}, False),
        ("texts", {"type": "date", "is_ambiguous": True}, False),
    ],
)
def test_only_what_the_head_left_open_is_looked_at(
    tmp_path: Path, kind: str, facts: dict[str, Any], is_open: bool
) -> None:
    plan = plan_for(kind, **facts)
    assert bool(unsettled(plan)) is is_open
    if not is_open:
        found = settle(tmp_path / "not looked at", plan, work_dir=tmp_path)
        assert found == Settled(plan=plan, ambiguous=())

"""What a column's values say about its dates and numbers, where the head of the file did not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from src.domain.datasets import Field
from src.engine.imports.loading import settle, unsettled
from src.engine.imports.plans import LoadPlan, Settled
from src.engine.values import Column
from tests.engine.importing import LIMITS, plan_of, reading
from tests.engine.making import Make, csv_bytes
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
        (["2021-04-03", "2021-04-03", "03/04/2021"], "ymd"),
        (["2021-04-03"] * 9 + ["30/06/2021"], "ymd"),
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

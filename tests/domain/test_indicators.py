"""Periods and what is compared with what."""

from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.indicators import BadPeriod, Figures, Group, Period, change, percentage

TODAY = date(2024, 3, 15)


@given(whole=st.integers(1, 10**9), data=st.data())
def test_a_percentage_is_rounded_half_up_to_two_decimals(whole: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, whole))
    found = percentage(part, whole)
    exact = Fraction(part * 100, whole)
    assert found is not None
    assert abs(Fraction(str(found)) - exact) <= Fraction(1, 200)
    assert found == round(found, 2)


def test_of_nothing_there_is_no_percentage() -> None:
    assert percentage(0, 0) is None
    assert (percentage(1, 3), percentage(2, 3), percentage(1, 800)) == (33.33, 66.67, 0.13)


@given(first=st.dates(date(1900, 1, 1), date(2100, 1, 1)), days=st.integers(0, 1_000))
def test_the_days_before_are_as_many_and_end_where_these_begin(first: date, days: int) -> None:
    period = Period(first, first + timedelta(days=days))
    before = period.before()
    assert before.last == first - timedelta(days=1)
    assert before.first is not None
    assert before.last - before.first == timedelta(days=days)


@pytest.mark.parametrize(
    ("group", "first", "last"),
    [
        ("day", date(2024, 2, 29), date(2024, 2, 29)),
        ("week", date(2024, 2, 19), date(2024, 3, 3)),  # with its own, of which it has a part
        ("month", date(2024, 2, 1), date(2024, 2, 29)),
    ],
)
def test_the_one_before_is_a_whole_one(group: Group, first: date, last: date) -> None:
    assert Period(date(2024, 3, 1), None).one_before(group) == Period(first, last)
    assert Period(date.max, None).one_before("week") == Period(date(9999, 12, 20), date.max)
    assert Period(None, TODAY).one_before(group) is None


@pytest.mark.parametrize(
    ("period", "months"),
    [
        (Period(), [3]),
        (Period(date(2024, 1, 1), date(2024, 2, 29)), [3]),
        (Period(date(2024, 1, 2), date(2024, 2, 29)), [1, 3]),
        (Period(date(2024, 1, 1), date(2024, 2, 28)), [2, 3]),
        (Period(date(2024, 1, 2), date(2024, 1, 30)), [1, 3]),
        (Period(None, date.max), [3]),
    ],
)
def test_months_are_parted_where_the_period_cuts_them_and_where_today_is(
    period: Period, months: list[int]
) -> None:
    assert [day.month for day in period.parted_months(TODAY)] == months


def test_a_period_must_not_end_before_it_begins() -> None:
    with pytest.raises(BadPeriod):
        Period(TODAY, TODAY - timedelta(days=1))
    assert Period(TODAY, TODAY).start == Period(TODAY, TODAY).end == TODAY


def test_a_change_is_the_present_less_the_former() -> None:
    found = change(Figures("A", None, 3, 1, 2, 0), Figures("A", None, 1, 3, 0, 1))
    assert found["previous"] == {
        "total": 5, "on_time": 1, "late": 3, "open": 0, "overdue": 1, "on_time_percentage": 25.0
    }  # fmt: skip
    assert found["change"] == {
        "total": 1, "on_time": 2, "late": -2, "open": 2, "overdue": -1, "on_time_percentage": 50.0
    }  # fmt: skip

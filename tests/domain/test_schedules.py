"""Which due times are run after a silence, and which are only remembered."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.schedules import LOOK_BACK, MOST_AT_ONCE, BadPattern, Misfire, like_of, plan

NOW = datetime(2026, 1, 15, 12, 0, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hourly(after: datetime) -> Iterator[datetime]:
    moment = after.replace(minute=0, second=0, microsecond=0)
    while True:
        moment += HOUR
        yield moment


def due_since(hours: int) -> datetime:
    return NOW.replace(minute=0, second=0) - hours * HOUR


@pytest.mark.parametrize(
    ("misfire", "run", "missed"),
    [(Misfire.LATEST, [0], [3, 2, 1]), (Misfire.ALL, [3, 2, 1, 0], []), (Misfire.SKIP, [0], [3, 2, 1])],
)
def test_after_a_silence_the_policy_decides(misfire: Misfire, run: list[int], missed: list[int]) -> None:
    found = plan(hourly, due_since(3), NOW, misfire)
    assert list(found.run) == [due_since(hours) for hours in run]
    assert list(found.missed) == [due_since(hours) for hours in missed]
    assert found.next_due == due_since(-1)


def test_skip_does_not_run_what_is_late() -> None:
    found = plan(hourly, due_since(3), NOW + timedelta(minutes=5), Misfire.SKIP)
    assert found.run == ()
    assert len(found.missed) == 4


def test_all_is_bounded_and_the_rest_was_missed() -> None:
    found = plan(hourly, due_since(MOST_AT_ONCE + 20), NOW, Misfire.ALL)
    assert (len(found.run), len(found.missed)) == (MOST_AT_ONCE, 21)


def test_after_a_silence_of_years_only_the_recent_past_is_looked_at() -> None:
    first = NOW - timedelta(days=3_000)
    found = plan(hourly, first, NOW, Misfire.LATEST)
    assert found.missed[0] == first
    assert found.missed[1] > NOW - LOOK_BACK
    assert found.run == (due_since(0),)


def test_a_schedule_that_ends_has_no_next_due_time() -> None:
    assert plan(lambda _: iter(()), due_since(0), NOW, Misfire.LATEST).next_due is None


@given(st.integers(0, 900), st.integers(0, 3_599), st.sampled_from(Misfire))
def test_each_due_time_is_either_run_or_missed_once(hours: int, seconds: int, misfire: Misfire) -> None:
    now = due_since(0) + timedelta(seconds=seconds)
    found = plan(hourly, due_since(hours), now, misfire)
    together = [*found.run, *found.missed]
    assert len(together) == len(set(together))
    recent = now - LOOK_BACK
    assert {at for at in together if at > recent} == {
        due_since(n) for n in range(hours + 1) if due_since(n) > recent
    }


@pytest.mark.parametrize(
    ("pattern", "like"),
    [("sales-*.csv", "sales-%.csv"), ("a?.csv", "a_.csv"), ("50%_*", "50\\%\\_%"), ("a\\b*", "a\\\\b%")],
)
def test_a_pattern_is_told_to_the_database_in_its_own_way(pattern: str, like: str) -> None:
    assert like_of(pattern) == like


@pytest.mark.parametrize("pattern", ["", "*", "??", " ", "a/b", "x" * 256])
def test_a_pattern_that_says_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern):
        like_of(pattern)

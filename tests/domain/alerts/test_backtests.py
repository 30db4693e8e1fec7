"""What a rule would have found beside what it finds: every hit once, in order, with what it changes."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from src.domain.alerts.backtests import Change, Findings, HitEvent, compared

PLACES = st.sets(st.tuples(st.integers(1, 4), st.integers(0, 9)))


def hits(places: set[tuple[int, int]]) -> list[HitEvent]:
    return [HitEvent(client, t, f"c{client}", "deposit", Decimal(1)) for client, t in sorted(places)]


@given(new=PLACES, live=PLACES)
def test_the_changes_are_those_of_the_two_sets_in_order(
    new: set[tuple[int, int]], live: set[tuple[int, int]]
) -> None:
    found = list(compared(hits(new), hits(live)))
    assert [hit[:2] for _, hit in found] == sorted(new | live)
    for change, of_it in (
        (Change.ADDED, new - live),
        (Change.REMOVED, live - new),
        (Change.KEPT, new & live),
    ):
        assert {hit[:2] for one, hit in found if one is change} == of_it


@given(new=PLACES, live=PLACES)
def test_findings_count_what_the_tested_rule_finds(
    new: set[tuple[int, int]], live: set[tuple[int, int]]
) -> None:
    findings = Findings()
    for change, hit in compared(hits(new), hits(live)):
        findings.add(change, hit)
    told = findings.to_json()
    assert (told["hits"], told["clients"]) == (len(new), len({client for client, _ in new}))
    assert (told["added"], told["removed"]) == (len(new - live), len(live - new))
    shown = sum(min(len(of_it), 20) for of_it in (new - live, live - new, new & live))
    assert (told["kept"], len(told["sample"])) == (len(new & live), shown)


def test_a_sample_has_some_of_each_change_however_many_there_are() -> None:
    findings = Findings()
    for t in range(1_000):
        findings.add(Change.KEPT if t % 10 else Change.REMOVED, HitEvent(1, t, "c1", "deposit", Decimal(1)))
    sample = [one["change"] for one in findings.to_json()["sample"]]
    assert (sample.count("kept"), sample.count("removed")) == (20, 20)

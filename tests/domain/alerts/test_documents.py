"""Documents of rules: every fault has its place, and what is read is written again."""

from typing import Any

import pytest
from hypothesis import given

from src.domain.alerts import BadAlertRule, read_check, write_check
from tests.domain.alerts.making import SHIPPED, Document, documents


def faults(kind: str, **parameters: Any) -> list[tuple[str, str]]:
    with pytest.raises(BadAlertRule) as refused:
        read_check(kind, parameters)
    assert all(error.message for error in refused.value.errors)
    return [(error.pointer, error.code) for error in refused.value.errors]


@pytest.mark.parametrize("document", SHIPPED, ids=lambda one: str(one["code"]))
def test_the_rules_that_ship_are_documents(document: Document) -> None:
    written = write_check(document["kind"], read_check(document["kind"], document["parameters"]))
    assert document["parameters"].items() <= written.items()


@given(document=documents())
def test_what_is_read_is_written_again_and_read_as_the_same(document: Document) -> None:
    check = read_check(document["kind"], document["parameters"])
    assert read_check(document["kind"], write_check(document["kind"], check)) == check


def test_what_is_left_out_is_written_down_so_that_a_later_default_changes_no_version() -> None:
    assert write_check("threshold", read_check("threshold", {"amount": 100})) == {
        "amount": "100.00",
        "compare": "over",
    }
    assert write_check("increasing", read_check("increasing", {"count": 3})) == {
        "count": 3,
        "is_strict": True,
    }
    assert write_check("gap", read_check("gap", {"after": 60})) == {"after": 60, "clock": "events"}


@pytest.mark.parametrize(
    "amount",
    ["1e2", "-1", "1.001", "NaN", "Infinity", "", " 1", "1,00", "1_0", "١", 1.5, True, None, [], 10**30],
)
def test_an_amount_that_is_not_exact_is_refused(amount: Any) -> None:
    assert faults("threshold", amount=amount) == [("/parameters/amount", "invalid")]


@pytest.mark.parametrize("count", [1, 0, -3, 101, "3", 3.0, True, None, 10**400])
def test_a_count_that_is_none_is_refused(count: Any) -> None:
    assert faults("consecutive", count=count) == [("/parameters/count", "invalid")]
    assert faults("decreasing", count=count) == [("/parameters/count", "invalid")]


def test_all_faults_are_told_at_once() -> None:
    assert faults("window_sum", window=0, limit="1", compare="under") == [
        ("/parameters/limit", "unknown_field"),
        ("/parameters/window", "invalid"),
        ("/parameters/amount", "required"),
        ("/parameters/compare", "invalid"),
    ]


@pytest.mark.parametrize("value", [0, "yes", None])
def test_yes_or_no_is_true_or_false(value: Any) -> None:
    assert faults("increasing", count=3, is_strict=value) == [("/parameters/is_strict", "invalid")]


def test_an_unknown_kind_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(BadAlertRule) as refused:
        read_check("oracle", {})
    (error,) = refused.value.errors
    assert (error.pointer, error.code) == ("/kind", "unknown_kind")
    assert "window_sum" in error.message


@pytest.mark.parametrize("clock", ["sun", ["events"], 1])
def test_a_gap_is_told_by_a_clock_that_there_is(clock: Any) -> None:
    assert faults("gap", after=60, clock=clock) == [("/parameters/clock", "invalid")]

"""The kind «formula»: it fires where the plain rules do that say the same, and knows what it must know."""

from typing import Any

import pytest
from hypothesis import given

from src.domain.alerts import BadAlertRule, History, Need, Needs, RuleSet, evaluate, read_check, write_check
from tests.domain.alerts.making import EQUALS, Document, a_rule, as_events, pasts
from tests.domain.alerts.model import Past, causes


def a_formula(text: str, asked_on: str = "any") -> RuleSet:
    return RuleSet(
        [a_rule({"code": 1, "asked_on": asked_on, "kind": "formula", "parameters": {"formula": text}})]
    )


def fires(text: str, *story: tuple[int, str, int]) -> list[int] | None:
    """The t of the events that made it fire on the last one; None when it does not."""
    *before, event = as_events([Past(t, t, type_, cents) for t, type_, cents in story])
    hits = evaluate(a_formula(text), History(before), event)
    return list(hits[0].causes) if hits else None


@pytest.mark.parametrize(("text", "document"), EQUALS, ids=[text for text, _ in EQUALS])
@given(past=pasts())
def test_a_formula_fires_where_the_rule_does_that_says_the_same(
    text: str, document: Document, past: list[Past]
) -> None:
    rules = a_formula(text, document["asked_on"])
    events, kept = as_events(past), History()
    for place, event in enumerate(events):
        is_hit = bool(evaluate(rules, History(events[:place]), event))
        assert is_hit == bool(causes(document, past[: place + 1]))
        assert bool(evaluate(rules, kept, event)) == is_hit, "also when it gets only what it needs"
        kept.add(event)
        kept.trim(rules.needs)


def test_it_sees_the_events_before_and_what_windows_add_up_to() -> None:
    story = [(0, "deposit", 30_000), (50, "withdraw", 10_000), (70, "withdraw", 20_001)]
    assert fires("withdraw_sum_30 > deposit_sum_86400", *story) == [0, 50, 70]
    assert fires("withdraw_sum_10 > deposit_sum_86400", *story) is None
    assert fires("withdraw_sum_20 - withdraw_max_20 == 100 and withdraw_min_20 == 100", *story) == [50, 70]
    assert fires("since_1 == 20 and amount_2 == 300.00 and t_2 == 0 and type_1 == type", *story) == [
        0,
        50,
        70,
    ]
    assert fires("event_count_1000 == 3 and deposit_count_60 == 0", *story) == [0, 50, 70]


def test_what_is_not_there_is_neither_more_nor_less() -> None:
    alone = (5, "deposit", 100)
    assert fires("amount_1 < 10", alone) is None
    assert fires("amount_1 > 0", alone) is None
    assert fires("is_missing(amount_1) and withdraw_sum_10 == 0", alone) == [5]
    assert fires("withdraw_max_10 > 0", alone) is None


def test_where_a_condition_cannot_be_computed_it_does_not_hold() -> None:
    alone = (5, "deposit", 100)
    assert fires("amount / withdraw_sum_10 > 1", alone) is None
    assert fires("withdraw_count_10 == 0 or amount / withdraw_sum_10 > 1", alone) == [5]


def test_times_at_the_end_of_all_numbers_are_exact() -> None:
    end = 2**63 - 1
    story = [(end - 2, "deposit", 100), (end, "deposit", 100)]
    assert fires(f"t - t_1 == 2 and since_1 == 2 and t == {end}", *story) == [end - 2, end]


def test_it_needs_just_what_it_names() -> None:
    rules = a_formula("amount_3 > 1 and deposit_sum_60 > 2 and event_max_10 > 3", "deposit")
    deposits, withdraws = Need(0, frozenset({60, 10}), 1_000), Need(0, frozenset({10}), 1_000)
    assert rules.needs == Needs(3, deposits, withdraws)
    assert rules.needs_on["withdraw"] == Needs()


def test_the_smallest_and_the_greatest_are_of_the_latest_thousand_in_the_window() -> None:
    story = [(t, "deposit", 100 + t) for t in range(1_001)]
    assert fires("deposit_min_2000 == 1.01 and deposit_max_2000 == 11.00", *story) is not None
    assert fires("deposit_min_2000 == 1.00", *story[:-1]) is not None


@pytest.mark.parametrize(
    ("formula", "code"),
    [
        ("amount +", "syntax"),
        ("amount + 1", None),
        ("balance > 1", "unknown_column"),
        ("amount_21 > 1", "unknown_column"),
        ("amount_0 > 1", "unknown_column"),
        ("deposit_sum_0 > 1", "unknown_column"),
        ("deposit_avg_60 > 1", "unknown_column"),
        ("sum(amount) > 1", "aggregate"),
        ("__import__('os').system('id')", None),
        ("amount > 1 " * 300, "invalid"),
        ("", "invalid"),
        (7, "invalid"),
    ],
)
def test_what_is_no_condition_over_events_is_refused_with_its_place(formula: Any, code: str | None) -> None:
    with pytest.raises(BadAlertRule) as refused:
        read_check("formula", {"formula": formula})
    (error,) = refused.value.errors
    assert error.pointer == "/parameters/formula"
    assert error.message
    assert code in (None, error.code)


def test_a_formula_is_written_as_it_was_given() -> None:
    given = {"formula": "amount  >  100"}
    assert write_check("formula", read_check("formula", given)) == given


def test_an_alert_of_a_formula_names_the_events_that_it_looked_at() -> None:
    *before, event = as_events([Past(t, t, "deposit", 100) for t in range(150)])
    (hit,) = evaluate(a_formula("deposit_count_1000 == 150"), History(before), event)
    assert hit.causes == tuple(range(50, 150))

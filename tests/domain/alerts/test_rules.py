"""Rules: their exact boundaries, and that they say what the slow and plain model says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.alerts import Event, EventType, History, Need, Needs, RuleSet, evaluate
from tests.domain.alerts.making import SHIPPED, Document, a_rule, as_events, documents, pasts
from tests.domain.alerts.model import Past, causes

OURS = RuleSet(a_rule(document) for document in SHIPPED)


def told(*story: str) -> list[int]:
    """The codes that answer the last of these events, each written as «t type amount»."""
    past = []
    for place, text in enumerate(story):
        t, type_, amount = text.split()
        past.append(Past(place, int(t), type_, round(float(amount) * 100)))
    *before, event = as_events(past)
    return [hit.rule.code for hit in evaluate(OURS, History(before), event)]


@pytest.mark.parametrize(
    ("story", "codes"),
    [
        (["0 withdraw 100.00"], []),
        (["0 withdraw 100.01"], [1100]),
        (["0 deposit 150.00"], []),
        (["0 withdraw 1", "1 withdraw 1", "2 withdraw 1"], [30]),
        (["0 withdraw 1", "1 withdraw 1"], []),
        (["0 withdraw 1", "1 deposit 9", "2 withdraw 1", "3 withdraw 1"], []),
        (["0 withdraw 1", "1 withdraw 1", "2 withdraw 1", "3 withdraw 1"], [30]),
        (["0 withdraw 1", "1 withdraw 1", "2 withdraw 100.01"], [30, 1100]),
        (["0 deposit 1", "1 deposit 2", "2 deposit 3"], [300]),
        (["0 deposit 1", "1 withdraw 9", "2 deposit 2", "3 withdraw 9", "4 deposit 3"], [300]),
        (["0 deposit 1", "1 deposit 2", "2 deposit 2"], []),
        (["0 deposit 2", "1 deposit 1", "2 deposit 3"], []),
        (["0 deposit 200.00"], []),
        (["0 deposit 200.01"], [123]),
        (["0 deposit 100.00", "30 deposit 100.00"], []),
        (["0 deposit 100.01", "30 deposit 100.00"], [123]),
        (["0 deposit 100.01", "31 deposit 100.00"], []),
        (["0 withdraw 150.00", "1 deposit 100.00"], []),
        (["0 deposit 150.00", "1 deposit 60.00", "2 withdraw 1"], []),
        (["0 deposit 50", "1 deposit 75", "2 deposit 100"], [123, 300]),
    ],
)
def test_the_rules_that_ship_answer_exactly_at_their_limits(story: list[str], codes: list[int]) -> None:
    assert told(*story) == codes


def test_an_alert_names_the_events_that_caused_it_and_no_others() -> None:
    past = [
        Past(1, 0, "deposit", 9_000),
        Past(2, 40, "withdraw", 50),
        Past(3, 41, "deposit", 10_000),
        Past(4, 71, "deposit", 10_001),
    ]
    *before, event = as_events(past)
    hits = evaluate(OURS, History(before), event)
    assert [(hit.rule.code, hit.causes) for hit in hits] == [(123, (3, 4)), (300, (1, 3, 4))]


@given(past=pasts(), asked=st.lists(documents(), max_size=4, unique_by=lambda one: one["code"]))
def test_rules_say_what_the_model_says_of_the_whole_past(past: list[Past], asked: list[Document]) -> None:
    rules = RuleSet(map(a_rule, asked))
    history = History()
    for place, event in enumerate(as_events(past)):
        found = [(hit.rule.code, list(hit.causes)) for hit in evaluate(rules, history, event)]
        history.add(event)
        expected = [(one["code"], causes(one, past[: place + 1])) for one in asked]
        assert found == sorted(hit for hit in expected if hit[1])


def fetched(needs: Needs, before: list[Event], event: Event) -> History:
    """Just what the rules say they need for this event, the way a query would find it."""
    kept = set(before[max(len(before) - needs.any, 0) :])
    for type_ in EventType:
        need, of_type = needs.of_type(type_), [one for one in before if one.type == type_]
        kept |= set(of_type[max(len(of_type) - max(need.last, 1), 0) :])
        inside = [one for one in of_type if one.t >= event.t - need.longest] if need.windows else []
        kept |= set(inside[max(len(inside) - need.seen, 0) :])
        for length in need.windows:
            kept |= set([one for one in of_type if one.t < event.t - length][-1:])
    return History(sorted(kept))


@given(past=pasts(), asked=st.lists(documents(), max_size=4, unique_by=lambda one: one["code"]))
def test_what_rules_need_is_all_that_they_look_at(past: list[Past], asked: list[Document]) -> None:
    rules = RuleSet(map(a_rule, asked))
    events, kept = as_events(past), History()
    for place, event in enumerate(events):
        told = evaluate(rules, History(events[:place]), event)
        assert evaluate(rules, fetched(rules.needs_on[event.type], events[:place], event), event) == told
        assert evaluate(rules, kept, event) == told, "and what was trimmed on the way is enough, too"
        kept.add(event)
        kept.trim(rules.needs)


def test_the_rules_that_ship_need_no_more_than_they_look_at() -> None:
    on_deposit, on_withdraw = OURS.needs_on["deposit"], OURS.needs_on["withdraw"]
    assert on_deposit == Needs(deposit=Need(2, frozenset({30}), 100))
    assert on_withdraw == Needs(any=2)
    history = History(as_events([Past(place, place * 100, "deposit", 1) for place in range(50)]))
    history.trim(OURS.needs)
    assert len(history.deposit) == len(history.any) == 2


def test_a_window_is_as_little_work_however_much_lies_in_it() -> None:
    events = as_events([Past(place, place, "deposit", 100) for place in range(1_000)])
    rules = RuleSet([a_rule({**SHIPPED[3], "parameters": {"window": 900, "amount": "900.99"}})])
    known = fetched(rules.needs, events[:-1], events[-1])
    assert len(known.any) == 101
    (hit,) = evaluate(rules, known, events[-1])
    assert hit.causes == tuple(range(900, 1_000))
    exactly = RuleSet([a_rule({**SHIPPED[3], "parameters": {"window": 900, "amount": "901.00"}})])
    assert evaluate(exactly, known, events[-1]) == []


def test_an_alert_names_at_most_a_hundred_causes_the_latest() -> None:
    rules = RuleSet([a_rule({**SHIPPED[3], "parameters": {"window": 1_000, "amount": "1.00"}})])
    *before, event = as_events([Past(place, place, "deposit", 100) for place in range(150)])
    (hit,) = evaluate(rules, History(before), event)
    assert hit.causes == tuple(range(50, 150))


@given(past=pasts(), document=documents("gap"))
def test_a_swept_rule_is_asked_about_no_event(past: list[Past], document: Document) -> None:
    rules = RuleSet([a_rule(document)])
    events = as_events(past)
    assert rules.needs == Needs()
    assert all(not evaluate(rules, History(events[:place]), event) for place, event in enumerate(events))

"""Rules: their exact boundaries, and that they say what the slow and plain model says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.alerts import Event, RuleSet, evaluate, needs, trimmed
from tests.domain.alerts.making import SHIPPED, Document, a_rule, as_event, documents, pasts
from tests.domain.alerts.model import Past, causes

OURS = RuleSet(a_rule(document) for document in SHIPPED)


def told(*story: str) -> list[int]:
    """The codes that answer the last of these events, each written as «t type amount»."""
    events = []
    for place, text in enumerate(story):
        t, type_, amount = text.split()
        events.append(as_event(Past(place, int(t), type_, round(float(amount) * 100))))
    return [hit.rule.code for hit in evaluate(OURS, events[:-1], events[-1])]


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
    hits = evaluate(OURS, [as_event(one) for one in past[:-1]], as_event(past[-1]))
    assert [(hit.rule.code, hit.causes) for hit in hits] == [(123, (3, 4)), (300, (1, 3, 4))]


@given(past=pasts(), asked=st.lists(documents(), max_size=4, unique_by=lambda one: one["code"]))
def test_rules_say_what_the_model_says_of_the_whole_past(past: list[Past], asked: list[Document]) -> None:
    rules = RuleSet(map(a_rule, asked))
    events = [as_event(one) for one in past]
    for place, event in enumerate(events):
        found = [(hit.rule.code, list(hit.causes)) for hit in evaluate(rules, events[:place], event)]
        expected = [(one["code"], causes(one, past[: place + 1])) for one in asked]
        assert found == sorted(hit for hit in expected if hit[1])


def fetched(rules: RuleSet, before: list[Event], event: Event) -> list[Event]:
    """Just what the rules say they need for this event, the way a query would find it."""
    needed = needs(rules, event.type)
    kept = set()
    for type_, need in (("any", needed.any), ("deposit", needed.deposit), ("withdraw", needed.withdraw)):
        of_type = [one for one in before if type_ in ("any", one.type)]
        kept |= set(of_type[max(len(of_type) - need.last, 0) :])
        kept |= {one for one in of_type if need.window and one.t >= event.t - need.window}
    return sorted(kept, key=lambda one: one.t)


@given(past=pasts(), asked=st.lists(documents(), max_size=4, unique_by=lambda one: one["code"]))
def test_what_rules_need_is_all_that_they_look_at(past: list[Past], asked: list[Document]) -> None:
    rules = RuleSet(map(a_rule, asked))
    events = [as_event(one) for one in past]
    kept: list[Event] = []
    for place, event in enumerate(events):
        told = evaluate(rules, events[:place], event)
        assert evaluate(rules, fetched(rules, events[:place], event), event) == told
        assert evaluate(rules, kept, event) == told, "and what was trimmed on the way is enough, too"
        kept = trimmed([*kept, event], needs(rules))


def test_the_rules_that_ship_need_no_more_than_they_look_at() -> None:
    assert needs(OURS, "deposit").any == (0, 0)
    assert needs(OURS, "deposit").deposit == (2, 30)
    assert needs(OURS, "deposit").withdraw == (0, 0)
    assert (needs(OURS, "withdraw").any, needs(OURS, "withdraw").deposit) == ((2, 0), (0, 0))
    long_ago = [as_event(Past(place, place * 100, "deposit", 1)) for place in range(50)]
    assert len(trimmed(long_ago, needs(OURS))) == 2


def test_an_alert_names_at_most_a_hundred_causes_the_latest() -> None:
    rules = RuleSet([a_rule({**SHIPPED[3], "parameters": {"window": 1_000, "amount": "1.00"}})])
    events = [as_event(Past(place, place, "deposit", 100)) for place in range(150)]
    (hit,) = evaluate(rules, events[:-1], events[-1])
    assert hit.causes == tuple(range(50, 150))


@given(past=pasts(), document=documents("gap"))
def test_a_swept_rule_is_asked_about_no_event(past: list[Past], document: Document) -> None:
    rules = RuleSet([a_rule(document)])
    events = [as_event(one) for one in past]
    assert needs(rules) == needs(RuleSet())
    assert all(not evaluate(rules, events[:place], event) for place, event in enumerate(events))

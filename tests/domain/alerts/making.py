"""Rules and pasts for tests: the four that ship, and whatever hypothesis thinks of."""

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from src.domain.alerts import AskedOn, Event, History, Rule, read_check
from tests.domain.alerts.model import Past

Document = dict[str, Any]
SHIPPED: list[Document] = [
    {"code": 1100, "asked_on": "withdraw", "kind": "threshold", "parameters": {"amount": "100.00"}},
    {"code": 30, "asked_on": "withdraw", "kind": "consecutive", "parameters": {"count": 3}},
    {"code": 300, "asked_on": "deposit", "kind": "increasing", "parameters": {"count": 3}},
    {
        "code": 123,
        "asked_on": "deposit",
        "kind": "window_sum",
        "parameters": {"window": 30, "amount": "200.00"},
    },
]


def a_rule(document: Document, *, is_shadow: bool = False) -> Rule:
    check = read_check(document["kind"], document["parameters"])
    return Rule(
        UUID(int=document["code"]), 1, document["code"], AskedOn(document["asked_on"]), check, is_shadow
    )


def as_events(past: Sequence[Past]) -> list[Event]:
    """The events of one client, with their running figures, and the ids that they have here."""
    history = History()
    for one in past:
        history.add(history.next(one.t, one.type, Decimal(one.cents) / 100)._replace(id=one.id))
    return history.any


# Few amounts and short steps, so that limits are met exactly and often.
AMOUNTS = st.sampled_from([1, 4_999, 5_000, 5_001, 9_999, 10_000, 10_001, 15_000, 20_000, 20_001])
WINDOWS, COUNTS = st.sampled_from([1, 2, 10, 29, 30, 31]), st.integers(2, 4)
LIMITS = st.sampled_from(["0", "50.00", "100.00", "150.00", "200.00", "200.01"])


@st.composite
def pasts(draw: st.DrawFn, most: int = 30) -> list[Past]:
    """The events of one client, in order."""
    steps = draw(st.lists(st.tuples(st.integers(1, 31), st.booleans(), AMOUNTS), min_size=1, max_size=most))
    events, t = [], draw(st.sampled_from([0, 2**63 - 1_000]))
    for place, (step, is_deposit, amount) in enumerate(steps):
        t = t + step if place else t
        events.append(Past(1_000 + place, t, "deposit" if is_deposit else "withdraw", amount))
    return events


@st.composite
def documents(draw: st.DrawFn, *kinds: str) -> Document:
    """A rule of one of these kinds, or of any."""
    much = st.sampled_from(["over", "at_least"])
    parameters: dict[str, dict[str, st.SearchStrategy[Any]]] = {
        "threshold": {"amount": LIMITS, "compare": st.sampled_from(["over", "at_least", "under", "at_most"])},
        "consecutive": {"count": COUNTS},
        "increasing": {"count": COUNTS, "is_strict": st.booleans()},
        "decreasing": {"count": COUNTS, "is_strict": st.booleans()},
        "window_sum": {"window": WINDOWS, "amount": LIMITS, "compare": much},
        "window_count": {"window": WINDOWS, "count": COUNTS, "compare": much},
        "gap": {"after": WINDOWS},
    }
    kind = draw(st.sampled_from(kinds or [*parameters][:-1]))
    asked_on = draw(st.sampled_from(["deposit", "withdraw", "any"]))
    given = {name: draw(values) for name, values in parameters[kind].items()}
    return {"code": draw(st.integers(1, 9_999)), "asked_on": asked_on, "kind": kind, "parameters": given}


def some_documents(seed: int) -> list[Document]:
    """The rules that ship, and one of each kind with chance parameters."""
    chance = random.Random(seed)
    limit = chance.choice(["50.00", "100.00", "150.00", "300.01", "1500.00"])
    span = chance.choice([5, 12, 30, 60, 5_000, 2**62])
    count, much = chance.randint(2, 4), chance.choice(["over", "at_least"])
    any_compare = chance.choice(["over", "at_least", "under", "at_most"])
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("threshold", {"amount": limit, "compare": any_compare}),
        ("consecutive", {"count": count}),
        ("increasing", {"count": count, "is_strict": chance.random() < 0.5}),
        ("decreasing", {"count": count, "is_strict": chance.random() < 0.5}),
        ("window_sum", {"window": span, "amount": limit, "compare": much}),
        ("window_count", {"window": span, "count": count, "compare": much}),
        ("gap", {"after": span}),
    ]
    made = [
        {"kind": kind, "asked_on": chance.choice(["deposit", "withdraw", "any"]), "parameters": given}
        for kind, given in kinds
    ]
    return [*({name: one[name] for name in made[0]} for one in SHIPPED), *made]


# Conditions, and the plain rules that fire on just the same events.
EQUALS: list[tuple[str, Document]] = [
    ("amount > 100", {"kind": "threshold", "asked_on": "withdraw", "parameters": {"amount": "100.00"}}),
    (
        "type_1 == 'withdraw' and type_2 == 'withdraw'",
        {"kind": "consecutive", "asked_on": "withdraw", "parameters": {"count": 3}},
    ),
    (
        "deposit_sum_30 > 200",
        {"kind": "window_sum", "asked_on": "deposit", "parameters": {"window": 30, "amount": "200.00"}},
    ),
    (
        "event_count_30 >= 3",
        {"kind": "window_count", "asked_on": "any", "parameters": {"window": 30, "count": 3}},
    ),
]

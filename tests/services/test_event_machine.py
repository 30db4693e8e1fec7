"""Whatever comes, in whatever order: events, batches, repetitions, rules switched; held against a plain model."""

from typing import Any

from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from src.domain.event_batches import Accepted, Replayed
from src.domain.events import DuplicateTimestamp, NewEvent, TimestampNotRising, UnknownClient
from src.wiring import services
from tests.domain.alerts.making import SHIPPED
from tests.domain.alerts.model import Past, causes, cents
from tests.factories.clients import a_client
from tests.factories.events import alerts, an_event, append, stored

CLEAR = "TRUNCATE event, alert, event_high_water CASCADE"
STATES = "UPDATE alert_rule SET state = CASE WHEN code = ANY(%s) THEN 'enabled' ELSE 'disabled' END"
CODES = [rule["code"] for rule in SHIPPED]
EVENTS = st.builds(
    lambda type_, amount, client, step: (type_, amount, client, step),
    st.sampled_from(["deposit", "withdraw"]),
    st.sampled_from(["50.00", "99.99", "100.00", "100.01", "200.00", "200.01"]),
    st.sampled_from(["1", "2", "nobody"]),
    st.integers(-3, 31),
)


class EventMachine(RuleBasedStateMachine):
    """The model: all events in one list, and the naive rules over a client's part of it."""

    def __init__(self) -> None:
        super().__init__()
        with services() as s:
            s.session.connection().exec_driver_sql(CLEAR)
        self.events: list[NewEvent] = []
        self.answers: dict[tuple[str, int], list[int]] = {}
        self.raised: list[tuple[str, int, int, list[int]]] = []
        self.switch(list(CODES))

    @rule(event=EVENTS)
    def send_one(self, event: Any) -> None:
        self.compare([self.at(event)])

    @rule(events=st.lists(EVENTS, min_size=1, max_size=6))
    def send_a_batch(self, events: Any) -> None:
        self.compare([self.at(event, n) for n, event in enumerate(events)])

    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        if self.events:
            event = data.draw(st.sampled_from(self.events))
            (outcome,) = append(event)
            assert isinstance(outcome, Replayed)
            assert outcome.answer.endswith(f'"alert_codes":{self.codes(event)},"user_id":"{event.client}"}}')

    @rule(codes=st.lists(st.sampled_from(CODES), unique=True))
    def switch(self, codes: list[int]) -> None:
        self.enabled = codes
        with services() as s:
            s.session.connection().exec_driver_sql(STATES, (codes,))
            s.session.connection().exec_driver_sql("UPDATE alert_rule_revision SET revision = revision + 1")

    @invariant()
    def the_tables_hold_what_the_model_holds(self) -> None:
        with services() as s:
            rows, raised = stored(s.session), alerts(s.session)
        assert rows == [(one.client, one.t, one.type, str(one.amount)) for one in self.events]
        assert raised == sorted(self.raised, key=lambda alert: (alert[1], alert[0], alert[2]))

    def at(self, event: Any, number: int = 0) -> NewEvent:
        type_, amount, client, step = event
        t = max((self.events[-1].t if self.events else 0) + step + number, 0)
        return an_event(type_, amount, client, t, event_id=f"{client}-{t}-{type_}-{amount}")

    def compare(self, events: list[NewEvent]) -> None:
        for event, outcome in zip(events, append(*events), strict=True):
            latest = self.events[-1].t if self.events else -1
            if event.client == "nobody":
                assert isinstance(outcome, UnknownClient)
            elif event in self.events:
                assert isinstance(outcome, Replayed)
            elif event.t <= latest:
                is_there = event.t in {one.t for one in self.events}
                assert isinstance(outcome, DuplicateTimestamp if is_there else TimestampNotRising)
            else:
                assert isinstance(outcome, Accepted)
                self.accept(event)
                assert f'"alert_codes":{self.codes(event)},' in outcome.answer

    def accept(self, event: NewEvent) -> None:
        self.events.append(event)
        past = [
            Past(one.t, one.t, one.type, cents(one.amount))
            for one in self.events
            if one.client == event.client
        ]
        hits = {rule["code"]: causes(rule, past) for rule in SHIPPED if rule["code"] in self.enabled}
        found = [(event.client, event.t, code, hit) for code, hit in sorted(hits.items()) if hit]
        self.answers[event.client, event.t] = [code for _, _, code, _ in found]
        self.raised += found

    def codes(self, event: NewEvent) -> str:
        return str(self.answers[event.client, event.t]).replace(" ", "")


def test_events_and_alerts_are_those_of_the_model_whatever_comes(app: Flask) -> None:
    a_client("1")
    a_client("2")
    bounds = settings(
        max_examples=25,
        stateful_step_count=20,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(EventMachine, settings=bounds)

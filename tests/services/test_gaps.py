"""Gaps: found once each, from when the rule is asked, in both orders, by any number of schedulers."""

import random
from typing import Any

import pytest
from sqlalchemy import text

from src.domain.alerts import RuleState
from src.models import AlertRule
from src.scheduler import sweep_gaps
from src.wiring import services
from tests.committing import Workshop
from tests.domain.alerts.model import Past, gaps
from tests.factories.alert_rules import an_alert_rule
from tests.factories.clients import a_client
from tests.factories.files import Files
from tests.factories.histories import random_histories, store

STREAMS, LOOKS, SWEEPS = 200_000, 10_000, 21  # so many streams are so many looks, twice
# Clients that have no events here: a sweep only sees how far their streams are.
CROWD = f"""
    INSERT INTO event_high_water (stream, t)
    SELECT n, 10 FROM generate_series(1000000, {1_000_000 + STREAMS - 1}) AS n
"""
READ = text("""
    SELECT sum(seq_tup_read + idx_tup_fetch), sum(n_tup_ins + n_tup_upd + n_tup_del)
    FROM pg_stat_xact_user_tables WHERE relname IN ('event_high_water', 'alert_sweep', 'alert_watch')
""")
GAP: dict[str, Any] = {"kind": "gap", "asked_on": "deposit", "parameters": {"after": 20}}
Row = tuple[int, int]


@pytest.fixture
def clients(app: Any) -> list[int]:
    return [a_client().id for _ in range(3)]


def a_gap_rule(app: Any, **members: Any) -> AlertRule:
    return an_alert_rule(Files(app).owner(), **GAP | members)


def found(rule: AlertRule) -> list[Row]:
    """The alerts of the rule: client and t."""
    rows = "SELECT client_id, t FROM alert WHERE rule_id = :rule AND causes = ARRAY[t] ORDER BY t, client_id"
    with services() as s:
        return [tuple(row) for row in s.session.execute(text(rows), {"rule": rule.id})]


def put(client: int, *events: tuple[int, str], is_global: bool = True) -> None:
    with services() as s:
        pasts = [Past(t, t, type_, 100) for t, type_ in events]
        store(s.session, {client: pasts}, is_global=is_global)


def test_an_alert_comes_when_time_has_passed_and_not_a_moment_before(app: Any, clients: list[int]) -> None:
    ana, rui, _ = clients
    rule = a_gap_rule(app)
    put(ana, (100, "deposit"))
    put(rui, (120, "withdraw"))
    sweep_gaps()
    assert found(rule) == [], "just 20 is not more than 20"
    put(rui, (121, "withdraw"))
    sweep_gaps()
    sweep_gaps()
    assert found(rule) == [(ana, 100)], "once, however often it is swept"


def test_only_what_the_rule_counts_ends_a_gap(app: Any, clients: list[int]) -> None:
    ana, rui, _ = clients
    rule, of_any = a_gap_rule(app), a_gap_rule(app, asked_on="any")
    put(ana, (100, "deposit"), (110, "withdraw"), (120, "deposit"), (141, "deposit"))
    put(rui, (162, "deposit"))
    sweep_gaps()
    assert found(rule) == [(ana, 120), (ana, 141)]
    assert found(of_any) == [(ana, 120), (ana, 141)]
    put(ana, (170, "withdraw"))
    put(rui, (200, "deposit"))
    sweep_gaps()
    assert found(rule) == [(ana, 120), (ana, 141), (rui, 162)], "the withdraw is none of its"
    assert found(of_any) == [(ana, 120), (ana, 141), (rui, 162), (ana, 170)]


def test_a_gap_that_was_over_when_the_rule_began_is_none_of_its(app: Any, clients: list[int]) -> None:
    ana, rui, eva = clients
    put(ana, (100, "deposit"))
    put(eva, (110, "deposit"))
    put(rui, (121, "deposit"))
    rule = a_gap_rule(app)
    put(rui, (131, "deposit"))
    sweep_gaps()
    assert found(rule) == [(eva, 110)], "this one ended afterwards"


@pytest.mark.parametrize("clock", ["events", "wall"])
def test_with_an_order_per_client_what_was_over_is_none_of_its_either(
    app: Any, clients: list[int], clock: str
) -> None:
    with services() as s:
        begin = int(s.session.scalars(text("SELECT extract(epoch FROM clock_timestamp())::bigint")).one())
        s.session.execute(text("INSERT INTO event_order (ordering, time_unit) VALUES ('per_client', 's')"))
    begin -= 9_000 if clock == "wall" else 0
    after = 10_000 if clock == "wall" else 20
    ana, rui, _ = clients
    put(rui, (begin - after - 100, "deposit"), (begin, "deposit"), is_global=False)
    put(ana, (begin - 10, "deposit"), (begin, "deposit"), is_global=False)
    parameters = {"after": after, "clock": clock}
    rule = a_gap_rule(app, parameters=parameters)
    put(ana, (begin + after + 1, "deposit"), is_global=False)
    sweep_gaps()
    assert found(rule) == [(ana, begin)], "it ended afterwards"
    with services() as s:
        current = s.alert_rule_rows.get_current(rule.id, is_locked=True)
        s.alert_rules.add_version(
            current, GAP | {"parameters": parameters | {"after": 5}, "note": None}, Files(app).owner()
        )
    put(rui, (begin + 2, "deposit"), is_global=False)
    sweep_gaps()
    is_over = [(rui, begin + 2)] if clock == "wall" else []
    assert found(rule) == [(ana, begin), *is_over], "only what came since the new version began"


def test_a_rule_that_was_off_finds_what_ends_after_it_is_on_again(app: Any, clients: list[int]) -> None:
    ana, rui, _ = clients
    rule, by = a_gap_rule(app), Files(app).owner()

    def switch(state: RuleState) -> None:
        with services() as s:
            s.alert_rules.switch(s.alert_rule_rows.get_current(rule.id, is_locked=True), state, by)

    switch(RuleState.DISABLED)
    put(ana, (100, "deposit"))
    put(rui, (200, "deposit"))
    sweep_gaps()
    switch(RuleState.SHADOW)
    put(rui, (230, "withdraw"))
    sweep_gaps()
    assert found(rule) == [(rui, 200)]
    with services() as s:
        assert s.session.scalars(text("SELECT is_shadow FROM alert")).all() == [True]


def test_a_new_version_begins_anew_and_its_alerts_name_it(app: Any, clients: list[int]) -> None:
    ana, rui, _ = clients
    rule, by = a_gap_rule(app), Files(app).owner()
    put(ana, (100, "deposit"))
    put(rui, (110, "withdraw"))
    with services() as s:
        shorter = GAP | {"parameters": {"after": 5}, "note": None}
        s.alert_rules.add_version(s.alert_rule_rows.get_current(rule.id, is_locked=True), shorter, by)
    sweep_gaps()
    assert found(rule) == [], "for the new version, that gap was over before"
    put(ana, (111, "deposit"))
    put(rui, (120, "withdraw"))
    sweep_gaps()
    with services() as s:
        assert s.session.execute(text("SELECT t, rule_version FROM alert")).all() == [(111, 2)]


def test_by_the_clock_on_the_wall_nothing_needs_to_come(app: Any, clients: list[int]) -> None:
    with services() as s:
        now = int(s.session.scalars(text("SELECT extract(epoch FROM clock_timestamp())::bigint")).one())
        s.session.execute(text("INSERT INTO event_order (ordering, time_unit) VALUES ('global', 's')"))
    rule = a_gap_rule(app, parameters={"after": 3_600, "clock": "wall"})
    by_events = a_gap_rule(app, parameters={"after": 3_600})
    put(clients[0], (now - 4_000, "deposit"))
    put(clients[1], (now - 3_000, "deposit"))
    sweep_gaps()
    assert found(rule) == [(clients[0], now - 4_000)]
    assert found(by_events) == []


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("is_global", [True, False])
def test_however_it_is_swept_the_gaps_are_those_of_the_whole_past(
    app: Any, clients: list[int], seed: int, is_global: bool
) -> None:
    chance = random.Random(seed)
    histories = random_histories(seed, clients, 90)
    rule = a_gap_rule(app, parameters={"after": chance.choice([5, 12, 30])})
    rest = {client: list(events) for client, events in histories.items()}
    while any(rest.values()):
        client = chance.choice([client for client, events in rest.items() if events])
        if is_global:  # one order over all
            client = min((events[0].t, client) for client, events in rest.items() if events)[1]
        event = rest[client].pop(0)
        put(client, (event.t, event.type), is_global=is_global)
        if chance.random() < 0.2:
            sweep_gaps()
    sweep_gaps()
    assert found(rule) == sorted(_expected(rule, histories, is_global), key=lambda row: (row[1], row[0]))


def _expected(rule: AlertRule, histories: Any, is_global: bool) -> list[Row]:
    document = GAP | {"parameters": rule.current.parameters}
    latest = max(event.t for events in histories.values() for event in events)
    return [
        (client, t)
        for client, events in histories.items()
        for t in gaps(document, events, latest if is_global else events[-1].t)
    ]


def test_of_several_schedulers_each_gap_is_found_by_one(workshop: Workshop) -> None:
    clients = [a_client().id for _ in range(3)]
    rule = a_gap_rule(workshop.app, parameters={"after": 5})
    histories = random_histories(1, clients, 300)
    with services() as s:
        store(s.session, histories)

    def schedule(_: int) -> None:
        for _ in range(10):
            sweep_gaps()

    workshop.together(schedule, 4)
    sweep_gaps()
    expected = {(client, t) for client, t in _expected(rule, histories, is_global=True)}
    assert len(expected) > 50
    assert sorted(found(rule)) == sorted(expected)


class Killed(Exception):
    """The scheduler dies here."""


def test_a_scheduler_that_dies_before_its_commit_leaves_the_gap_to_the_next(
    app: Any, clients: list[int]
) -> None:
    rule = a_gap_rule(app)
    put(clients[0], (100, "deposit"))
    put(clients[1], (200, "withdraw"))
    with pytest.raises(Killed), services() as s:
        s.gaps.sweep()
        assert found(rule) == [(clients[0], 100)]
        raise Killed
    assert found(rule) == []
    sweep_gaps()
    assert found(rule) == [(clients[0], 100)]


def test_places_of_a_rule_that_was_begun_anew_or_is_no_gap_any_more_go(app: Any, clients: list[int]) -> None:
    by = Files(app).owner()
    put(clients[0], (100, "deposit"), is_global=False)
    kept, begun, ended = (a_gap_rule(app) for _ in range(3))
    sweep_gaps()
    counting = GAP | {"kind": "consecutive", "parameters": {"count": 3}, "note": None}
    with services() as s:
        for rule, document in ((begun, GAP | {"note": None}), (ended, counting)):
            s.alert_rules.add_version(s.alert_rule_rows.get_current(rule.id, is_locked=True), document, by)
        assert s.housekeeping.delete_old_rows()["places of gaps"] == 2
        assert s.session.scalars(text("SELECT rule_id FROM alert_sweep")).all() == [kept.id]


def touched() -> tuple[int, int]:
    """How many rows of streams and places this transaction has read and written."""
    with services() as s:
        reads, writes = s.session.execute(READ).one()
        return int(reads), int(writes)


def test_a_look_and_a_change_cost_the_same_however_many_streams_there_are(
    app: Any, clients: list[int]
) -> None:
    last = clients[2]
    with services() as s:
        s.session.execute(text(CROWD))
        s.session.execute(text("ANALYZE event_high_water"))
    put(last, (100, "deposit"), is_global=False)
    before = touched()
    rule = a_gap_rule(app)
    reads, writes = (now - then for now, then in zip(touched(), before, strict=True))
    assert (reads, writes) == (1, 1), "nobody waits for a row to be written for each stream"
    for _ in range(SWEEPS):
        before = touched()
        sweep_gaps()
        reads, writes = (now - then for now, then in zip(touched(), before, strict=True))
        assert reads <= 2 * LOOKS + 10
        assert writes <= LOOKS + 1
    put(last, (130, "deposit"), is_global=False)
    sweep_gaps()
    before = touched()
    for _ in range(SWEEPS):
        sweep_gaps()
    assert found(rule) == [(last, 100)], "when its turn has come"
    reads, writes = (now - then for now, then in zip(touched(), before, strict=True))
    assert writes <= 2 * SWEEPS

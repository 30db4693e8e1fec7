"""Gaps and what is told of them, while several schedulers are killed at random: each once, and none is lost."""

import random
import time

from sqlalchemy import text

from src.domain.deliveries import Channel, Target
from src.wiring import services
from tests.domain.alerts.model import Past, gaps
from tests.factories.alert_rules import an_alert_rule
from tests.factories.clients import a_client
from tests.factories.histories import Histories, random_histories, store
from tests.live import Live, Program, eventually

GAP = {"kind": "gap", "asked_on": "any", "parameters": {"after": 20}}
HOOK = Target(Channel.WEBHOOK, "https://hooks.example.org/alerts")
KILLS = 12


def expected(histories: Histories) -> set[tuple[int, int]]:
    now = max(event.t for events in histories.values() for event in events)
    return {(client, t) for client, events in histories.items() for t in gaps(GAP, events, now)}


def replaced(live: Live, running: list[Program], rng: random.Random) -> list[Program]:
    """One of them is killed at a moment of chance, and another begins."""
    time.sleep(rng.uniform(0.0, 0.6))
    running.pop(rng.randrange(len(running))).kill()
    return [*running, live.start_scheduler(wait=False)]


def test_21_gaps_are_found_once_while_schedulers_are_killed(live: Live, rng: random.Random) -> None:
    by = live.workshop.files.owner()
    clients = [a_client().id for _ in range(40)]
    histories = random_histories(rng.randrange(10**6), clients, 6_000)
    rule = an_alert_rule(by, **GAP)
    with services() as s:
        s.deliveries.renew_secret(by)
        s.alert_subscriptions.subscribe((HOOK,), rule.id, 60, by)
    running = [live.start_scheduler(wait=False) for _ in range(2)]
    rest = {client: list(events) for client, events in histories.items()}
    for _ in range(KILLS):
        append(rest, 6_000 // KILLS)
        running = replaced(live, running, rng)

    def are_all_told() -> bool:
        with services() as s:
            told = (
                "SELECT coalesce(sum((payload->>'raised')::int), 0) FROM delivery WHERE what = 'alert.raised'"
            )
            return s.session.scalars(text(told)).one() == len(expected(histories))

    eventually("all gaps are found and told", are_all_told, within=60)
    time.sleep(2)
    with services() as s:
        rows = s.session.execute(
            text("SELECT client_id, t FROM alert WHERE rule_id = :id"), {"id": rule.id}
        ).all()
    assert sorted(map(tuple, rows)) == sorted(expected(histories))
    assert are_all_told()


def append(rest: dict[int, list[Past]], count: int) -> None:
    """The next events of all, in their order, in one transaction."""
    following = sorted(((event.t, client) for client, events in rest.items() for event in events))[:count]
    taken: dict[int, list[Past]] = {}
    for _, client in following:
        taken.setdefault(client, []).append(rest[client].pop(0))
    with services() as s:
        store(s.session, taken)

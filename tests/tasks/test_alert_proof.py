"""The alerts of events that come one by one, in batches, as files and in hindsight are those of the plain model.

EVENTS_PROOF=1000000 takes a million events in place of a few hundred; every rule is asked about each.
"""

import logging
import os
import random
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import insert, text

from src.domain.alerts import RuleState
from src.domain.event_batches import Accepted
from src.domain.events import NewEvent
from src.domain.roles import Actor
from src.models import Client
from src.repositories.backtests import Span
from src.wiring import adapters, services
from tests.committing import Workshop
from tests.domain.alerts.making import SHIPPED, Document, a_rule, some_documents
from tests.domain.alerts.model import Past, causes
from tests.factories.alert_rules import an_alert_rule
from tests.factories.histories import Histories, random_histories
from tests.factories.imports import Imports, table

EVENTS = int(os.environ.get("EVENTS_PROOF", "600"))
PER_CLIENT = 40
SEED = 20_261_126
TAKE_BACK = (
    "SET LOCAL statement_timeout = 0",
    "DELETE FROM alert WHERE t >= :first",
    "DELETE FROM event WHERE t >= :first",
    "DELETE FROM event_high_water",
    "INSERT INTO event_high_water SELECT 0, max(t) FROM event HAVING max(t) IS NOT NULL",
)


class Row(NamedTuple):
    """An alert."""

    code: int
    version: int
    client: int
    t: int
    causes: tuple[int, ...]
    is_shadow: bool


class Asked(NamedTuple):
    """A rule as it is asked between two times: one version of it."""

    id: UUID
    code: int
    version: int
    document: Document
    is_shadow: bool
    first: int
    last: int


def make_rules(by: Actor, middle: int, last: int) -> list[Asked]:
    """One of each kind that is asked about events, and another in the shadow; the first ones get a new
    version in the middle. The rules that ship are asked, too."""
    asked = []
    for document in SHIPPED:
        with services() as s:
            rule = s.alert_rule_rows.get_by_code(document["code"])
        asked.append(Asked(rule.id, rule.code, 1, document, False, 0, last))
    plain, shadow, later = (some_documents(seed)[len(SHIPPED) : -1] for seed in (1, 2, 3))
    for code, document in enumerate(plain, start=20_101):
        rule = an_alert_rule(by, **document | {"code": code})
        asked.append(Asked(rule.id, code, 1, document, False, 0, middle - 1))
        asked.append(Asked(rule.id, code, 2, later[code - 20_101], False, middle, last))
    for code, document in enumerate(shadow, start=20_201):
        rule = an_alert_rule(by, RuleState.SHADOW, **document | {"code": code})
        asked.append(Asked(rule.id, code, 1, document, True, 0, last))
    return asked


def switch(asked: Sequence[Asked], by: Actor) -> None:
    for one in asked:
        if one.version == 2:
            with services() as s:
                rule = s.alert_rule_rows.get_current(one.id, is_locked=True)
                s.alert_rules.add_version(rule, one.document | {"note": None}, by)


def chunks(rows: Sequence[Any], chance: random.Random) -> Iterator[Sequence[Any]]:
    """Batches of chance sizes; many of them of one event alone."""
    place = 0
    while place < len(rows):
        size = 1 if chance.random() < 0.4 else chance.randint(2, max(len(rows) // 50, 3))
        yield rows[place : place + min(size, 1_000)]
        place += min(size, 1_000)


def send(rows: Sequence[tuple[int, Past]]) -> dict[tuple[int, int], str]:
    """Through the intake, as requests go; the answers, by client and t."""
    answers = {}
    for batch in chunks(rows, random.Random(SEED)):
        events = [
            NewEvent(event.type, Decimal(event.cents) / 100, str(client), event.t, client)
            for client, event in batch
        ]
        for event, outcome in zip(events, adapters().intake.append(events), strict=True):
            assert isinstance(outcome, Accepted), outcome
            answers[int(event.client), event.t] = outcome.answer
    return answers


def expected(asked: Sequence[Asked], histories: Histories) -> set[Row]:
    """What the plain model says, event by event, each with its client's whole past."""
    rows = set()
    for client, events in histories.items():
        for place, event in enumerate(events):
            for one in asked:
                if one.first <= event.t <= one.last and (why := causes(one.document, events[: place + 1])):
                    rows.add(Row(one.code, one.version, client, event.t, tuple(why), one.is_shadow))
    return rows


def stored(first: int = 0) -> set[Row]:
    """Those since then. Rule by rule: all at once would take longer than a transaction may rest."""
    found: set[Row] = set()
    for (code,) in table("SELECT DISTINCT code FROM alert"):
        rows = table(f"""SELECT code, rule_version, c.external_id::bigint, t, causes, is_shadow
            FROM alert JOIN client c ON c.id = client_id WHERE code = {code} AND t >= {first}""")
        mine = {
            Row(code, version, client, t, tuple(why), is_shadow)
            for code, version, client, t, why, is_shadow in rows
        }
        assert len(mine) == len(rows)
        found |= mine
    return found


def by_file(imports: Imports, rows: Sequence[tuple[int, Past]]) -> set[Row]:
    """The alerts that the events raise as a file; then they are taken back."""
    lines = [
        f"{event.type},{event.cents // 100}.{event.cents % 100:02},{client},{event.t}"
        for client, event in rows
    ]
    done = imports.load("events", "\n".join(["type,amount,user_id,t", *lines]))
    assert done.inserted == len(rows)
    first = rows[0][1].t
    found = stored(first)
    with services() as s:
        for statement in TAKE_BACK:
            s.session.execute(text(statement), {"first": first})
    return found


def in_hindsight(one: Asked) -> set[tuple[int, int]]:
    """What a backtest of this version finds, over the times at which it was asked."""
    span = Span(0, 2**62, one.first, one.last)
    with services() as s:
        hits = s.backtest_rows.hits(a_rule({"code": one.code, **one.document}), span)
        return {(int(hit.client), hit.t) for hit in hits}


def test_alerts_are_those_of_the_model_however_the_events_came_and_in_hindsight(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("src.events"), "disabled", True)  # millions of lines
    by = workshop.files.owner()
    histories = random_histories(SEED, list(range(1, EVENTS // PER_CLIENT + 1)), EVENTS)
    with services() as s:
        s.session.execute(insert(Client).values([{"external_id": str(client)} for client in histories]))
    rows = sorted(
        ((client, event) for client, events in histories.items() for event in events),
        key=lambda row: row[1].t,
    )
    middle = rows[len(rows) // 2][1].t
    asked = make_rules(by, middle, rows[-1][1].t)

    imports, half = Imports(workshop.app), len(rows) // 2
    of_files = by_file(imports, rows[:half])
    answers = send(rows[:half])
    switch(asked, by)
    of_files |= by_file(imports, rows[half:])
    answers |= send(rows[half:])

    alerts = expected(asked, histories)
    assert len(alerts) > EVENTS
    assert stored() == alerts
    assert of_files == alerts
    codes: dict[tuple[int, int], set[int]] = {place: set() for place in answers}
    for row in alerts:
        if not row.is_shadow:
            codes[row.client, row.t].add(row.code)
    assert answers == {(client, t): answer_of(client, found) for (client, t), found in codes.items()}
    for one in asked:
        hits = {(row.client, row.t) for row in alerts if row[:2] == (one.code, one.version)}
        assert in_hindsight(one) == hits, one
    print(f"{len(rows):,} events, {len(asked)} rules, {len(alerts):,} alerts: all the same")


def answer_of(client: int, codes: set[int]) -> str:
    """As it is published."""
    told = ",".join(map(str, sorted(codes)))
    return f'{{"alert":{"true" if codes else "false"},"alert_codes":[{told}],"user_id":{client}}}'

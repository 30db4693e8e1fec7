"""Events put straight into the tables, many at once: a past for rules to be asked about."""

import random
from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.domain.alerts.making import Document
from tests.domain.alerts.model import Past, causes, gaps

STORE = text("""
    INSERT INTO event (client_id, t, type, amount, created_at, is_global, number, total)
    SELECT e.*, clock_timestamp(), :is_global, count(*) OVER past, sum(amount) OVER past
    FROM unnest(CAST(:clients AS bigint[]), CAST(:ts AS bigint[]), CAST(:types AS text[]),
        CAST(:amounts AS numeric[])) AS e (client_id, t, type, amount)
    WINDOW past AS (PARTITION BY client_id, type ORDER BY t)
""")
MOVE = text("""
    INSERT INTO event_high_water (stream, t) VALUES (:stream, :t)
    ON CONFLICT (stream) DO UPDATE SET t = excluded.t
""")
AMOUNTS = (1, 4_999, 5_000, 5_001, 9_999, 10_000, 10_001, 15_000, 20_000, 20_001)
Histories = Mapping[int, Sequence[Past]]


def store(session: Session, histories: Histories, *, is_global: bool = True) -> None:
    """The events of each client, and how far the streams have come with them."""
    rows = [(client, event) for client, events in histories.items() for event in events]
    columns = {
        "clients": [client for client, _ in rows],
        "ts": [event.t for _, event in rows],
        "types": [event.type for _, event in rows],
        "amounts": [f"{event.cents // 100}.{event.cents % 100:02}" for _, event in rows],
    }
    session.execute(STORE, columns | {"is_global": is_global})
    latest = {client: events[-1].t for client, events in histories.items() if events}
    for stream, t in ({0: max(latest.values())} if is_global and latest else latest).items():
        session.execute(MOVE, {"stream": stream, "t": t})


def random_histories(seed: int, clients: Sequence[int], events: int, *, longest_step: int = 12) -> Histories:
    """One order over all clients, with amounts and times that meet the limits of rules often."""
    chance, t = random.Random(seed), 0
    histories: dict[int, list[Past]] = {client: [] for client in clients}
    for _ in range(events):
        type_ = chance.choice(("deposit", "withdraw"))
        histories[chance.choice(clients)].append(Past(t, t, type_, chance.choice(AMOUNTS)))
        t += chance.randint(1, longest_step)
    return histories


def hits_of(document: Document, histories: Histories, clients: dict[int, str]) -> set[tuple[str, int]]:
    """What the plain model finds, asked event by event over each whole past."""
    if document["kind"] == "gap":
        now = max(event.t for events in histories.values() for event in events)
        return {(clients[id_], t) for id_, events in histories.items() for t in gaps(document, events, now)}
    return {
        (clients[id_], event.t)
        for id_, events in histories.items()
        for place, event in enumerate(events)
        if causes(document, events[: place + 1])
    }

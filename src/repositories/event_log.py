"""The log of events: what a batch must know is one read, what it leaves is one write, guarded by the read.

Written by hand for psycopg, on the session's own connection: here each tenth of a millisecond counts.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
import psycopg
from sqlalchemy.orm import Session

from src.database import TRANSACTION, driver_connection, note_transaction
from src.domain.alerts import Event, History, Hit, Need, Needs
from src.domain.event_batches import Accepted, Batch, Look, Past, Place, stream_of
from src.domain.events import LAST_T, NewEvent, Ordering

MARGIN = 4
# Of one client the planner should know that it is one; of many, who knows how many.
ONE, MANY = "(SELECT %(asked)s::text)", "json_array_elements_text(%(asked)s::json)"
STREAMS = {Ordering.GLOBAL: "0", Ordering.PER_CLIENT: "c.id"}

# The latest events of one type. The type stands in the text, so that the index of just this type serves. Rows
# are compared, since the planner, who knows what clients have on average, would sort all events of one.
LATEST = """
    (SELECT t, type, amount, number, total FROM event
    WHERE type = '{type}' AND (client_id, t) >= ({client}, {first}) AND (client_id, t) <= ({client}, {last})
    ORDER BY client_id DESC, t DESC LIMIT {most})
"""
OF_CLIENT = {"client": "c.id", "first": 0, "last": LAST_T}
READ = f"""
    SELECT asked.name, c.id, h.t, recent.*,
        (SELECT revision FROM alert_rule_revision), extract(epoch FROM clock_timestamp())
    FROM {{asked}} AS asked (name)
    LEFT JOIN client c ON c.external_id = asked.name AND c.deleted_at IS NULL
    LEFT JOIN event_high_water h ON h.stream = {{stream}}
    LEFT JOIN LATERAL (
        SELECT array_agg(e.t), array_agg(e.type), array_agg(e.amount), array_agg(e.number), array_agg(e.total)
        FROM ({LATEST.format(type="deposit", most="{deposits}", **OF_CLIENT)} UNION ALL
            {LATEST.format(type="withdraw", most="{withdraws}", **OF_CLIENT)}) AS e
    ) AS recent ON true
"""
OF_LOOK = {"client": "asked.client_id", "first": "asked.first", "last": "asked.last", "most": "asked.most"}
LOOK_BACK = f"""
    SELECT asked.client_id, found.*
    FROM unnest(%(clients)s::bigint[], %(types)s::text[], %(firsts)s::bigint[], %(lasts)s::bigint[],
        %(most)s::bigint[]) AS asked (client_id, type, first, last, most)
    CROSS JOIN LATERAL (
        SELECT * FROM {LATEST.format(type="deposit", **OF_LOOK)} AS deposits WHERE asked.type = 'deposit'
        UNION ALL
        SELECT * FROM {LATEST.format(type="withdraw", **OF_LOOK)} AS withdraws WHERE asked.type = 'withdraw'
    ) AS found
"""
HOLD = "SELECT FROM event_high_water WHERE stream = ANY(%(streams)s) ORDER BY stream FOR UPDATE"
# All streams must still be where they were seen, or nothing is written: what was judged would not hold. The
# lock shows where they are now; a stream that two begin at once fails on its key.
WRITE = """
    WITH seen AS (
        SELECT * FROM unnest(%(streams)s::bigint[], %(seen)s::bigint[], %(latest)s::bigint[])
            AS s (stream, t, latest)
    ), held AS (
        SELECT stream, t FROM event_high_water WHERE stream = ANY(%(streams)s::bigint[])
        ORDER BY stream FOR UPDATE
    ), guard AS (
        SELECT NOT EXISTS (
            SELECT FROM seen LEFT JOIN held USING (stream) WHERE seen.t IS DISTINCT FROM held.t
        ) AS holds
    ), moved AS (
        UPDATE event_high_water AS h SET t = seen.latest FROM seen, guard
        WHERE guard.holds AND h.stream = seen.stream
    ), begun AS (
        INSERT INTO event_high_water SELECT stream, latest FROM seen, guard
        WHERE guard.holds AND seen.t IS NULL ORDER BY stream
    ), stored AS (
        INSERT INTO event (client_id, t, type, amount, number, total, event_id, answer, is_global, import_id)
        SELECT n.*, %(is_global)s, %(import_id)s::uuid
        FROM unnest(%(clients)s::bigint[], %(ts)s::bigint[], %(types)s::text[], %(amounts)s::numeric[],
            %(numbers)s::bigint[], %(totals)s::numeric[], %(event_ids)s::text[], %(answers)s::text[])
            AS n, guard WHERE guard.holds
    ) {raised} SELECT holds, {transaction} FROM guard
"""
RAISED = """, raised AS (
        INSERT INTO alert (rule_id, rule_version, code, is_shadow, client_id, t, causes)
        SELECT r.rule_id, r.rule_version, r.code, r.is_shadow, r.client_id, r.t, r.causes::bigint[]
        FROM unnest(%(rules)s::uuid[], %(versions)s::int[], %(codes)s::int[], %(shadows)s::bool[],
            %(hit_clients)s::bigint[], %(hit_ts)s::bigint[], %(causes)s::text[])
            AS r (rule_id, rule_version, code, is_shadow, client_id, t, causes), guard WHERE guard.holds
    )"""
QUIETLY = WRITE.format(raised="", transaction=TRANSACTION)
WITH_ALERTS = WRITE.format(raised=RAISED, transaction=TRANSACTION)
FIND_ANSWERS = """
    SELECT e.event_id, e.type, e.amount, c.external_id, e.t, e.answer
    FROM event e JOIN client c ON c.id = e.client_id WHERE e.event_id = ANY(%(event_ids)s)
"""
FIND_TIMES = {
    Ordering.GLOBAL: "SELECT 0, t FROM event WHERE is_global AND t = ANY(%(ts)s)",
    Ordering.PER_CLIENT: """
        SELECT client_id, t FROM event
        WHERE (client_id, t) IN (SELECT * FROM unnest(%(streams)s::bigint[], %(ts)s::bigint[]))
    """,
}
FIX = """
    INSERT INTO event_order (ordering, time_unit) VALUES (%(ordering)s, %(time_unit)s) ON CONFLICT DO NOTHING
"""
FIXED = "SELECT ordering, time_unit FROM event_order"


class Snapshot(NamedTuple):
    """The pasts of the clients asked about, the revision of the rules, and the time in seconds."""

    pasts: Mapping[str, Past]
    revision: int
    now: float


class EventLog:
    def __init__(self, session: Session, ordering: Ordering) -> None:
        self.session = session
        self.ordering = ordering
        self.connection = driver_connection(session)

    def read(self, names: Collection[str], needs: Needs) -> Snapshot:
        """The clients, how far their streams are, and of each type the latest events that rules need."""
        is_one = len(names) == 1
        statement = READ.format(
            asked=ONE if is_one else MANY,
            stream=STREAMS[self.ordering],
            deposits=_depth(needs, needs.deposit),
            withdraws=_depth(needs, needs.withdraw),
        )
        asked = next(iter(names)) if is_one else orjson.dumps(list(names)).decode()
        rows = self._run(statement, asked=asked)
        return Snapshot({row[0]: self._past(row) for row in rows}, rows[0][8], float(rows[0][9]))

    def look_back(self, looks: Collection[Look], pasts: Iterable[Past]) -> None:
        """Read these stretches into the histories of the pasts they belong to."""
        clients, types, firsts, lasts, most = map(_array, zip(*looks, strict=True))
        rows = self._run(LOOK_BACK, clients=clients, types=types, firsts=firsts, lasts=lasts, most=most)
        found: dict[int, list[Event]] = {look.client_id: [] for look in looks}
        for client_id, t, *rest in rows:
            found[client_id].append(Event(t, t, *rest))
        for past in pasts:
            if past.client_id in found:
                both = {event.t: event for event in (*past.history.any, *found[past.client_id])}
                past.history = History(both[t] for t in sorted(both))

    def hold(self, streams: Collection[int]) -> None:
        """Keep the streams until the end of the transaction: what is read from now on stays so."""
        self._run(HOLD, streams=list(streams))

    def write(self, batch: Batch, import_id: Any = None) -> bool:
        """Store the batch, if its streams are still where they were seen; answers whether it did."""
        values = self._values(batch) | {"import_id": import_id}
        hits = [(one, hit) for one in batch.events for hit in one.hits]
        try:
            if hits:
                holds, transaction = self._run(WITH_ALERTS, **values, **_hit_values(hits))[0]
            else:
                holds, transaction = self._run(QUIETLY, **values)[0]
        except psycopg.IntegrityError:  # another took the event_id, the client or the stream meanwhile
            return False
        note_transaction(self.session, transaction)
        return bool(holds)

    def _values(self, batch: Batch) -> dict[str, Any]:
        streams, events = sorted(batch.latest), [one.event for one in batch.events]
        has_ids = any(event.event_id is not None for event in events)
        answers = [one.answer if one.event.event_id else None for one in batch.events]
        return {
            "streams": _array(streams),
            "seen": _array("NULL" if (t := batch.seen[stream]) is None else t for stream in streams),
            "latest": _array(batch.latest[stream] for stream in streams),
            "is_global": self.ordering is Ordering.GLOBAL,
            "clients": _array(one.client_id for one in batch.events),
            "ts": _array(event.t for event in events),
            "types": _array(event.type for event in events),
            "amounts": _array(event.amount for event in events),
            "numbers": _array(one.kept.number for one in batch.events),
            "totals": _array(one.kept.total for one in batch.events),
            "event_ids": [event.event_id for event in events] if has_ids else None,
            "answers": answers if has_ids else None,
        }

    def answers(self, event_ids: Collection[str]) -> dict[str, tuple[NewEvent, str]]:
        """The events that are stored under these ids, with the answers they got."""
        rows = self._run(FIND_ANSWERS, event_ids=list(event_ids))
        return {
            id_: (NewEvent(type_, amount, client, t, client, id_), answer)
            for id_, type_, amount, client, t, answer in rows
        }

    def taken(self, places: Collection[Place]) -> set[Place]:
        """Which of these pairs of a stream and a t there are."""
        streams, ts = [place[0] for place in places], [place[1] for place in places]
        values = {"ts": ts} | ({} if self.ordering is Ordering.GLOBAL else {"streams": streams})
        return set(self._run(FIND_TIMES[self.ordering], **values))

    def fix_order(self, time_unit: str) -> None:
        """Fix the order and the unit, unless they are fixed already."""
        self._run(FIX, ordering=self.ordering, time_unit=time_unit)

    def fixed_order(self) -> tuple[str, str] | None:
        """The order and the unit, once they are fixed."""
        rows = self._run(FIXED)
        return rows[0] if rows else None

    def _past(self, row: Sequence[Any]) -> Past:
        client_id, latest, ts, *rest = row[1:8]
        history = History(sorted(map(Event, ts, ts, *rest))) if ts else History()
        return Past(client_id, stream_of(self.ordering, client_id), latest, history)

    def _run(self, statement: str, **values: Any) -> list[Any]:
        cursor = self.connection.execute(statement, values, prepare=True, binary=True)
        return cursor.fetchall() if cursor.description else []


def _depth(needs: Needs, need: Need) -> int:
    """How many events of a type to read at first: enough for what looks at the last ones, and for the running
    figures; and a few more, behind which most windows begin."""
    return max(needs.any, need.last, 1) + (MARGIN if need.windows else 0)


def _hit_values(hits: Sequence[tuple[Accepted, Hit]]) -> dict[str, str]:
    return {
        "rules": _array(hit.rule.id for _, hit in hits),
        "versions": _array(hit.rule.version for _, hit in hits),
        "codes": _array(hit.rule.code for _, hit in hits),
        "shadows": _array(hit.rule.is_shadow for _, hit in hits),
        "hit_clients": _array(one.client_id for one, _ in hits),
        "hit_ts": _array(one.event.t for one, _ in hits),
        "causes": _array(f'"{_array(hit.causes)}"' for _, hit in hits),
    }


def _array(values: Iterable[object]) -> str:
    """An array as PostgreSQL reads it, of values that need no quotes: far cheaper than the driver's lists."""
    return f"{{{','.join(map(str, values))}}}"

"""The log of events: what a batch must know is one read, what it leaves is one write, guarded by the read.

Written by hand for libpq: here each tenth of a millisecond counts.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import orjson
import psycopg

from src.domain.alerts import Event, History, Hit, Need, Needs
from src.domain.event_batches import Accepted, Batch, Look, Past, Place, stream_of
from src.domain.events import NewEvent, Ordering
from src.repositories import event_statements as sql
from src.statements import Call, NoLongerSo, Reading, Row, Value, array_of, texts_of, told
from src.transactions import InSession, Transaction

MARGIN = 4
NONE: Mapping[str, Past] = {}
ASKED = ("name", "client_id", "t")
UNKNOWN = (None, None)


class Snapshot(NamedTuple):
    """The pasts of the clients asked about, the revision of the rules, and the time in seconds."""

    pasts: Mapping[str, Past]
    revision: int
    now: float


class Assumed(NamedTuple):
    """What a batch goes by that was not read for it: whose pasts it knows, the revision of the rules, what is
    known of the senders, and from what time on, in seconds, it may be written."""

    pasts: Mapping[str, Past]
    revision: int
    known: Collection[Reading]
    since: float


class EventLog:
    def __init__(self, transaction: Transaction, ordering: Ordering) -> None:
        self.transaction = transaction
        self.ordering = ordering

    def read(
        self,
        names: Collection[str],
        needs: Needs,
        known: Collection[Reading] = (),
        pasts: Mapping[str, Past] = NONE,
    ) -> Snapshot:
        """The clients, how far their streams are, and of each type the latest events that rules need.

        What is known is read again beside it; raises NoLongerSo unless it is the same. Pasts are not read
        again while their clients are who they were, and their streams where they were.
        """
        statement = _reading(len(names) == 1, self.ordering, needs)
        call = Call(statement, _asked({name: pasts.get(name) for name in names}))
        *again, rows = self.transaction.run_all(*(one.call for one in known), call)
        if changed := [one for one, now in zip(known, again, strict=True) if tuple(now) != one.rows]:
            raise NoLongerSo(changed)
        *_, revision, now = map(told, rows[0])
        return Snapshot({told(row[0]): self._past(row, pasts) for row in rows}, int(revision), float(now))

    def look_back(self, looks: Collection[Look], pasts: Iterable[Past]) -> None:
        """Read these stretches into the histories of the pasts they belong to."""
        rows = self.transaction.run(sql.LOOK_BACK, *map(array_of, zip(*looks, strict=True)))
        found: dict[int, list[Event]] = {look.client_id: [] for look in looks}
        for client_id, t, type_, amount, number, total in (map(told, row) for row in rows):
            event = Event(int(t), int(t), type_, Decimal(amount), int(number), Decimal(total))
            found[int(client_id)].append(event)
        for past in pasts:
            if past.client_id in found:
                both = {event.t: event for event in (*past.history.any, *found[past.client_id])}
                past.history = History((both[t] for t in sorted(both)), may_have_holes=True)

    def hold(self, streams: Collection[int]) -> None:
        """Keep the streams until the end of the transaction: what is read from now on stays so."""
        self.transaction.run(sql.HOLD, array_of(streams))

    def write(self, batch: Batch, import_id: UUID | None = None, assumed: Assumed | None = None) -> bool:
        """Store the batch, if its streams are still where they were seen; answers whether it did.

        With what is assumed nothing need have been read before: it is looked at in the same statement, and
        nothing is stored unless it is so.
        """
        hits = [(one, hit) for one in batch.events for hit in one.hits]
        seen = [*batch.seen.values()]
        has_one_stream, is_one = len(seen) == 1 and seen[0] is not None, len(batch.events) == 1
        conditions, more = _conditions(assumed) if assumed else ((), ())
        statement = sql.writing(
            is_one=is_one, has_one_stream=has_one_stream, is_raised=bool(hits), assumed=conditions
        )
        values = (
            *self._moved(batch, has_one_stream=has_one_stream),
            "t" if self.ordering is Ordering.GLOBAL else "f",
            None if import_id is None else str(import_id),
            *(_values(batch.events[0]) if is_one else _arrays(batch.events)),
            *_hit_values(hits),
            *more,
        )
        finish = self.transaction.run_alone if assumed else self.transaction.finish
        try:
            rows = finish(statement, *values)
        except psycopg.IntegrityError:  # another took the event_id, the client or the stream meanwhile
            return False
        return self._is_stored(batch.events[0]) if rows is None else bool(rows)

    def _is_stored(self, one: Accepted) -> bool:
        """Asked when nobody heard whether the streams were where they were seen, or what became of it."""
        event = one.event
        with self.transaction.session() as session:
            values = one.client_id, event.t, event.type, str(event.amount), event.event_id
            return bool(InSession(session).run(sql.IS_STORED, *values))

    def _moved(self, batch: Batch, *, has_one_stream: bool) -> tuple[Value, Value, Value]:
        """The streams, where they were seen, and where they are to be."""
        streams = sorted(batch.latest)
        if has_one_stream:
            return streams[0], batch.seen[streams[0]], batch.latest[streams[0]]
        seen = [batch.seen[stream] for stream in streams]
        return (
            array_of(streams),
            array_of("NULL" if t is None else t for t in seen),
            array_of(batch.latest[stream] for stream in streams),
        )

    def answers(self, event_ids: Collection[str]) -> dict[str, tuple[NewEvent, str]]:
        """The events that are stored under these ids, with the answers they got."""
        rows = (map(told, row) for row in self.transaction.run(sql.FIND_ANSWERS, texts_of(event_ids)))
        return {
            id_: (NewEvent(type_, Decimal(amount), client, int(t), client, id_), answer)
            for id_, type_, amount, client, t, answer in rows
        }

    def taken(self, places: Collection[Place]) -> set[Place]:
        """Which of these pairs of a stream and a t there are."""
        streams, ts = map(array_of, zip(*places, strict=True))
        values = (ts,) if self.ordering is Ordering.GLOBAL else (ts, streams)
        rows = self.transaction.run(sql.FIND_TIMES[self.ordering], *values)
        return {(int(told(stream)), int(told(t))) for stream, t in rows}

    def fix_order(self, time_unit: str) -> None:
        """Fix the order and the unit, unless they are fixed already."""
        self.transaction.run(sql.FIX, self.ordering, time_unit)

    def fixed_order(self) -> tuple[str, str] | None:
        """The order and the unit, once they are fixed."""
        rows = self.transaction.run(sql.FIXED)
        return (told(rows[0][0]), told(rows[0][1])) if rows else None

    def _past(self, row: Row, pasts: Mapping[str, Past]) -> Past:
        client_id, latest = (None if value is None else int(value) for value in row[1:3])
        past = pasts.get(told(row[0]))
        if past is not None and latest is not None and (past.client_id, past.latest) == (client_id, latest):
            return past
        return Past(client_id, stream_of(self.ordering, client_id), latest, _history(row[3:8]))


def _values(one: Accepted) -> tuple[Value, ...]:
    event, kept = one.event, one.kept
    id_, answer = (None, None) if event.event_id is None else (event.event_id, one.answer)
    values = one.client_id, event.t, event.type, str(event.amount), kept.number, str(kept.total)
    return *values, id_, answer


def _arrays(accepted: Sequence[Accepted]) -> Iterator[Value]:
    """The same of several."""
    events = [one.event for one in accepted]
    yield array_of(one.client_id for one in accepted)
    yield array_of(event.t for event in events)
    yield array_of(event.type for event in events)
    yield array_of(event.amount for event in events)
    yield array_of(one.kept.number for one in accepted)
    yield array_of(one.kept.total for one in accepted)
    has_ids = any(event.event_id is not None for event in events)
    yield texts_of(event.event_id for event in events) if has_ids else None
    yield texts_of(one.answer if one.event.event_id else None for one in accepted) if has_ids else None


def _conditions(assumed: Assumed) -> tuple[tuple[str, ...], tuple[Value, ...]]:
    """What must be so, as SQL, and its values."""
    conditions = [*sql.IS_SO]
    values: list[Value] = [assumed.revision, repr(assumed.since)]
    clients = [(past.client_id, name) for name, past in assumed.pasts.items()]
    if len(clients) == 1:
        conditions.append(sql.IS_CLIENT)
        values += clients[0]
    else:
        ids, names = zip(*clients, strict=True)
        conditions.append(sql.ARE_CLIENTS)
        values += array_of(ids), texts_of(names)
    for (statement, given), rows in assumed.known:
        for row in rows:
            conditions.append(sql.reads_the_same(statement, len(given), len(row)))
            values += *given, *map(told, row)
    return tuple(conditions), tuple(values)


def _asked(pasts: Mapping[str, Past | None]) -> tuple[Value, ...]:
    """Who is asked about, and what is known: whose past it is, and how far it goes."""
    rows = [(name, *((past.client_id, past.latest) if past else UNKNOWN)) for name, past in pasts.items()]
    if len(rows) == 1:
        return rows[0]
    return (orjson.dumps([dict(zip(ASKED, row, strict=True)) for row in rows]).decode(),)


@lru_cache
def _reading(is_one: bool, ordering: Ordering, needs: Needs) -> str:
    deposits, withdraws = depths(needs)
    asked = sql.ONE if is_one else sql.MANY
    return sql.READ.format(asked=asked, stream=sql.STREAMS[ordering], deposits=deposits, withdraws=withdraws)


def depths(needs: Needs) -> tuple[int, int]:
    """How many deposits and withdraws are read at first."""
    return _depth(needs, needs.deposit), _depth(needs, needs.withdraw)


def _depth(needs: Needs, need: Need) -> int:
    """How many events of a type to read at first: enough for what looks at the last ones, and for the running
    figures; and a few more, behind which most windows begin."""
    return max(needs.any, need.last, 1) + (MARGIN if need.windows else 0)


def _history(columns: Row) -> History:
    """Of five arrays that have an entry for each event."""
    if columns[0] is None:
        return History()
    ts, types, amounts, numbers, totals = (told(column)[1:-1].split(",") for column in columns)
    times = [*map(int, ts)]
    kept = map(Event, times, times, types, map(Decimal, amounts), map(int, numbers), map(Decimal, totals))
    return History(sorted(kept))


def _hit_values(hits: Sequence[tuple[Accepted, Hit]]) -> Iterator[Value]:
    if not hits:
        return
    yield array_of(hit.rule.id for _, hit in hits)
    yield array_of(hit.rule.version for _, hit in hits)
    yield array_of(hit.rule.code for _, hit in hits)
    yield array_of(hit.rule.is_shadow for _, hit in hits)
    yield array_of(one.client_id for one, _ in hits)
    yield array_of(one.event.t for one, _ in hits)
    yield array_of(f'"{array_of(hit.causes)}"' for _, hit in hits)

"""Events: judged and stored, in one transaction, by the rules as they are at that moment."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from src.config import Settings
from src.domain.alerts import RuleSet
from src.domain.event_batches import Accepted, Batch, Judge, Outcome, Past, looks_back
from src.domain.events import NewEvent, Ordering, OrderIsFixed, TimeUnit
from src.domain.known_pasts import KnownPasts
from src.repositories.alert_rules import AlertRuleRepository
from src.repositories.event_log import Assumed, EventLog, Snapshot, depths
from src.statements import Reading
from src.transactions import Transaction

log = logging.getLogger("src.events")
MOST_KNOWN = 3  # senders about whom is asked in the statement that writes


class Overtaken(Exception):
    """Others wrote between our reading and our writing: nothing is stored, judge again."""


@dataclass
class EventMemory:
    """What a process remembers between transactions: the rules of a revision, that the order is fixed, and
    what it knows of clients."""

    ordering: Ordering
    unit: TimeUnit
    max_ahead: int | None  # in the unit of t
    is_fixed: bool = False
    revision: int = -1
    rules: RuleSet = field(default_factory=RuleSet)
    pasts: KnownPasts = field(default_factory=KnownPasts)
    is_alone: bool = True  # nobody else has moved the streams of late, as far as is known

    @classmethod
    def of(cls, settings: Settings) -> "EventMemory":
        unit = TimeUnit(settings.event_time_unit)
        ahead = settings.event_max_ahead_seconds
        return cls(Ordering(settings.event_ordering), unit, ahead * unit.per_second if ahead else None)

    def earliest(self, events: Iterable[NewEvent]) -> float:
        """From what time on, in seconds, all of them may be written."""
        last = max(event.t for event in events)
        return 0.0 if self.max_ahead is None else (last - self.max_ahead) / self.unit.per_second

    def keep(self, pasts: Mapping[str, Past], latest: Mapping[int, int]) -> None:
        """How far the streams came with what was stored, or will be."""
        self.pasts.keep(pasts, latest, depths(self.rules.needs))


class Ahead(NamedTuple):
    """Events that were judged before those before them were stored, and what must be so, that they may be."""

    outcomes: list[Outcome]
    batch: Batch
    assumed: Assumed


def judge_ahead(
    memory: EventMemory, events: Sequence[NewEvent], known: Collection[Reading] = ()
) -> Ahead | None:
    """Judge by what is known since the last judging; None if that is not enough.

    From now on it goes by these events as well: are they not stored, all that it knows must be forgotten.
    """
    if not memory.is_fixed or not memory.is_alone or len(known) > MOST_KNOWN:
        return None
    pasts = memory.pasts.take_all({event.client for event in events})
    if not pasts:
        return None
    if looks_back(events, pasts, memory.rules):
        memory.keep(pasts, {})
        return None
    judge = Judge(memory.rules, pasts, {}, None)
    outcomes = judge.judge(events)
    if len(judge.batch.events) < len(events):
        return None
    memory.keep(pasts, judge.batch.latest)
    return Ahead(outcomes, judge.batch, Assumed(pasts, memory.revision, known, memory.earliest(events)))


class EventService:
    def __init__(self, transaction: Transaction, memory: EventMemory) -> None:
        self.transaction = transaction
        self.memory = memory
        self.log = EventLog(transaction, memory.ordering)
        self._written: tuple[Mapping[str, Past], Mapping[int, int]] = {}, {}

    def append(
        self,
        events: Sequence[NewEvent],
        *,
        known: Collection[Reading] = (),
        import_id: UUID | None = None,
        is_held: bool = False,
    ) -> list[Outcome]:
        """Judge the events in this order, and store what may be; an outcome for each.

        What is known of their senders must still be so, or NoLongerSo is raised.
        Raises Overtaken when others were quicker. Held, nobody can be: for who was overtaken too often.
        What may be remembered of it, once it is committed, is for the caller to say.
        """
        snapshot = self._read(events, known, is_held=is_held)
        self._fix_order()
        ids = [event.event_id for event in events if event.event_id is not None]
        answered = self.log.answers(ids) if ids else {}
        judge = Judge(self.memory.rules, snapshot.pasts, answered, self._bound(snapshot))
        self._written = snapshot.pasts, judge.batch.latest
        outcomes = judge.judge(events)
        if judge.too_low:
            judge.settle(outcomes, self.log.taken({place for _, _, place, _ in judge.too_low}))
        if judge.batch.events and not self.log.write(judge.batch, import_id):
            raise Overtaken
        return outcomes

    def write_ahead(self, ahead: Ahead) -> bool:
        """Store them, if what they were judged by is so."""
        return self.log.write(ahead.batch, assumed=ahead.assumed)

    def remember(self) -> None:
        """What was appended is committed: the order is fixed, and how far the clients came is known."""
        self.memory.is_fixed = True
        self.memory.keep(*self._written)

    def check_order(self) -> None:
        """Raise when the order or the unit was fixed otherwise; without an event, nothing is."""
        fixed = self.log.fixed_order()
        if fixed is not None and fixed != (self.memory.ordering, self.memory.unit):
            raise _fixed_otherwise(*fixed)

    def _fix_order(self) -> None:
        if not self.memory.is_fixed:
            self.log.fix_order(self.memory.unit)
            self.check_order()

    def _read(self, events: Sequence[NewEvent], known: Collection[Reading], *, is_held: bool) -> Snapshot:
        """What the rules must know, by the rules as they are at the revision that was read with it."""
        names = {event.client for event in events}
        taken = self.memory.pasts.take(names)
        snapshot = self.log.read(names, self.memory.rules.needs, known, taken)
        if taken:
            self.memory.is_alone = all(snapshot.pasts[name] is past for name, past in taken.items())
        if is_held:
            self.log.hold(sorted({past.stream for past in snapshot.pasts.values()}))
            snapshot = self.log.read(names, self.memory.rules.needs)
        while snapshot.revision != self.memory.revision:
            self.memory.pasts.clear()
            with self.transaction.session() as session:
                self.memory.revision, self.memory.rules = AlertRuleRepository(session).asked()
            snapshot = self.log.read(names, self.memory.rules.needs)
        if looks := looks_back(events, snapshot.pasts, self.memory.rules):
            self.log.look_back(looks, snapshot.pasts.values())
        return snapshot

    def _bound(self, snapshot: Snapshot) -> int | None:
        ahead = self.memory.max_ahead
        return None if ahead is None else int(snapshot.now * self.memory.unit.per_second) + ahead


def _fixed_otherwise(ordering: str, unit: str) -> OrderIsFixed:
    return OrderIsFixed(
        f"The events here are in the order EVENT_ORDERING={ordering}, with EVENT_TIME_UNIT={unit}. "
        "The first event has fixed that; set both accordingly."
    )


def tell(outcomes: Iterable[Outcome]) -> None:
    """Log what was evaluated, for who looks closely, and each alert; called when they are committed."""
    for one in outcomes:
        if not isinstance(one, Accepted):
            continue
        if log.isEnabledFor(logging.DEBUG):
            log.debug("event judged", extra=_members(one, codes=[hit.rule.code for hit in one.hits]))
        for hit in one.hits:
            log.warning(
                "alert",
                extra=_members(
                    one,
                    code=hit.rule.code,
                    version=hit.rule.version,
                    causes=list(hit.causes),
                    is_shadow=hit.rule.is_shadow,
                ),
            )


def _members(one: Accepted, **more: Any) -> dict[str, Any]:
    return {"client": one.event.client, "t": one.event.t, "type": one.event.type, **more}

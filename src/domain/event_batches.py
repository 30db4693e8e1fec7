"""Judges events one after the other, as if each had come alone: which are kept, and which rules fire."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from src.domain.alerts import Event, History, Hit, RuleSet, evaluate
from src.domain.errors import DomainError, FieldError
from src.domain.events import (
    LAST_T,
    DuplicateTimestamp,
    EventIdReused,
    NewEvent,
    Ordering,
    TimestampInTheFuture,
    TimestampNotRising,
    UnknownClient,
)

ALL = 0  # the stream of all events, whoever's they are
Place = tuple[int, int]  # a stream and a t in it


@dataclass(slots=True)
class Past:
    """What is known of a client before the batch."""

    client_id: int | None
    stream: int
    latest: int | None
    history: History


class Look(NamedTuple):
    """What is to be read of a client's events of one type: the latest `most` from `first` to `last`."""

    client_id: int
    type: str
    first: int
    last: int
    most: int


def looks_back(events: Iterable[NewEvent], pasts: Mapping[str, Past], rules: RuleSet) -> set[Look]:
    """What must be read before the rules can be asked about these events: of windows that begin before the
    events that are known, the latest of those inside, and the one just before. None, of most clients."""
    looks: set[Look] = set()
    insides: dict[tuple[int, str], Look] = {}
    for event in events:
        past = pasts[event.client]
        if past.client_id is None:
            continue
        for type_, need, longest in rules.windows_on[event.type]:
            if past.history.reaches(type_, event.t - longest):
                continue
            inside = Look(past.client_id, type_, event.t - longest, LAST_T, need.seen)
            insides.setdefault((past.client_id, type_), inside)
            for first in (event.t - length for length in need.windows):
                if first > 0 and not past.history.reaches(type_, first):
                    looks.add(Look(past.client_id, type_, 0, first - 1, 1))
    return looks.union(insides.values())


class Accepted(NamedTuple):
    """An event that is to be stored, the rules that fired on it, and the answer it gets."""

    event: NewEvent
    kept: Event  # as the rules see it, with its running figures
    client_id: int
    hits: Sequence[Hit]
    answer: str


class Replayed(NamedTuple):
    """The answer that the first event of this event_id got."""

    answer: str


Outcome = Accepted | Replayed | DomainError


@dataclass(slots=True)
class Batch:
    """What is to be stored, in order, and how far each stream was and comes."""

    events: list[Accepted] = field(default_factory=list)
    seen: dict[int, int | None] = field(default_factory=dict)
    latest: dict[int, int] = field(default_factory=dict)


class Judge:
    """Knows the pasts of the clients, and what it let pass itself. Times too low are settled at the end:
    whether such a `t` is taken, only the table knows."""

    def __init__(
        self,
        rules: RuleSet,
        pasts: Mapping[str, Past],
        known: Mapping[str, tuple[NewEvent, str]],
        bound: int | None,
    ) -> None:
        self.rules = rules
        self.pasts = pasts
        self.known = dict(known)
        self.bound = bound
        self.batch = Batch()
        self.too_low: list[tuple[int, NewEvent, Place, int]] = []

    def judge(self, events: Iterable[NewEvent]) -> list[Outcome]:
        """An outcome for each; those of the times that are too low say so and nothing more as yet."""
        return [self._one(event, number) for number, event in enumerate(events)]

    def settle(self, outcomes: list[Outcome], taken: set[Place]) -> None:
        """Tell the times that exist from those that are merely too low."""
        taken = taken | {(self.pasts[one.event.client].stream, one.event.t) for one in self.batch.events}
        for number, event, place, latest in self.too_low:
            outcomes[number] = _duplicate(event) if place in taken else _not_rising(event, latest)

    def _one(self, event: NewEvent, number: int) -> Outcome:
        past = self.pasts[event.client]
        if past.client_id is None:
            return _unknown(event)
        if event.event_id is not None and event.event_id in self.known:
            return _replayed(event, *self.known[event.event_id])
        latest = self.batch.latest.get(past.stream, past.latest)
        if latest is not None and event.t <= latest:
            self.too_low.append((number, event, (past.stream, event.t), latest))
            return _not_rising(event, latest)
        if self.bound is not None and event.t > self.bound:
            return _in_the_future(event, self.bound)
        return self._accepted(event, past, past.client_id)

    def _accepted(self, event: NewEvent, past: Past, client_id: int) -> Accepted:
        now = past.history.next(event.t, event.type, event.amount)
        hits = evaluate(self.rules, past.history, now)
        past.history.add(now)
        self.batch.seen.setdefault(past.stream, past.latest)
        self.batch.latest[past.stream] = event.t
        accepted = Accepted(event, now, client_id, hits, answer_of(event.user_id, hits))
        self.batch.events.append(accepted)
        if event.event_id is not None:
            self.known[event.event_id] = (event, accepted.answer)
        return accepted


def answer_of(user_id: int | str, hits: Sequence[Hit]) -> str:
    """The published answer; rules in the shadow have no part in it."""
    told = user_id if isinstance(user_id, int) else json.dumps(user_id, ensure_ascii=False)
    codes = sorted({hit.rule.code for hit in hits if not hit.rule.is_shadow})
    if not codes:
        return f'{{"alert":false,"alert_codes":[],"user_id":{told}}}'
    return f'{{"alert":true,"alert_codes":[{",".join(map(str, codes))}],"user_id":{told}}}'


def stream_of(ordering: Ordering, client_id: int | None) -> int:
    """Events are ordered within a stream."""
    return ALL if ordering is Ordering.GLOBAL or client_id is None else client_id


def _replayed(event: NewEvent, first: NewEvent, answer: str) -> Outcome:
    if (event.type, event.amount, event.client, event.t) == (first.type, first.amount, first.client, first.t):
        return Replayed(answer)
    text = f"It was given to an event at t = {first.t}."
    return EventIdReused(text, errors=[FieldError("/event_id", "event_id_reused", text)])


def _unknown(event: NewEvent) -> DomainError:
    text = f"There is no client {event.client!r}."
    return UnknownClient(text, errors=[FieldError("/user_id", "unknown_client", text)])


def _duplicate(event: NewEvent) -> DomainError:
    text = f"There is an event at t = {event.t} already."
    return DuplicateTimestamp(text, errors=[FieldError("/t", "duplicate", text)])


def _not_rising(event: NewEvent, latest: int) -> DomainError:
    text = f"t = {event.t} is not above {latest}, the latest."
    return TimestampNotRising(text, latest_t=latest, errors=[FieldError("/t", "not_rising", text)])


def _in_the_future(event: NewEvent, bound: int) -> DomainError:
    text = f"t = {event.t} is above {bound}, the latest allowed now."
    return TimestampInTheFuture(text, errors=[FieldError("/t", "in_the_future", text)])

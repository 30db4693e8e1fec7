"""Takes events from all threads of a process: one thread writes, and what comes meanwhile goes with the next.

So a lone caller never waits for company, and many at once share one transaction, one flush to the disk. While
many events are written, those who come next are judged.
"""

import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from src.database import Database
from src.domain.event_batches import Outcome
from src.domain.events import EventsBusy, NewEvent
from src.services.events import Ahead, EventMemory, EventService, Overtaken, judge_ahead, tell
from src.statements import NoLongerSo, Reading

MOST_AT_ONCE = 2_000  # events in one transaction, so that nobody waits long for its end
MOST_WAITING = 10_000
MANY = 100  # events, whose writing takes as long as to judge others
FREE_TRIES = 2  # then the streams are held first
TRIES = 5


class Sent(NamedTuple):
    """Events that belong together, in their order.

    What is known of their sender must still be so in their transaction, or they end with NoLongerSo.
    """

    events: Sequence[NewEvent]
    known: Reading | None = None


@dataclass(eq=False, slots=True)
class _Ticket:
    """What one sent; `turn` is let go when it is done, or when its caller is to write."""

    events: Sequence[NewEvent]
    known: Reading | None
    turn: threading.Lock = field(default_factory=threading.Lock)
    outcomes: list[Outcome] | None = None
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self.turn.acquire()

    @property
    def is_done(self) -> bool:
        return self.outcomes is not None or self.error is not None


class EventIntake:
    def __init__(self, database: Database, memory: EventMemory) -> None:
        self.database = database
        self.memory = memory
        self._door = threading.Lock()
        self._waiting: list[_Ticket] = []
        self._is_led = False  # whether somebody writes, and hands on to those who wait
        self._led: list[_Ticket] | None = None  # by whom, until he has handed on
        self._writing = threading.Lock()  # whoever holds it may write
        self._judging = threading.Lock()  # and this one, judge by the memory, and change it
        self._losses = 0  # how often something that was judged ahead was not stored

    def append(self, events: Sequence[NewEvent]) -> list[Outcome]:
        """Store these events, in this order and one transaction; an outcome for each."""
        if not events:
            return []
        found = self.append_each([Sent(events)])[0]
        if isinstance(found, BaseException):
            raise found
        tell(found)  # in the thread, and with the log's context, of the request they belong to
        return found

    def append_each(self, sent: Sequence[Sent]) -> list[list[Outcome] | BaseException]:
        """What became of each; who gets the outcomes is to tell of them."""
        if not sent:
            return []
        tickets = [_Ticket(*one) for one in sent]
        with self._door:
            if sum(len(other.events) for other in self._waiting) > MOST_WAITING:
                busy = EventsBusy("More events are waiting than can be written; try again in a moment.")
                return [busy] * len(tickets)
            self._waiting += tickets
            leads, self._is_led = not self._is_led, True
        for ticket in tickets:
            if not leads:
                ticket.turn.acquire()
            leads = False
            if not ticket.is_done:
                self._lead()
        return [(ticket.outcomes or []) if ticket.error is None else ticket.error for ticket in tickets]

    def _lead(self) -> None:
        """Write what waits."""
        with self._door:
            mine = self._led = self._taken()
        try:
            self._write(mine)
        finally:
            self._hand_on(mine)
            for ticket in mine[1:]:
                ticket.turn.release()

    def _hand_on(self, mine: list[_Ticket]) -> None:
        """To the first of those who came meanwhile, unless that is done."""
        with self._door:
            if self._led is not mine:
                return
            following = self._waiting[0] if self._waiting else None
            self._led, self._is_led = None, following is not None
        if following:
            following.turn.release()

    def _taken(self) -> list[_Ticket]:
        """The first tickets, as many as go into one transaction; ours is the first of all."""
        size, number = 0, 0
        while number < len(self._waiting) and (
            number == 0 or size + len(self._waiting[number].events) <= MOST_AT_ONCE
        ):
            size += len(self._waiting[number].events)
            number += 1
        taken, self._waiting = self._waiting[:number], self._waiting[number:]
        return taken

    def _write(self, tickets: list[_Ticket]) -> None:
        """They came at the same time, so any order of them is true; a higher t first would lose the lower.
        The first of them is of this thread."""
        order = sorted(tickets, key=lambda ticket: ticket.events[0].t)
        try:
            outcomes = iter(self._stored(order, tickets))
            for ticket in order:
                if ticket.error is None:
                    ticket.outcomes = [next(outcomes) for _ in ticket.events]
        except BaseException as error:  # noqa: BLE001  raised where each of them waits
            for ticket in tickets:
                ticket.error = error
            if not isinstance(error, Exception):  # this thread is to end, and the others go on
                for ticket in tickets[1:]:
                    ticket.error = EventsBusy("The writing was interrupted; send it again.")

    def _stored(self, order: Sequence[_Ticket], mine: list[_Ticket]) -> list[Outcome]:
        """In one round trip, if what is known from before will do; else after reading."""
        with self._judging:
            ahead, losses = judge_ahead(self.memory, *_together(order)), self._losses
        with self._writing:
            try:
                if ahead is not None:
                    if losses == self._losses and self._comes_true(ahead, mine):
                        return ahead.outcomes
                    self._forget(ahead.assumed.pasts)
                with self._judging:
                    return self._read_first(order)
            except BaseException:
                self._forget()  # all of it: the database may come back as another, restored one
                raise

    def _comes_true(self, ahead: Ahead, mine: list[_Ticket]) -> bool:
        """Store what was judged by what is known. If it takes long, who comes next is judged meanwhile."""
        if len(ahead.outcomes) >= MANY:
            self._hand_on(mine)
        with self.database.transaction() as transaction:
            return EventService(transaction, self.memory).write_ahead(ahead)

    def _forget(self, names: Collection[str] | None = None) -> None:
        """Who was judged since is judged anew: it was by events that are not stored."""
        with self._judging:
            self._losses += 1
            self.memory.is_alone = False
            if names is None:
                self.memory.pasts.clear()
            else:
                self.memory.pasts.forget(names)

    def _read_first(self, tickets: Sequence[_Ticket]) -> list[Outcome]:
        """Tried anew when another process was quicker; at last with the streams held, so that none can be.

        Without those of whose senders something else holds by now.
        """
        attempt = 0
        while tickets:
            events, known = _together(tickets)
            try:
                with self.database.transaction() as transaction:
                    service = EventService(transaction, self.memory)
                    outcomes = service.append(events, known=known, is_held=attempt >= FREE_TRIES)
            except NoLongerSo as changed:
                for ticket in tickets:
                    if ticket.known in changed.readings:
                        ticket.error = changed
                tickets = [ticket for ticket in tickets if ticket.error is None]
            except Overtaken:
                attempt += 1
                if attempt == TRIES:
                    raise EventsBusy("Others write the same moments just now; try again.") from None
            else:
                service.remember()
                return outcomes
        return []


def _together(tickets: Iterable[_Ticket]) -> tuple[list[NewEvent], set[Reading]]:
    """All their events, and what must still be so of their senders."""
    events = [event for ticket in tickets for event in ticket.events]
    return events, {ticket.known for ticket in tickets if ticket.known is not None}

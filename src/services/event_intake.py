"""Takes events from all threads of a process: one thread writes, and what comes meanwhile goes with the next.

So a lone caller never waits for company, and many at once share one transaction, one flush to the disk.
"""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from src.database import Database
from src.domain.event_batches import Outcome
from src.domain.events import EventsBusy, NewEvent
from src.services.events import EventMemory, EventService, Overtaken, tell
from src.statements import NoLongerSo, Reading

MOST_AT_ONCE = 2_000  # events in one transaction, so that nobody waits long for its end
MOST_WAITING = 10_000
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
        self._is_writing = False

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
            leads, self._is_writing = not self._is_writing, True
        for ticket in tickets:
            if not leads:
                ticket.turn.acquire()
            leads = False
            if not ticket.is_done:
                self._lead()
        return [(ticket.outcomes or []) if ticket.error is None else ticket.error for ticket in tickets]

    def _lead(self) -> None:
        """Write what waits, and hand on to the first of those who came meanwhile."""
        with self._door:
            mine = self._taken()
        try:
            self._write(mine)
        finally:
            with self._door:
                following = self._waiting[0] if self._waiting else None
                self._is_writing = following is not None
            for ticket in mine[1:]:
                ticket.turn.release()
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
            outcomes = iter(self._stored(order))
            for ticket in order:
                if ticket.error is None:
                    ticket.outcomes = [next(outcomes) for _ in ticket.events]
        except BaseException as error:  # noqa: BLE001  raised where each of them waits
            self.memory.pasts.clear()  # the database may come back as another, restored one
            for ticket in tickets:
                ticket.error = error
            if not isinstance(error, Exception):  # this thread is to end, and the others go on
                for ticket in tickets[1:]:
                    ticket.error = EventsBusy("The writing was interrupted; send it again.")

    def _stored(self, tickets: Sequence[_Ticket]) -> list[Outcome]:
        """Tried anew when another process was quicker; at last with the streams held, so that none can be.

        Without those of whose senders something else holds by now.
        """
        attempt = 0
        while tickets:
            events = [event for ticket in tickets for event in ticket.events]
            known = {ticket.known for ticket in tickets if ticket.known is not None}
            try:
                return self._appended(events, known, attempt)
            except NoLongerSo as changed:
                for ticket in tickets:
                    if ticket.known in changed.readings:
                        ticket.error = changed
                tickets = [ticket for ticket in tickets if ticket.error is None]
            except Overtaken:
                attempt += 1
                if attempt == TRIES:
                    raise EventsBusy("Others write the same moments just now; try again.") from None
        return []

    def _appended(
        self, events: Sequence[NewEvent], known: Collection[Reading], attempt: int
    ) -> list[Outcome]:
        """In one round trip, if what is known from before will do; else after reading."""
        if attempt == 0 and self.memory.is_alone:
            with self.database.transaction() as transaction:
                service = EventService(transaction, self.memory)
                found = service.append_unread(events, known=known)
            if found is not None:
                service.remember()
                return found
        with self.database.transaction() as transaction:
            service = EventService(transaction, self.memory)
            outcomes = service.append(events, known=known, is_held=attempt >= FREE_TRIES)
        service.remember()
        return outcomes

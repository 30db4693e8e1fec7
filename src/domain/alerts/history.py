"""What is known of a client's past when a rule is asked, and how windows of any length are read out of it."""

from bisect import bisect_left
from collections.abc import Iterable
from decimal import Decimal
from operator import attrgetter
from typing import NamedTuple

from src.domain.alerts.events import TYPES_OF, AskedOn, Event, EventType
from src.domain.alerts.needs import Needs

BY_T = attrgetter("t")


class Figures(NamedTuple):
    """How many events there are in a window, and what they add up to."""

    number: int
    total: Decimal


class History:
    """A client's events, in order: the latest of each type, without a hole, as many as rules need.

    Farther back there are only those just before the windows that are asked about begin.
    """

    __slots__ = ("any", "deposit", "may_have_holes", "withdraw")

    def __init__(self, events: Iterable[Event] = (), *, may_have_holes: bool = False) -> None:
        self.any = list(events)
        self.may_have_holes = may_have_holes
        self.deposit = [event for event in self.any if event.type == EventType.DEPOSIT]
        self.withdraw = [event for event in self.any if event.type == EventType.WITHDRAW]

    def of(self, counted: str) -> list[Event]:
        """The events that a rule counts."""
        found: list[Event] = getattr(self, counted)
        return found

    def next(self, t: int, type_: str, amount: Decimal) -> Event:
        """The event that comes now, with its running figures."""
        before = self.of(type_)
        if not before:
            return Event(t, t, type_, amount, 1, amount)
        return Event(t, t, type_, amount, before[-1].number + 1, before[-1].total + amount)

    def add(self, event: Event) -> None:
        self.any.append(event)
        self.of(event.type).append(event)

    def reaches(self, type_: str, t: int) -> bool:
        """Whether all events of this type since `t`, and the last one before it, are known without a hole."""
        known = self.of(type_)
        return not known or known[0].number == 1 or known[0].t < t

    def in_window(self, length: int, counted: AskedOn, event: Event) -> Figures:
        """What lies between `event.t - length` and this event, both included: what has come up to now, less
        what had come before. So a long window is as little work as a short one."""
        number, total, first = 0, Decimal(0), event.t - length
        for type_ in TYPES_OF[counted]:
            known = self.of(type_)
            last = event if event.type == type_ else known[-1] if known else None
            if last is not None:
                number, total = number + last.number, total + last.total
            if place := bisect_left(known, first, key=BY_T):
                number, total = number - known[place - 1].number, total - known[place - 1].total
        return Figures(number, total)

    def latest_in_window(self, length: int, counted: AskedOn, event: Event, most: int) -> list[Event]:
        """The latest events of a window themselves, in order, this one included."""
        found, first = [], event.t - length
        for type_ in TYPES_OF[counted]:
            known = self.of(type_)
            found += known[max(bisect_left(known, first, key=BY_T), len(known) - most) :]
        if counted is AskedOn.ANY:
            found.sort(key=BY_T)
        if counted.covers(event.type):
            found.append(event)
        return found[-most:]

    def shorten(self, deposits: int, withdraws: int) -> None:
        """Know the latest so many of each type, without a hole; once there are holes, or twice as many."""
        if self.may_have_holes or len(self.any) > 2 * (deposits + withdraws):
            del self.deposit[:-deposits], self.withdraw[:-withdraws]
            self.any = sorted((*self.deposit, *self.withdraw))
            self.may_have_holes = False

    def trim(self, needs: Needs) -> None:
        """Forget what can no longer be asked for, whatever comes next."""
        latest = self.any[-1].t
        for type_ in EventType:
            known, need = self.of(type_), needs.of_type(type_)
            place = len(known) - max(needs.any, need.last, 1)
            if need.windows:
                place = min(place, bisect_left(known, latest - need.longest, key=BY_T) - 1)
            del known[: max(place, 0)]
        del self.any[: max(len(self.any) - max(needs.any, 1), 0)]

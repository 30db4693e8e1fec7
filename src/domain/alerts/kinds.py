"""The kinds of rules: each says what it must know, and which events, if any, make it fire.

`causes` answers the events that made the rule fire, in order, the one that was asked about last; or none.
`history` has the events of the same client before it: at least those that the kind needs.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, Protocol

from src.domain.alerts.events import AskedOn, Event
from src.domain.alerts.history import History
from src.domain.alerts.needs import MOST_CAUSES, Needs

NO_CAUSES: tuple[Event, ...] = ()


class Compare(StrEnum):
    """How a figure is held against a limit: strictly (over, under), or not."""

    OVER = "over"
    AT_LEAST = "at_least"
    UNDER = "under"
    AT_MOST = "at_most"

    def holds(self, figure: Decimal, limit: Decimal) -> bool:
        return COMPARISONS[self](figure, limit)


COMPARISONS: dict[Compare, Callable[[Decimal, Decimal], bool]] = {
    Compare.OVER: operator.gt,
    Compare.AT_LEAST: operator.ge,
    Compare.UNDER: operator.lt,
    Compare.AT_MOST: operator.le,
}


class GapClock(StrEnum):
    """What tells how late it is: the latest event of all, or also the time of day, where `t` counts it."""

    EVENTS = "events"
    WALL = "wall"


class Check(Protocol):
    """What a rule looks for. A swept one is not asked when an event comes, but when none comes."""

    is_swept: ClassVar[bool]

    def needs(self, asked_on: AskedOn) -> Needs: ...

    def causes(self, asked_on: AskedOn, history: History, event: Event) -> tuple[Event, ...]: ...


@dataclass(frozen=True, slots=True)
class Threshold:
    """The amount of one event."""

    amount: Decimal
    compare: Compare = Compare.OVER
    is_swept: ClassVar = False

    def needs(self, asked_on: AskedOn) -> Needs:
        return Needs()

    def causes(self, asked_on: AskedOn, history: History, event: Event) -> tuple[Event, ...]:
        return (event,) if self.compare.holds(event.amount, self.amount) else NO_CAUSES


@dataclass(frozen=True, slots=True)
class Consecutive:
    """The last `count` events are of this one's type, with none of the other type between them."""

    count: int
    is_swept: ClassVar = False

    def needs(self, asked_on: AskedOn) -> Needs:
        return Needs(any=self.count - 1)

    def causes(self, asked_on: AskedOn, history: History, event: Event) -> tuple[Event, ...]:
        before = history.any[-(self.count - 1) :]
        if len(before) < self.count - 1 or any(other.type != event.type for other in before):
            return NO_CAUSES
        return (*before, event)


@dataclass(frozen=True, slots=True)
class Monotonic:
    """The amounts of the last `count` counted events rise, or fall; others between them are ignored."""

    count: int
    is_strict: bool = True
    is_rising: ClassVar[bool]
    is_swept: ClassVar = False

    def needs(self, asked_on: AskedOn) -> Needs:
        return Needs.of_last(asked_on, self.count - 1)

    def causes(self, asked_on: AskedOn, history: History, event: Event) -> tuple[Event, ...]:
        found = [event]
        for earlier in reversed(history.of(asked_on)):
            if not self._is_ordered(earlier.amount, found[-1].amount):
                return NO_CAUSES
            found.append(earlier)
            if len(found) == self.count:
                return tuple(reversed(found))
        return NO_CAUSES

    def _is_ordered(self, earlier: Decimal, later: Decimal) -> bool:
        low, high = (earlier, later) if self.is_rising else (later, earlier)
        return low < high or (low == high and not self.is_strict)


class Increasing(Monotonic):
    __slots__ = ()
    is_rising = True


class Decreasing(Monotonic):
    __slots__ = ()
    is_rising = False


@dataclass(frozen=True, slots=True)
class WindowSum:
    """The amounts of the counted events since `t - window`, that moment and this event included, add up."""

    window: int
    amount: Decimal
    compare: Compare = Compare.OVER
    is_swept: ClassVar = False

    def needs(self, asked_on: AskedOn) -> Needs:
        return Needs.of_window(asked_on, self.window)

    def causes(self, asked_on: AskedOn, history: History, event: Event) -> tuple[Event, ...]:
        total = history.in_window(self.window, asked_on, event).total
        if not self.compare.holds(total, self.amount):
            return NO_CAUSES
        return tuple(history.latest_in_window(self.window, asked_on, event, MOST_CAUSES))


@dataclass(frozen=True, slots=True)
class WindowCount:
    """There are so many counted events since `t - window`, that moment and this event included."""

    window: int
    count: int
    compare: Compare = Compare.AT_LEAST
    is_swept: ClassVar = False

    def needs(self, asked_on: AskedOn) -> Needs:
        return Needs.of_window(asked_on, self.window)

    def causes(self, asked_on: AskedOn, history: History, event: Event) -> tuple[Event, ...]:
        count = history.in_window(self.window, asked_on, event).number
        if not self.compare.holds(Decimal(count), Decimal(self.count)):
            return NO_CAUSES
        return tuple(history.latest_in_window(self.window, asked_on, event, MOST_CAUSES))


@dataclass(frozen=True, slots=True)
class Gap:
    """Nothing counted came for more than `after` since an event, which is the alert's one cause."""

    after: int
    clock: GapClock = GapClock.EVENTS
    is_swept: ClassVar = True

    def needs(self, asked_on: AskedOn) -> Needs:
        return Needs()

    def causes(self, asked_on: AskedOn, history: History, event: Event) -> tuple[Event, ...]:
        return NO_CAUSES

"""What of a client's past must be fetched, so that rules can be asked about its next event."""

from typing import NamedTuple

from src.domain.alerts.events import AskedOn, EventType

MOST_CAUSES = 100  # an alert names at most so many events, the latest


class Need(NamedTuple):
    """Of one type: the `last` events; and for each of the windows the last event before it begins and, within
    the longest, the latest `seen`."""

    last: int = 0
    windows: frozenset[int] = frozenset()
    seen: int = 0

    def __or__(self, other: "Need") -> "Need":
        return Need(max(self.last, other.last), self.windows | other.windows, max(self.seen, other.seen))

    @property
    def longest(self) -> int:
        return max(self.windows, default=0)


NOTHING = Need()


class Needs(NamedTuple):
    """The last events of all types, and what is needed of the deposits and of the withdraws."""

    any: int = 0
    deposit: Need = NOTHING
    withdraw: Need = NOTHING

    @classmethod
    def of_last(cls, counted: AskedOn, last: int) -> "Needs":
        return cls(any=last) if counted is AskedOn.ANY else cls._of_types(counted, Need(last))

    @classmethod
    def of_window(cls, counted: AskedOn, length: int, seen: int = MOST_CAUSES) -> "Needs":
        return cls._of_types(counted, Need(windows=frozenset([length]), seen=seen))

    @classmethod
    def _of_types(cls, counted: AskedOn, need: Need) -> "Needs":
        deposit, withdraw = (need if counted.covers(type_) else NOTHING for type_ in EventType)
        return cls(deposit=deposit, withdraw=withdraw)

    def of_type(self, type_: str) -> Need:
        found: Need = getattr(self, type_)
        return found

    def __or__(self, other: "Needs") -> "Needs":
        return Needs(max(self.any, other.any), self.deposit | other.deposit, self.withdraw | other.withdraw)

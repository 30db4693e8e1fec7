"""What of a client's past must be fetched, so that rules can be asked about its next event."""

from collections.abc import Sequence
from typing import NamedTuple

from src.domain.alerts.events import AskedOn, Event


class Need(NamedTuple):
    """The latest `last` events before the one that is asked about at t, and all since `t - window`."""

    last: int = 0
    window: int = 0

    def __or__(self, other: "Need") -> "Need":
        return Need(max(self.last, other.last), max(self.window, other.window))


NOTHING = Need()


class Needs(NamedTuple):
    """Of all events, of the deposits, and of the withdraws; what is needed is the union of the three."""

    any: Need = NOTHING
    deposit: Need = NOTHING
    withdraw: Need = NOTHING

    @classmethod
    def of(cls, asked_on: AskedOn, need: Need) -> "Needs":
        return cls(**{asked_on.value: need})

    def __or__(self, other: "Needs") -> "Needs":
        return Needs(*(mine | theirs for mine, theirs in zip(self, other, strict=True)))


def trimmed(recent: Sequence[Event], needs: Needs) -> list[Event]:
    """What of these events, which are in order, can still be asked for when the next one comes."""
    kept: list[Event] = []
    seen = {"any": 0, "deposit": 0, "withdraw": 0}
    for event in reversed(recent):
        age = recent[-1].t - event.t
        for name, need in (("any", needs.any), (event.type, getattr(needs, event.type))):
            if seen[name] < need.last or (need.window and age <= need.window):
                kept.append(event)
                break
        seen["any"] += 1
        seen[event.type] += 1
    kept.reverse()
    return kept

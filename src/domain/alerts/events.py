"""An event as the rules see it, and on which events a rule is asked."""

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple


class EventType(StrEnum):
    DEPOSIT = "deposit"
    WITHDRAW = "withdraw"


class AskedOn(StrEnum):
    """The events on which a rule is asked; they are also the ones that it counts."""

    DEPOSIT = "deposit"
    WITHDRAW = "withdraw"
    ANY = "any"

    def covers(self, type_: str) -> bool:
        return self is AskedOn.ANY or self == type_


TYPES_OF = {asked: tuple(type_ for type_ in EventType if asked.covers(type_)) for asked in AskedOn}


class Event(NamedTuple):
    """One deposit or withdraw of a client; `id` is what names it in an alert.

    The running figures are of the client's events of this type up to and including this one: how many they
    are, and what they add up to.
    """

    id: int
    t: int
    type: str
    amount: Decimal
    number: int
    total: Decimal

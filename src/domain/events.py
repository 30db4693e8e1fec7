"""Events as they come in: the order they are kept in, the unit of their time, and why one is refused."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from src.domain.errors import Conflict, Invalid, Unavailable

LAST_T = 2**63 - 1
MOST_IN_A_BATCH = 1_000


class Ordering(StrEnum):
    """Over whom `t` is unique and rising: the whole system, or each client for itself."""

    GLOBAL = "global"
    PER_CLIENT = "per_client"


class TimeUnit(StrEnum):
    """What `t` counts."""

    SECONDS = "s"
    MILLISECONDS = "ms"
    MICROSECONDS = "us"

    @property
    def per_second(self) -> int:
        return {"s": 1, "ms": 1_000, "us": 1_000_000}[self.value]


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event that was read and found to be well formed. `user_id` is the client's id as it was sent."""

    type: str
    amount: Decimal
    client: str
    t: int
    user_id: int | str
    event_id: str | None = None


class InvalidEvent(Invalid):
    slug = "invalid-event"
    title = "Invalid payload"


class UnknownClient(Invalid):
    slug = "unknown-client"
    title = "Unknown user"


class TimestampNotRising(Invalid):
    slug = "timestamp-not-rising"
    title = "Timestamp not rising"


class TimestampInTheFuture(Invalid):
    slug = "timestamp-in-the-future"
    title = "Timestamp in the future"


class DuplicateTimestamp(Conflict):
    slug = "duplicate-timestamp"
    title = "Duplicate timestamp"


class EventIdReused(Conflict):
    slug = "event-id-reused"
    title = "Another event has this event_id"


class EventsBusy(Unavailable):
    slug = "events-busy"
    title = "Too many events at once"


class OrderIsFixed(Unavailable):
    slug = "event-order-fixed"
    title = "The order of events was fixed otherwise"

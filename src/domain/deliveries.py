"""Deliveries: who is told of what, over which channel, and how often it is tried."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from src.domain.errors import Conflict, Forbidden, Unavailable
from src.domain.jobs import JobState

# After each attempt that failed; a day together. Then it has failed, and is sent again by hand only.
WAITS = tuple(timedelta(seconds=wait) for wait in (5, 30, 120, 600, 1_800, 7_200, 21_600, 43_200))
MOST_TARGETS = 10
MOST_ITEMS = 100


class Channel(StrEnum):
    WEBHOOK = "webhook"
    EMAIL = "email"
    FOLDER = "folder"


class On(StrEnum):
    """Which end of a job is told."""

    DONE = "done"
    FAILED = "failed"
    ALWAYS = "always"

    def covers(self, state: JobState) -> bool:
        return self is On.ALWAYS or (self is On.DONE) == (state is JobState.DONE)


class DeliveryState(StrEnum):
    PROMISED = "promised"  # its job is not over yet
    WAITING = "waiting"  # for its first or next attempt
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    JOINED = "joined"  # it went with another of its group
    UNWANTED = "unwanted"  # the job ended in the other way


@dataclass(frozen=True, slots=True)
class Target:
    """Where something is delivered to: a URL, an e-mail address, or a folder below a configured one."""

    channel: Channel
    address: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request's `notify` asks for."""

    targets: tuple[Target, ...]
    on: On = On.ALWAYS


@dataclass(frozen=True, slots=True)
class FileOfParcel:
    """The file that goes with a delivery, and the account that it is sent for."""

    id: UUID
    owner_id: UUID
    key: str
    name: str
    size: int
    media_type: str


@dataclass(frozen=True, slots=True)
class Parcel:
    """All that a channel needs to send one delivery. Its id is the same in every attempt."""

    id: UUID
    target: Target
    what: str
    message: dict[str, Any]
    secrets: tuple[str, ...] = field(default=(), repr=False)
    file: FileOfParcel | None = None


class NotDelivered(Unavailable):
    slug = "not-delivered"
    title = "It could not be delivered this time"


class Undeliverable(Forbidden):
    """Trying again by itself would not help."""

    slug = "undeliverable"
    title = "It must not, or cannot, be delivered to this address"


class OwnerDisabled(Undeliverable):
    slug = "delivery-owner-disabled"
    title = "The account that it would be sent for is disabled"


class NotResendable(Conflict):
    slug = "delivery-not-resendable"
    title = "Only a delivery that failed or was sent can be sent again"


class NothingStarted(Conflict):
    slug = "nothing-started"
    title = "This request starts nothing whose end could be told"


class NoWebhookSecret(Conflict):
    slug = "webhook-secret-missing"
    title = "There is no secret yet to sign your webhooks with"


def wait_before_next(attempts: int) -> timedelta | None:
    """How long to wait after so many attempts; None when it was tried often enough."""
    return WAITS[attempts - 1] if attempts <= len(WAITS) else None

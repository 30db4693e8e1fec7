"""What people do with alerts, and what becomes of these."""

from enum import StrEnum

from src.domain.errors import Invalid

LONGEST_SNOOZE_DAYS = 366


class AlertState(StrEnum):
    """A snoozed alert is open again when its time is over; that is a matter of the clock, not of a change."""

    OPEN = "open"
    SNOOZED = "snoozed"
    ACKNOWLEDGED = "acknowledged"


class BadSnooze(Invalid):
    slug = "bad-snooze"
    title = "An alert cannot be snoozed until then"

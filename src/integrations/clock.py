"""What time it is: a value that services are given, so that a test can choose it."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time; always with a zone, always UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The clock of this machine. Leases and order in time are decided by the database's clock instead."""

    def now(self) -> datetime:
        return datetime.now(UTC)

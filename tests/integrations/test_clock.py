"""The clock tells UTC, with its zone, and goes forward."""

from datetime import UTC, datetime

from src.integrations.clock import Clock, SystemClock


def test_the_system_clock_tells_aware_utc() -> None:
    clock: Clock = SystemClock()
    before = datetime.now(UTC)
    now = clock.now()
    assert before <= now <= datetime.now(UTC)
    assert now.tzinfo is UTC

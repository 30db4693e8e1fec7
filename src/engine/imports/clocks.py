"""Moments on the clocks of a time zone, in microseconds from 1970 on, many at once."""

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from src.engine.reading.utf8 import Places

SECOND = 1_000_000
MINUTE, DAY = 60 * SECOND, 86_400 * SECOND
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 # a wall clock
FARTHEST = 14 * 60  # minutes from UTC
FIRST, LAST = -719_162 * DAY, 2_932_897 * DAY - 1  # the years 1 to 9999


def offset_minutes(text: str) -> int | None:
    """How far an offset is from UTC, if it is one."""
    if text == "Z":
        return 0
    digits = text[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    total = hours * 60 + minutes
    return None if minutes > 59 or total > FARTHEST else -total if text[0] == "-" else total


def wall_clock(moments: Places, zone: str) -> Places:
    """Moments in UTC as the clocks of the zone show them."""
    if zone == "UTC":
        return moments
    days, codes = np.unique(moments // DAY, return_inverse=True)
    before, after = (
        np.array([_offset(int(day + next_one) * DAY, zone) for day in days]) for next_one in (0, 1)
    )
    local: Places = moments + before[codes]
    for place in np.flatnonzero((before != after)[codes]):  # clocks change on this day
        local[place] = moments[place] + _offset(int(moments[place]), zone)
    return local


@lru_cache(maxsize=100_000)
def _offset(microseconds: int, zone: str) -> int:
    """How far the zone is from UTC at a moment; beyond the years that there are, as at their edge."""
    bounded = min(max(microseconds, FIRST + DAY), LAST - DAY)
    utc = EPOCH.replace(tzinfo=ZoneInfo("UTC")) + timedelta(microseconds=bounded)
    return (utc.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()) // timedelta(microseconds=1)

"""Times of the business: wall-clock times without an offset, read as people and programs write them."""

import re
from datetime import date, datetime, time, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

DateOrder = Literal["ymd", "dmy", "mdy"]
DATE_ORDERS: tuple[DateOrder, ...] = get_args(DateOrder)
_DAY = {
    "ymd": re.compile(r"(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})"),
    "dmy": re.compile(r"(?P<d>\d{1,2})[/.-](?P<m>\d{1,2})[/.-](?P<y>\d{4})"),
    "mdy": re.compile(r"(?P<m>\d{1,2})[/-](?P<d>\d{1,2})[/-](?P<y>\d{4})"),
}
_CLOCK = re.compile(
    r"[ T](?P<hour>\d{1,2}):(?P<minute>\d{2})(:(?P<second>\d{2})([.,](?P<fraction>\d{1,6}))?)?"
    r"(?P<offset>Z|[+-]\d{2}:?\d{2})?",
    re.ASCII,
)
WHOLE_DAY = timedelta(days=1) - timedelta(microseconds=1)


def read_day(text: str, order: DateOrder) -> tuple[date, str]:
    """The day at the beginning of a text, and what follows it; ISO 8601 is understood in every order.

    Raises ValueError if there is none, or if it does not exist.
    """
    text = text.strip()
    found = _DAY["ymd"].match(text) or _DAY[order].match(text)
    if found is None or not text.isascii():
        raise ValueError(text)
    return date(int(found["y"]), int(found["m"]), int(found["d"])), text[found.end() :]


def read_local(text: str, zone: ZoneInfo, order: DateOrder = "ymd", *, is_end: bool = False) -> datetime:
    """A day, or a day and a time of the wall clock; with an offset, it is converted to the wall clock.

    A day stands for its beginning, or, as an end, for its last microsecond. Raises ValueError.
    """
    day, rest = read_day(text, order)
    if not rest:
        return datetime.combine(day, time.min) + (WHOLE_DAY if is_end else timedelta(0))
    found = _CLOCK.fullmatch(rest)
    if found is None:
        raise ValueError(text)
    clock = time(
        int(found["hour"]),
        int(found["minute"]),
        int(found["second"] or 0),
        int((found["fraction"] or "0").ljust(6, "0")),
    )
    moment = datetime.combine(day, clock)
    return moment if found["offset"] is None else _on_the_wall(moment, found["offset"], zone)


def _on_the_wall(moment: datetime, offset: str, zone: ZoneInfo) -> datetime:
    aware = datetime.fromisoformat(moment.isoformat() + offset)
    try:
        return aware.astimezone(zone).replace(tzinfo=None)
    except OverflowError as error:
        raise ValueError(moment) from error

"""Texts as dates and times of day: most by arithmetic on their bytes, whatever is written oddly one by one.

Dates count days, times count microseconds, both from 1970 on the wall clock of the plan's zone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from src.engine.imports.clocks import (
    DAY,
    EPOCH,
    FARTHEST,
    FIRST,
    LAST,
    MINUTE,
    SECOND,
    offset_minutes,
    wall_clock,
)
from src.engine.reading.stretches import Flags
from src.engine.reading.texts import Texts, each_distinct, views
from src.engine.reading.utf8 import Bytes, Places
from src.engine.values import DateOrder

MOMENT = re.compile(
    r"(?:(?P<y>[0-9]{4})(?P<a>[-/])(?P<m>[0-9]{1,2})(?P=a)(?P<d>[0-9]{1,2})"
    r"|(?P<one>[0-9]{1,2})(?P<b>[-/.])(?P<two>[0-9]{1,2})(?P=b)(?P<year>[0-9]{4}))"
    r"(?:[T ](?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
    r" ?(?P<offset>Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
ONE_DIGIT = (
    r"\A()([0-9][-/.])",
    r"\A([0-9]+[-/.])([0-9][-/.])",
    r"\A([0-9]{4}[-/][0-9]{2}[-/])([0-9](?:[ T]|\z))",
    r"\A([-/.0-9]{10}[ T])([0-9]:)",
)

_MONTHS = np.arange("0000-01", "10000-02", dtype="datetime64[M]").astype("datetime64[D]").astype(np.int64)
_FIRST_DAYS, _MONTH_DAYS = _MONTHS[:-1], np.diff(_MONTHS)
_MONTH_DAYS[:12] = 0  # there is no year 0

YEAR_FIRST, DAY_FIRST, MONTH_FIRST = (0, 5, 8), (6, 3, 0), (6, 0, 3)
SEPARATORS = {YEAR_FIRST: (4, 7, b"-/"), DAY_FIRST: (2, 5, b"-/."), MONTH_FIRST: (2, 5, b"-/")}
ORDERS: dict[DateOrder, tuple[tuple[int, int, int], ...]] = {
    "ymd": (YEAR_FIRST,),
    "dmy": (DAY_FIRST, YEAR_FIRST),
    "mdy": (MONTH_FIRST, YEAR_FIRST),
}


@dataclass(frozen=True)
class Moments:
    """What was read, row by row; where `is_read` is false, there is nothing or no moment."""

    values: Places
    is_read: Flags


def read_moments(texts: Texts, order: DateOrder, zone: str) -> Moments:
    """Microseconds on the wall clock of the zone."""
    found = Moments(np.zeros(len(texts.sizes), np.int64), np.zeros(len(texts.sizes), bool))
    _read_fast(texts, order, zone, found)
    odd = np.flatnonzero(~found.is_read & ~texts.is_empty)
    if len(odd):
        padded = _padded(texts.trimmed.take(pa.array(odd)))
        again = Moments(np.zeros(len(odd), np.int64), np.zeros(len(odd), bool))
        _read_fast(padded, order, zone, again)
        found.values[odd], found.is_read[odd] = again.values, again.is_read
        odd = odd[~again.is_read]
    if len(odd):
        codes, readings = each_distinct(
            texts.trimmed.take(pa.array(odd)), lambda text: moment(text, order, zone)
        )
        is_moment = np.array([reading is not None for reading in readings])[codes]
        found.values[odd] = np.array([reading or 0 for reading in readings], np.int64)[codes]
        found.is_read[odd] = is_moment
    return found


def read_days(texts: Texts, order: DateOrder) -> Moments:
    """Days; a time of day is let through if it is midnight, which programs add to dates."""
    found = read_moments(texts, order, "UTC")
    days, rest = np.divmod(found.values, DAY)
    is_read = found.is_read & (rest == 0)
    long = np.flatnonzero(is_read & (texts.sizes > len("2021-06-30 00:00:00")))
    if len(long):  # a midnight elsewhere than in UTC is another day here
        codes, written = each_distinct(texts.trimmed.take(pa.array(long)), _is_day_as_written)
        is_read[long[~np.array(written, bool)[codes]]] = False
    return Moments(days, is_read)


def moment(text: str, order: DateOrder, zone: str) -> int | None:
    """The same for a single text, and the authority on what is a moment."""
    match = MOMENT.fullmatch(text)
    parts = match and _date_parts(match, order)
    if not match or not parts:
        return None
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    fraction = int((match["fraction"] or "").ljust(6, "0")[:6])
    try:
        value = (datetime(*parts, hour, minute, second, fraction) - EPOCH) // timedelta(microseconds=1)  # noqa: DTZ001
    except ValueError:
        return None
    if match["offset"] is None:
        return value
    minutes = offset_minutes(match["offset"])
    if minutes is None:
        return None
    local = int(wall_clock(np.array([value - minutes * MINUTE]), zone)[0])
    return local if FIRST <= local <= LAST else None


def _date_parts(match: re.Match[str], order: DateOrder) -> tuple[int, int, int] | None:
    if match["y"]:
        return int(match["y"]), int(match["m"]), int(match["d"])
    one, two, year = int(match["one"]), int(match["two"]), int(match["year"])
    if order == "dmy":
        return year, two, one
    return (year, one, two) if order == "mdy" and match["b"] != "." else None


def _is_day_as_written(text: str) -> bool:
    match = MOMENT.fullmatch(text)
    return match is not None and (match["offset"] is None or offset_minutes(match["offset"]) == 0)


def _padded(column: pa.Array) -> Texts:
    """Days, months and hours of one digit with a zero in front."""
    padded = column
    for pattern in ONE_DIGIT:
        padded = pc.replace_substring_regex(padded, pattern, r"\10\2")
    return Texts(column, padded, np.diff(views(padded)[0]))


def _read_fast(texts: Texts, order: DateOrder, zone: str, found: Moments) -> None:
    """Whatever is written in a common way, all values of one size at once."""
    if len(texts.sizes):
        for size in np.flatnonzero(np.bincount(texts.sizes)):
            _read_alike(texts, int(size), order, zone, found)


def _read_alike(texts: Texts, size: int, order: DateOrder, zone: str, found: Moments) -> None:
    """The values of one size, if it is that of a common way of writing."""
    layouts = list(_layouts(size))
    if not layouts:
        return
    are_alike = texts.sizes == size
    rows = np.flatnonzero(are_alike)
    column = texts.trimmed if len(rows) == len(are_alike) else texts.trimmed.filter(pa.array(are_alike))
    ends, data = views(column)
    table = np.ascontiguousarray(data[ends[0] : ends[-1]].reshape(-1, size).T)
    for places in ORDERS[order]:
        for fraction, offset, has_seconds, has_time in layouts:
            days, is_day = _days(table, places)
            clock, is_clock = _clock(table, fraction, has_seconds) if has_time else (np.int64(0), True)
            shift, is_shift = _shift(table, offset)
            is_read = is_day & is_clock & is_shift & ~found.is_read[rows]
            values = days * DAY + clock - shift * MINUTE
            if offset:
                values[is_read] = wall_clock(values[is_read], zone)
                is_read &= (values >= FIRST) & (values <= LAST)
            found.values[rows[is_read]] = values[is_read]
            found.is_read[rows[is_read]] = True
            if found.is_read[rows].all():
                return


def _layouts(size: int) -> Iterator[tuple[int, int, bool, bool]]:
    """Which ways of writing a time take so many characters: digits of the fraction, size of the offset."""
    if size == 10:
        yield 0, 0, False, False
    for offset in (0, 1, 6):
        if size == 16 + offset:
            yield 0, offset, False, True
        for fraction in (0, *range(1, 7)):
            if size == 19 + (fraction and fraction + 1) + offset:
                yield fraction, offset, True, True


def _days(table: Bytes, places: tuple[int, int, int]) -> tuple[Places, Flags]:
    first, second, separators = SEPARATORS[places]
    year, month, day = places
    century, is_century = _two(table, year)
    rest, is_rest = _two(table, year + 2)
    months, is_month = _two(table, month)
    days, is_day = _two(table, day)
    is_read = is_century & is_rest & is_month & is_day & (months >= 1) & (months <= 12) & (days >= 1)
    is_read &= np.isin(table[first], np.frombuffer(separators, np.uint8)) & (table[first] == table[second])
    index = np.where(is_read, (century * 100 + rest) * 12 + months - 1, 0)
    return _FIRST_DAYS[index] + days - 1, is_read & (days <= _MONTH_DAYS[index])


def _clock(table: Bytes, fraction: int, has_seconds: bool) -> tuple[Places, Flags]:
    hours, is_hour = _two(table, 11)
    minutes, is_minute = _two(table, 14)
    is_read = is_hour & is_minute & (hours < 24) & (minutes < 60)
    is_read &= ((table[10] == ord(" ")) | (table[10] == ord("T"))) & (table[13] == ord(":"))
    seconds, total = hours * 3600 + minutes * 60, np.zeros(table.shape[1], np.int64)
    if has_seconds:
        last, is_second = _two(table, 17)
        seconds = seconds + last
        is_read &= is_second & (last < 60) & (table[16] == ord(":"))
    if fraction:
        is_read &= (table[19] == ord(".")) | (table[19] == ord(","))
        for place in range(20, 20 + fraction):
            digit = table[place] - np.uint8(48)
            is_read &= digit <= 9
            total = total * 10 + digit
        total *= 10 ** (6 - fraction)
    return seconds.astype(np.int64) * SECOND + total, is_read


def _shift(table: Bytes, offset: int) -> tuple[Places, Flags]:
    """The minutes of an offset from UTC at the end."""
    if not offset:
        return np.zeros(1, np.int64), np.ones(1, bool)
    if offset == 1:
        return np.zeros(1, np.int64), table[-1] == ord("Z")
    hours, is_hour = _two(table, len(table) - 5)
    minutes, is_minute = _two(table, len(table) - 2)
    is_plus, is_minus = table[-6] == ord("+"), table[-6] == ord("-")
    total = hours.astype(np.int64) * 60 + minutes
    is_read = is_hour & is_minute & (is_plus | is_minus) & (table[-3] == ord(":"))
    is_read &= (minutes < 60) & (total <= FARTHEST)
    return np.where(is_minus, -total, total), is_read


def _two(table: Bytes, place: int) -> tuple[Places, Flags]:
    """Two digits as a number."""
    tens, ones = table[place] - np.uint8(48), table[place + 1] - np.uint8(48)
    return tens.astype(np.int32) * 10 + ones, (tens <= 9) & (ones <= 9)


def as_dates(days: Places, is_null: Flags) -> pa.Array:
    """A column of dates."""
    return pa.array(days.astype(np.int32), pa.int32(), mask=is_null).cast(pa.date32())


def as_timestamps(moments: Places, is_null: Flags) -> pa.Array:
    """A column of times on a wall clock."""
    return pa.array(moments, pa.int64(), mask=is_null).cast(pa.timestamp("us"))


def day_number(day: date) -> int:
    """A day as the number that it has here."""
    return (day - EPOCH.date()).days

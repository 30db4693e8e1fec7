"""Functions on single texts and days; what a cell can't answer is Uncomputable."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal

import re2

from src.domain.formulas.dates import PARTS, read_pattern
from src.domain.formulas.errors import Uncomputable
from src.domain.formulas.tree import Value

BLANKS = " \t\n\r\v\f"
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,10})?|\.[0-9]{1,10})")
_UPPER = {"ß": "ẞ"}
_LOWER = {"İ": "i"}
FARTHEST = Decimal(1_000_000_000)


def upper(text: str) -> str:
    """Letter by letter: no letter becomes two, or none."""
    return "".join(_UPPER.get(sign) or _one_letter(sign.upper(), sign.title(), sign) for sign in text)


def lower(text: str) -> str:
    return "".join(_LOWER.get(sign) or _one_letter(sign.lower(), sign) for sign in text)


def trim(text: str) -> str:
    return text.strip(BLANKS)


def substr(text: str, start: Decimal, length: Decimal = FARTHEST) -> str:
    """From a character on, counted from 1."""
    first, count = int(start), int(length)
    if first < 1 or count < 0:
        raise Uncomputable("no_such_place")
    return text[first - 1 : first - 1 + count]


def replace(text: str, old: str, new: str) -> str:
    return text.replace(old, new) if old else text


def length(text: str) -> Decimal:
    return Decimal(len(text))


def split(text: str, separator: str, part: Decimal) -> str:
    parts = text.split(separator)
    return parts[int(part) - 1] if part <= len(parts) else ""


def matches(text: str, pattern: str) -> bool:
    return re2.search(pattern, text) is not None


def to_number(text: str) -> Decimal | None:
    written = text.strip(BLANKS)
    if not written:
        return None
    if not _NUMBER.fullmatch(written):
        raise Uncomputable("not_a_number")
    return Decimal(written)


def to_date(text: str, pattern: str) -> date | None:
    written = text.strip(BLANKS)
    if not written:
        return None
    pieces = read_pattern(pattern)
    form = "".join(
        f"(?P<{piece}>[0-9]{{{PARTS[piece]}}})" if piece in PARTS else re.escape(piece) for piece in pieces
    )
    found = re.fullmatch(form, written)
    try:
        if found and found["yyyy"] >= "1000":
            return date(int(found["yyyy"]), int(found["mm"]), int(found["dd"]))
    except ValueError:
        pass  # 30 February
    raise Uncomputable("not_a_date")


def date_format(day: date | None, pattern: str) -> str:
    if day is None:
        return ""
    moment = day if isinstance(day, datetime) else datetime(day.year, day.month, day.day)  # noqa: DTZ001
    values = dict(zip(PARTS, moment.timetuple(), strict=False))
    return "".join(
        f"{values[piece]:0{PARTS[piece]}}" if piece in PARTS else piece for piece in read_pattern(pattern)
    )


def as_date(day: date | None) -> date | None:
    return day.date() if isinstance(day, datetime) else day


def to_datetime(day: date | None) -> datetime | None:
    return datetime(day.year, day.month, day.day) if day else None  # noqa: DTZ001


def days_between(one: date | None, other: date | None) -> Decimal | None:
    first, last = as_date(one), as_date(other)
    return Decimal((last - first).days) if first and last else None


def part(name: str) -> Callable[[date | None], Decimal | None]:
    return lambda day: Decimal(getattr(day, name)) if day else None


def weekday(day: date | None) -> Decimal | None:
    """Monday is 1."""
    return Decimal(day.isoweekday()) if day else None


def _one_letter(*forms: str) -> str:
    return next(form for form in forms if len(form) == 1)


def join(*parts: str) -> str:
    return "".join(parts)


def contains(text: str, piece: str) -> bool:
    return piece in text


TEXTS: Mapping[str, Callable[..., Value]] = {
    "join": join,
    "upper": upper,
    "lower": lower,
    "trim": trim,
    "substr": substr,
    "replace": replace,
    "length": length,
    "split": split,
    "contains": contains,
    "matches": matches,
    "to_number": to_number,
    "to_date": to_date,
    "date_format": date_format,
    "as_date": as_date,
    "to_datetime": to_datetime,
    "days_between": days_between,
    "year": part("year"),
    "month": part("month"),
    "day": part("day"),
    "weekday": weekday,
}

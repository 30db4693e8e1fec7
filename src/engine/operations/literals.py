"""Values that a request compares with, read as their column is read."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from src.engine.operations.faults import UnreadableValue
from src.engine.reading.kinds import BLANKS, FALSE_WORDS, KINDS, TRUE_WORDS, Kind
from src.engine.values import Column

Scalar = str | int | float | bool
Literal = str | Decimal | date | datetime | bool

_DAY = re.compile(r"([0-9]+)[./-]([0-9]+)[./-]([0-9]+)[ T]?(.*)")
_CLOCK = re.compile(r"([0-9]{1,2})(.*)")


def literal(column: Column, value: Scalar) -> Literal:
    """The value as the column's type has it; numbers and dates may be written as in the file, or plainly."""
    if column.type == "text":
        return _text(value)
    try:
        if column.type == "boolean":
            return _truth(value)
        if column.type in ("integer", "decimal"):
            return _number(column, value)
        return _moment(column, value)
    except (ValueError, InvalidOperation) as error:
        what = {"integer": "number", "decimal": "number", "datetime": "date or time"}.get(
            column.type, column.type
        )
        raise UnreadableValue(
            f"{value!r} is no {what}, and the column {column.name!r} holds those."
        ) from error


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _truth(value: Scalar) -> bool:
    word = str(value).strip(BLANKS).lower()
    if word not in TRUE_WORDS + FALSE_WORDS:
        raise ValueError(word)
    return word in TRUE_WORDS


def _number(column: Column, value: Scalar) -> Decimal:
    if isinstance(value, bool):
        raise ValueError(value)  # noqa: TRY004 # it becomes a refusal like any other
    if not isinstance(value, str):
        return Decimal(str(value))
    text = value.strip(BLANKS)
    kind = next((kind for kind in _kinds(column) if kind.fits(text)), None)
    number = Decimal(kind.plain_number(text) if kind else text)
    if not number.is_finite() or "_" in text:
        raise ValueError(value)
    return number


def _moment(column: Column, value: Scalar) -> date | datetime:
    text = str(value).strip(BLANKS)
    plain = Column(name=column.name, type=column.type, date_order="ymd")
    kind = next((kind for kind in (*_kinds(column), *_kinds(plain)) if kind.fits(text)), None)
    found = _DAY.fullmatch(text) if kind else None
    if kind is None or found is None:
        raise ValueError(value)
    parts = dict(zip(kind.date_order or "ymd", map(int, found.groups()[:3]), strict=True))
    day = date(parts["y"], parts["m"], parts["d"])
    return day if column.type == "date" else _with_clock(day, found[4])


def _with_clock(day: date, clock: str) -> datetime:
    """In UTC if it has an offset, as the file's own are."""
    parts = _CLOCK.fullmatch(clock)
    hours = f"{int(parts[1]):02}{parts[2]}" if parts else "00:00"
    moment = datetime.fromisoformat(f"{day}T{hours}")
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _kinds(column: Column) -> Sequence[Kind]:
    """The ways to write a value of the column's type, as the column has them."""
    return [
        kind
        for kind in KINDS
        if kind.type == column.type
        and kind.decimal in (None, column.decimal)
        and kind.date_order == column.date_order
    ]

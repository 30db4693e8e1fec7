"""The types of the formula language, and how wide an exact number may get."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

KindOfValue = Literal["number", "double", "text", "boolean", "date", "datetime", "nothing", "unknown"]

DIGITS = 38  # of an exact number, with its places: what both engines hold
MOST_PLACES = 27
MOST_DECLARED = 36
_DECIMAL = re.compile(r"decimal\(\s*([0-9]{1,2})\s*,\s*([0-9]{1,2})\s*\)")


@dataclass(frozen=True, slots=True)
class Type:
    """What an expression is. Exact numbers have at most so many digits, so many of them after the point."""

    kind: KindOfValue
    digits: int = 0
    places: int = 0

    @property
    def whole(self) -> int:
        return self.digits - self.places

    def __str__(self) -> str:
        return _NAMES[self.kind]


TEXT = Type("text")
BOOLEAN = Type("boolean")
DATE = Type("date")
DATETIME = Type("datetime")
DOUBLE = Type("double")
NOTHING = Type("nothing")
UNKNOWN = Type("unknown")
INTEGER = Type("number", 18, 0)
DECIMAL = Type("number", 28, 10)

_NAMES = {
    "number": "number",
    "double": "number",
    "text": "text",
    "boolean": "condition",
    "date": "date",
    "datetime": "date with time",
    "nothing": "None",
    "unknown": "value of unknown type",
}
_BY_NAME = {
    "text": TEXT,
    "integer": INTEGER,
    "decimal": DECIMAL,
    "double": DOUBLE,
    "date": DATE,
    "datetime": DATETIME,
    "boolean": BOOLEAN,
}
TYPE_NAMES = (*_BY_NAME, "decimal(digits, places)")


def type_named(name: str) -> Type | None:
    """The type of a column as profiles and rules name it; None if there is no such type."""
    if match := _DECIMAL.fullmatch(name):
        digits, places = int(match[1]), int(match[2])
        return number(digits - places, places) if places < digits <= MOST_DECLARED and places <= 18 else None
    return _BY_NAME.get(name)


def number(whole: int, places: int) -> Type:
    """An exact number with digits before and after the point; what does not fit is cut in front."""
    return Type("number", min(DIGITS, whole + places), places)


def is_number(type_: Type) -> bool:
    return type_.kind in ("number", "double")


def is_day(type_: Type) -> bool:
    return type_.kind in ("date", "datetime")


def sum_digits(types: Sequence[Type]) -> tuple[int, int]:
    """Digits before and after the point that a sum of such numbers can need."""
    return max(type_.whole for type_ in types) + len(str(len(types))), max(type_.places for type_ in types)


def product_digits(types: Iterable[Type]) -> tuple[int, int]:
    """Digits before and after the point that a product of such numbers can need."""
    numbers = list(types)
    return sum(type_.whole for type_ in numbers), sum(type_.places for type_ in numbers)


def common(types: Sequence[Type]) -> Type | None:
    """The one type that all these values can be shown as; None if there is none."""
    known = [type_ for type_ in types if type_.kind != "nothing"]
    kinds = {type_.kind for type_ in known}
    if "unknown" in kinds:
        return UNKNOWN
    if not known:
        return NOTHING
    if kinds == {"number"}:
        return number(max(type_.whole for type_ in known), max(type_.places for type_ in known))
    if kinds <= {"number", "double"}:
        return DOUBLE
    if kinds == {"date", "datetime"}:
        return DATETIME
    return known[0] if len(kinds) == 1 else None

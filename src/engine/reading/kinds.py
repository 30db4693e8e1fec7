"""The ways to read a text as a value, each once for Python and once for SQL: what fits, and what it means.

A column has a type only if every one of its values fits, so leading zeros anywhere make it text.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from src.engine.values import Column, ColumnType, DateOrder

BLANKS = " \t\r\n"
BLANKS_IN_SQL = r" \t\r\n"
TRUE_WORDS = ("true", "yes", "sim", "verdadeiro")
FALSE_WORDS = ("false", "no", "não", "nao", "falso")

_WHOLE = "(?:0|[1-9][0-9]{0,17})"
_YEAR, _MONTH, _DAY = "[1-9][0-9]{3}", "(?:0?[1-9]|1[0-2])", "(?:0?[1-9]|[12][0-9]|3[01])"
_ORDERS: dict[DateOrder, tuple[tuple[str, str, str], str]] = {
    "ymd": ((_YEAR, _MONTH, _DAY), "-/"),
    "dmy": ((_DAY, _MONTH, _YEAR), "/-."),
    "mdy": ((_MONTH, _DAY, _YEAR), "/-"),
}
_CLOCK = "(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.][0-9]{1,6})?)?"
_OFFSET = "(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
_TO_ISO = {"ymd": r"\1-\2-\3", "dmy": r"\3-\2-\1", "mdy": r"\3-\1-\2"}
_SEPARATORS = re.compile("[^0-9]")
_DATE_PARTS = "^([0-9]+)[./-]([0-9]+)[./-]([0-9]+)"


@dataclass(frozen=True)
class Kind:
    """One reading: its type, and the decimal mark or the order of day, month and year."""

    type: ColumnType
    pattern: str
    decimal: str | None = None
    date_order: DateOrder | None = None
    has_offset: bool = False

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    def fits(self, text: str) -> bool:
        """Whether a trimmed, non-empty text is a value of this kind."""
        if not self._compiled.fullmatch(text):
            return False
        if self.type == "decimal":
            return math.isfinite(float(self.plain_number(text)))
        return self.date_order is None or _is_day(text, self.date_order)

    def plain_number(self, text: str) -> str:
        """A number's text with a point and without marks between thousands."""
        if self.decimal == ",":
            return text.replace(".", "").replace(",", ".")
        return text.replace(",", "")

    def sql_fits(self, text: str) -> str:
        """The same test on an SQL expression; blanks around it are let through: trimming is slow."""
        matches = f"regexp_full_match({text}, '[{BLANKS_IN_SQL}]*(?:{self.pattern})[{BLANKS_IN_SQL}]*')"
        if self.type == "decimal":
            return f"({matches} and isfinite({self.sql_number(text)}))"
        return matches if self.date_order is None else f"({matches} and {self.sql_moment(text)} is not null)"

    def sql_number(self, text: str, as_type: str = "double") -> str:
        """A number's value; null where the text is none or does not fit into `as_type`."""
        if self.decimal == ",":
            text = f"replace(replace({text}, '.', ''), ',', '.')"
        elif self.decimal == ".":
            text = f"replace({text}, ',', '')"
        return f"try_cast({text} as {as_type})"

    def sql_moment(self, text: str) -> str:
        """A date's or datetime's value, in UTC if it has an offset. Few have blanks: trimming is second."""
        trimmed = f"trim({text}, E'{BLANKS_IN_SQL}')"
        return f"coalesce({self._cast(text)}, {self._cast(trimmed)})"

    def _cast(self, text: str) -> str:
        if self.date_order != "ymd":
            text = f"regexp_replace({text}, '{_DATE_PARTS}', '{_TO_ISO[self.date_order or 'ymd']}')"
        if self.has_offset:  # a cast to TIMESTAMP would drop the offset
            return f"try_cast({text} as timestamptz)::timestamp"
        return f"try_cast({text} as timestamp)"


def _number(mark: str, thousands: str) -> str:
    """A plain number has a point unless it shows a comma: `1e5` is none with a decimal comma."""
    fraction, exponent = f"[{mark}][0-9]{{1,30}}", "(?:[eE][+-]?[0-9]{1,3})?"
    plain = f"(?:{fraction})?{exponent}" if mark == "." else f"(?:{fraction}{exponent})?"
    return (
        f"-?(?:{_WHOLE}{plain}|{fraction}|[1-9][0-9]{{0,2}}(?:[{thousands}][0-9]{{3}}){{1,5}}(?:{fraction})?)"
    )


def _spelled(*words: str) -> str:
    return "|".join(form for word in words for form in (word, word.capitalize(), word.upper()))


def _day(order: DateOrder) -> str:
    parts, separators = _ORDERS[order]
    return "(?:" + "|".join(f"[{separator}]".join(parts) for separator in separators) + ")"


KINDS: tuple[Kind, ...] = (
    Kind("boolean", _spelled(*TRUE_WORDS, *FALSE_WORDS)),
    Kind("integer", f"-?{_WHOLE}"),
    Kind("decimal", _number(".", ","), decimal="."),
    Kind("decimal", _number(",", "."), decimal=","),
    *(Kind("date", _day(order), date_order=order) for order in _ORDERS),
    *(Kind("datetime", f"{_day(order)}(?:[ T]{_CLOCK}Z?)?", date_order=order) for order in _ORDERS),
    Kind("datetime", f"{_day('ymd')}(?:[ T]{_CLOCK}{_OFFSET}?)?", date_order="ymd", has_offset=True),
)


def fitting(values: Iterable[str]) -> tuple[Kind, ...]:
    """The kinds that every non-empty value fits; none if there is no such value."""
    texts = {text for value in values if (text := value.strip(BLANKS))}
    return tuple(kind for kind in KINDS if texts and all(map(kind.fits, texts)))


def is_typed(text: str) -> bool:
    """Whether a single text is a number or a date."""
    return any(kind.type != "boolean" for kind in fitting([text]))


def choose(kinds: Sequence[Kind], decimal: str | None) -> Kind | None:
    """The kind to read a column with: the narrowest type, and the file's decimal mark where both would do."""
    narrowest = [kind for kind in kinds if kind.type == kinds[0].type]
    return min(narrowest, key=lambda kind: kind.decimal != decimal, default=None)


def column(name: str, kinds: Sequence[Kind], decimal: str | None = ".") -> Column:
    """A column read with the kind chosen; it is ambiguous if another mark or order would do as well."""
    kind = choose(kinds, decimal)
    if kind is None:
        return Column(name=name)
    rivals = {(other.decimal, other.date_order) for other in kinds if other.type == kind.type}
    return Column(
        name=name,
        type=kind.type,
        decimal=kind.decimal,
        date_order=kind.date_order,
        is_ambiguous=len(rivals) > 1,
    )


def decimal_mark(columns: Sequence[Sequence[Kind]], delimiter: str | None = None) -> str:
    """The decimal mark that most columns without a choice have; a `;` delimiter speaks for a comma."""
    marks = [{kind.decimal for kind in kinds if kind.decimal} for kinds in columns if kinds]
    points, commas = (sum(mark == {one} for mark in marks) for one in (".", ","))
    if (
        points == commas
        and delimiter == ";"
        and any(kinds[0].type == "decimal" for kinds in columns if kinds)
    ):
        return ","
    return "," if commas > points else "."


def _is_day(text: str, order: DateOrder) -> bool:
    parts = [int(part) for part in _SEPARATORS.split(text, maxsplit=3)[:3]]
    year, month, day = (parts[order.index(part)] for part in "ymd")
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True

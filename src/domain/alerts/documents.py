"""A rule's parameters as a document: read, refused with the place of each fault, and written again."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from src.domain.alerts.formulas import LONGEST_TEXT, read_formula
from src.domain.alerts.kinds import (
    Check,
    Compare,
    Consecutive,
    Decreasing,
    Gap,
    GapClock,
    Increasing,
    Threshold,
    WindowCount,
    WindowSum,
)
from src.domain.errors import FieldError, Invalid
from src.domain.formulas import BadFormula

LONGEST = 2**62  # of a span of time: no sum of it with another can leave 64 bits
MOST_IN_A_ROW = 100
MOST_IN_A_WINDOW = 10_000
MOST_AMOUNT = Decimal("9999999999999.99")
CENT = Decimal("0.01")
AMOUNT = re.compile(r"[0-9]{1,20}(\.[0-9]{1,2})?")
Reader = Callable[[Any], Any]


class BadAlertRule(Invalid):
    slug = "bad-alert-rule"
    title = "The alert rule cannot be asked like this"


class Unreadable(Exception):
    """What is wrong with one parameter."""

    def __init__(self, message: str, code: str = "invalid") -> None:
        super().__init__(message)
        self.code = code


class Kind(NamedTuple):
    """How a kind is made of its parameters; of these, some may be left out."""

    make: Callable[..., Check]
    readers: Mapping[str, Reader]
    optional: frozenset[str] = frozenset()


def _amount(value: Any) -> Decimal:
    """Exact: a text, or a whole number; other JSON numbers are not what they look like."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not AMOUNT.fullmatch(text):
        raise Unreadable('Write the amount as a text with at most two decimals, like "100.00".')
    amount = Decimal(text)
    if amount > MOST_AMOUNT:
        raise Unreadable(f"It must lie between 0 and {MOST_AMOUNT}.")
    return amount.quantize(CENT)


def _whole(first: int, last: int) -> Reader:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not first <= value <= last:
            raise Unreadable(f"It must be a whole number between {first} and {last}.")
        return value

    return read


def _one_of(choices: type[StrEnum], *only: StrEnum) -> Reader:
    allowed = only or tuple(choices)

    def read(value: Any) -> StrEnum:
        if value not in allowed:
            raise Unreadable(f"It must be one of: {', '.join(allowed)}.")
        return choices(value)

    return read


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Unreadable("It must be true or false.")
    return value


def _formula(value: Any) -> str:
    """A text that can be understood; it is read once more when the check is made of it."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_TEXT:
        raise Unreadable(f"Write a condition, of at most {LONGEST_TEXT} characters.")
    try:
        read_formula(value)
    except BadFormula as error:
        raise Unreadable(error.detail, error.code) from error
    return value


IN_A_ROW = {"count": _whole(2, MOST_IN_A_ROW)}
IN_ORDER = IN_A_ROW | {"is_strict": _yes_or_no}
SPAN = _whole(1, LONGEST)
# Of a window more is more: it can only be asked for much, since what is little now is more at the next event.
MUCH = _one_of(Compare, Compare.OVER, Compare.AT_LEAST)
COMPARE, STRICT = frozenset({"compare"}), frozenset({"is_strict"})
KINDS: Mapping[str, Kind] = {
    "threshold": Kind(Threshold, {"amount": _amount, "compare": _one_of(Compare)}, COMPARE),
    "consecutive": Kind(Consecutive, IN_A_ROW),
    "increasing": Kind(Increasing, IN_ORDER, STRICT),
    "decreasing": Kind(Decreasing, IN_ORDER, STRICT),
    "window_sum": Kind(WindowSum, {"window": SPAN, "amount": _amount, "compare": MUCH}, COMPARE),
    "window_count": Kind(
        WindowCount, {"window": SPAN, "count": _whole(1, MOST_IN_A_WINDOW), "compare": MUCH}, COMPARE
    ),
    "gap": Kind(Gap, {"after": SPAN, "clock": _one_of(GapClock)}, frozenset({"clock"})),
    "formula": Kind(read_formula, {"formula": _formula}),
}


def read_check(kind: str, parameters: Mapping[str, Any], *, at: str = "") -> Check:
    """What a rule of this kind looks for; raises BadAlertRule with every fault in its parameters.

    `at` points to the document, where it is a part of another one.
    """
    if kind not in KINDS:
        raise _bad([FieldError(f"{at}/kind", "unknown_kind", f"There are: {', '.join(KINDS)}.")])
    wanted, values = KINDS[kind], {}
    faults = [
        FieldError(f"{at}/parameters/{name}", "unknown_field", f"A {kind} has: {', '.join(wanted.readers)}.")
        for name in parameters
        if name not in wanted.readers
    ]
    for name, read in wanted.readers.items():
        pointer = f"{at}/parameters/{name}"
        if name not in parameters:
            if name not in wanted.optional:
                faults.append(FieldError(pointer, "required", "Missing data for required field."))
            continue
        try:
            values[name] = read(parameters[name])
        except Unreadable as error:
            faults.append(FieldError(pointer, error.code, str(error)))
    if faults:
        raise _bad(faults)
    return wanted.make(**values)


def write_check(kind: str, check: Check) -> dict[str, Any]:
    """All parameters, also those that were left out, so that a later default changes no version."""
    values = {name: getattr(check, name) for name in KINDS[kind].readers}
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in values.items()}


def _bad(faults: list[FieldError]) -> BadAlertRule:
    return BadAlertRule("Some parameters are not as they should be.", errors=faults)

"""Arithmetic on single values: exact decimals for + - *, doubles for / and **. The engine has its twin."""

import math
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from functools import reduce
from operator import mul

from src.domain.formulas.errors import Uncomputable
from src.domain.formulas.types import DIGITS, Type

Number = Decimal | float
CONTEXT = Context(prec=200, rounding=ROUND_HALF_EVEN)
LARGEST_QUOTIENT = 1e15
LARGEST_ROUNDED = 9.99e17  # of a double that becomes exact
PLACES_OF_DOUBLES = Decimal("1e-20")  # up to here a double is looked at when it becomes exact
TOO_LARGE, BY_ZERO, NO_RESULT = "too_large", "division_by_zero", "no_result"


def limit_of(type_: Type) -> float:
    """What a number of this type stays below: nearly all that its digits can show."""
    return float(f"9.99e{type_.whole - 1}")


def is_full(type_: Type) -> bool:
    """Whether values may need more digits than there are, so that each one is looked at."""
    return type_.digits == DIGITS


def fits(value: Decimal, type_: Type) -> bool:
    """Whether a cell is a number of at most these digits."""
    if not value.is_finite() or (value.adjusted() >= max(type_.whole, 1) and value != 0):
        return False
    return value == value.quantize(Decimal(1).scaleb(-type_.places), context=CONTEXT)


def finite(value: float) -> float:
    if not math.isfinite(value):
        raise Uncomputable(TOO_LARGE)
    return value + 0.0


def add(type_: Type, *terms: Number) -> Number:
    """In the order given, which matters for doubles. (The sum of Python would correct their errors.)"""
    if type_.kind == "double":
        return finite(reduce(lambda one, other: one + float(other), terms, 0.0))
    _check_magnitude(type_, reduce(lambda one, other: one + abs(float(other)), terms, 0.0))
    return reduce(CONTEXT.add, (Decimal(term) for term in terms))


def multiply(type_: Type, *factors: Number) -> Number:
    if type_.kind == "double":
        return finite(reduce(mul, (float(factor) for factor in factors)))
    product = 1.0
    for factor in factors:
        product *= abs(float(factor))
        _check_magnitude(type_, product)
    return reduce(CONTEXT.multiply, (Decimal(factor) for factor in factors))


def negate(type_: Type, value: Number) -> Number:
    return CONTEXT.minus(value) if isinstance(value, Decimal) else -value


def divide(type_: Type, one: float, other: float) -> Number:
    if other == 0:
        raise Uncomputable(BY_ZERO)
    return finite(one / other)


def power(type_: Type, one: float, other: float) -> Number:
    try:
        return finite(math.pow(one, other))
    except OverflowError as error:
        raise Uncomputable(TOO_LARGE) from error
    except ValueError as error:  # a root of a negative number, zero to a negative power
        raise Uncomputable(NO_RESULT) from error


def floor_divide(type_: Type, one: Number, other: Number) -> Number:
    if other == 0:
        raise Uncomputable(BY_ZERO)
    if not abs(float(one) / float(other)) < LARGEST_QUOTIENT:
        raise Uncomputable(TOO_LARGE)
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return CONTEXT.divide(CONTEXT.subtract(one, _remainder(one, other)), other).to_integral_value()
    return float(one) // float(other) + 0.0


def modulo(type_: Type, one: Number, other: Number) -> Number:
    if other == 0:
        raise Uncomputable(BY_ZERO)
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return _remainder(one, other)
    return float(one) % float(other) + 0.0


def absolute(type_: Type, value: Number) -> Number:
    return value.copy_abs() if isinstance(value, Decimal) else abs(value)


def rounded(type_: Type, value: Number, places: Decimal) -> Number:
    unit = Decimal(1).scaleb(-int(places))
    return CONTEXT.quantize(_exact(value), unit)


def floor(type_: Type, value: Number) -> Number:
    return _exact(value).to_integral_value(ROUND_FLOOR)


def ceil(type_: Type, value: Number) -> Number:
    return _exact(value).to_integral_value(ROUND_CEILING)


def fit(type_: Type, value: Decimal) -> Decimal:
    """As a type with fewer digits before the point."""
    if not abs(float(value)) < limit_of(type_):
        raise Uncomputable(TOO_LARGE)
    return value


def to_double(type_: Type, value: Decimal) -> float:
    return float(value)


def _check_magnitude(type_: Type, magnitude: float) -> None:
    if is_full(type_) and not magnitude < limit_of(type_):
        raise Uncomputable(TOO_LARGE)


def _remainder(one: Decimal, other: Decimal) -> Decimal:
    """With the sign of the divisor, as in Python for whole numbers."""
    rest = CONTEXT.remainder(one, other)
    return CONTEXT.add(rest, other) if rest and (rest < 0) != (other < 0) else rest


def _exact(value: Number) -> Decimal:
    """A double as what it is shown as."""
    if isinstance(value, Decimal):
        return value
    if not abs(value) < LARGEST_ROUNDED:
        raise Uncomputable(TOO_LARGE)
    return Decimal(repr(value)).quantize(PLACES_OF_DOUBLES, ROUND_HALF_UP, CONTEXT)


CONVERSIONS = frozenset(("fit", "to_double"))  # what is missing stays missing
Arithmetic = Callable[..., Number]
ARITHMETIC: Mapping[str, Arithmetic] = {
    "add": add,
    "multiply": multiply,
    "negate": negate,
    "divide": divide,
    "power": power,
    "floor_divide": floor_divide,
    "modulo": modulo,
    "abs": absolute,
    "round": rounded,
    "floor": floor,
    "ceil": ceil,
    "fit": fit,
    "to_double": to_double,
}

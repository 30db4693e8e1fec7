"""Arithmetic on columns: exact decimals for + - *, doubles for / and **, as on single values in domain."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import reduce
from itertools import accumulate
from operator import add, mul
from typing import cast

import ibis
import ibis.expr.types as ir

from src.domain.formulas.numbers import (
    BY_ZERO,
    LARGEST_QUOTIENT,
    LARGEST_ROUNDED,
    NO_RESULT,
    TOO_LARGE,
    is_full,
    limit_of,
)
from src.domain.formulas.tree import Call, Constant
from src.domain.formulas.types import Type, common, number
from src.engine.formulas.computed import Computed, constant, data_type, unless
from src.engine.formulas.dialect import multiply

Values = list[ir.Value]
EXACT_IN_DOUBLE = 15  # digits
IN_A_WORD = 18  # digits of a decimal that the processor multiplies at once
DOUBLE_AS_EXACT = number(18, 20)
EXACT = data_type(DOUBLE_AS_EXACT)


def added(node: Call, values: Values) -> Computed:
    if node.type.kind == "double":
        return _finite(reduce(add, values))
    total = reduce(add, (value.cast(data_type(node.type)) for value in values))
    if not is_full(node.type):
        return Computed(total)
    return _within(reduce(add, (value.cast("float64").abs() for value in values)), node, total)


def multiplied(node: Call, values: Values) -> Computed:
    if node.type.kind == "double":
        return _finite(reduce(mul, values))
    product = _product(node, values)
    if not is_full(node.type):
        return Computed(product)
    sizes = [value.cast("float64").abs() for value in values]
    return _within(ibis.greatest(*accumulate(sizes, mul)), node, product)


def _product(node: Call, values: Values) -> ir.Value:
    """Step by step, each with the digits that it can need: the engine would keep those of the factors."""
    result, type_ = values[0], node.arguments[0].type
    for value, argument in zip(values[1:], node.arguments[1:], strict=True):
        wider = number(type_.whole + argument.type.whole, type_.places + argument.type.places)
        if wider.digits > IN_A_WORD >= max(type_.digits, argument.type.digits):
            type_ = Type("number", IN_A_WORD + 1, type_.places)
        types = (data_type(type_), data_type(argument.type), data_type(wider))
        result = multiply(result.cast(types[0]), value, *types)
        result, type_ = result.cast(data_type(wider)), wider
    return result


def negated(node: Call, values: Values) -> Computed:
    return Computed((-values[0]).cast(data_type(node.type)))


def divided(node: Call, values: Values) -> Computed:
    quotient = values[0] / values[1].nullif(0.0)
    return Computed(
        quotient, ibis.coalesce(unless(values[1] != 0, BY_ZERO), unless(_is_finite(quotient), TOO_LARGE))
    )


def raised(node: Call, values: Values) -> Computed:
    result = values[0] ** values[1]
    is_pole = (values[0] == 0) & result.isinf()
    reason = unless(~(result.isnan() | is_pole), NO_RESULT)
    return Computed(result, ibis.coalesce(reason, unless(_is_finite(result), TOO_LARGE)))


def floor_divided(node: Call, values: Values) -> Computed:
    type_ = _shared(node)
    one, other = (value.cast(data_type(type_)) for value in values)
    other = other.nullif(constant(0, type_))
    if type_.kind == "double":
        quotient = _double_parts(one, other)[0]
    else:
        wide = data_type(number(type_.whole + 1, type_.places))
        multiple = one.cast(wide) - _remainder(one, other, type_).cast(wide)
        quotient = _read_as_double(multiple) / _read_as_double(other)
    is_small = one.cast("float64").abs() < other.cast("float64").abs() * LARGEST_QUOTIENT
    value = is_small.ifelse(quotient, 0.0)
    if type_.kind == "number":
        value = value.round().cast(data_type(node.type))
    return Computed(value, ibis.coalesce(unless(other.notnull(), BY_ZERO), unless(is_small, TOO_LARGE)))


def modulo(node: Call, values: Values) -> Computed:
    type_ = _shared(node)
    one, other = (value.cast(data_type(type_)) for value in values)
    other = other.nullif(constant(0, type_))
    reason = unless(other.notnull(), BY_ZERO)
    if node.type.kind == "double":
        return Computed(_double_parts(one, other)[1], reason)
    return Computed(_remainder(one, other, type_).cast(data_type(node.type)), reason)


def absolute(node: Call, values: Values) -> Computed:
    return Computed(values[0].abs().cast(data_type(node.type)))


def rounded(node: Call, values: Values) -> Computed:
    """Half to even: the engine rounds half away from zero, which is taken back where the digit is odd."""
    type_, value, reason = _exact(node, values[0])
    digits = _constant(node, 1)
    if digits >= 0:
        return Computed(_half_even(value, type_, digits).cast(data_type(node.type)), reason)
    smaller = number(type_.whole + digits, type_.places - digits)
    scaled = _times(value, type_, Decimal(1).scaleb(digits), smaller)
    whole = number(smaller.whole + 1, 0)
    result = _times(_half_even(scaled, smaller, 0), whole, Decimal(10) ** -digits, node.type)
    return Computed(result.cast(data_type(node.type)), reason)


def floored(node: Call, values: Values) -> Computed:
    _, value, reason = _exact(node, values[0])
    return Computed(value.floor().cast(data_type(node.type)), reason)


def ceiled(node: Call, values: Values) -> Computed:
    _, value, reason = _exact(node, values[0])
    return Computed(value.ceil().cast(data_type(node.type)), reason)


def fitted(node: Call, values: Values) -> Computed:
    return _within(values[0].cast("float64").abs(), node, values[0].cast(data_type(node.type)))


def doubled(node: Call, values: Values) -> Computed:
    """Of few digits, it is divided by a power of ten, which is exact; others are read from their text."""
    if node.arguments[0].type.digits <= EXACT_IN_DOUBLE:
        return Computed(values[0].cast("float64"))
    return Computed(_read_as_double(values[0]))


def _read_as_double(value: ir.Value) -> ir.Value:
    return value.cast("string").cast("float64")


def _half_even(value: ir.Value, type_: Type, places: int) -> ir.Value:
    """`places` are fewer than the type has."""
    near = value.cast(data_type(number(type_.whole + 1, places)))
    distance = (near.cast(data_type(number(type_.whole + 1, type_.places))) - value).abs()
    unit = Decimal(1).scaleb(-places)
    is_tie = distance == constant(unit / 2, number(type_.whole + 1, type_.places))
    is_odd = near % constant(unit * 2, number(type_.whole + 1, places)) != 0
    back = constant(unit, number(type_.whole + 1, places))
    return (is_tie & is_odd).ifelse((value > 0).ifelse(near - back, near + back), near)


def _times(value: ir.Value, type_: Type, factor: Decimal, result: Type) -> ir.Value:
    places = max(0, -cast("int", factor.as_tuple().exponent))
    other = number(max(1, factor.adjusted() + 1), places)
    return multiply(value, constant(factor, other), data_type(type_), data_type(other), data_type(result))


def _exact(node: Call, value: ir.Value) -> tuple[Type, ir.Value, ir.Value | None]:
    """A double as the number that it is shown as, unless it is too large for that."""
    type_ = node.arguments[0].type
    if type_.kind == "number":
        return type_, value, None
    is_fine = value.abs() < LARGEST_ROUNDED
    return DOUBLE_AS_EXACT, is_fine.ifelse(value, 0.0).cast("string").cast(EXACT), unless(is_fine, TOO_LARGE)


def _remainder(one: ir.Value, other: ir.Value, type_: Type) -> ir.Value:
    """With the sign of the divisor; the engine's own has that of the dividend."""
    wide = data_type(number(type_.whole + 1, type_.places))
    return ((one % other).cast(wide) + other.cast(wide)) % other.cast(wide)


def _shared(node: Call) -> Type:
    """The type that both operands are divided as."""
    return common([argument.type for argument in node.arguments]) or node.type


def _double_parts(one: ir.Value, other: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Quotient and remainder as Python has them."""
    rest = one % other
    is_off = (rest != 0) & ((rest < 0) != (other < 0))
    quotient = (one - rest) / other - is_off.ifelse(1.0, 0.0)
    floor = quotient.floor().cast("float64")
    return floor + (quotient - floor > 0.5).ifelse(1.0, 0.0), is_off.ifelse(rest + other, rest)


def _within(magnitude: ir.Value, node: Call, value: ir.Value) -> Computed:
    """Evaluated only where it has room: what stands in a branch is not touched elsewhere."""
    has_room = magnitude < limit_of(node.type)
    return Computed(has_room.ifelse(value, ibis.null()), unless(has_room.fill_null(True), TOO_LARGE))


def _finite(value: ir.Value) -> Computed:
    return Computed(value, unless(_is_finite(value), TOO_LARGE))


def _is_finite(value: ir.Value) -> ir.Value:
    return ~(value.isinf() | value.isnan())


def _constant(node: Call, place: int) -> int:
    argument = node.arguments[place]
    return int(cast("Decimal", argument.value)) if isinstance(argument, Constant) else 0


ARITHMETIC: Mapping[str, Callable[[Call, Values], Computed]] = {
    "add": added,
    "multiply": multiplied,
    "negate": negated,
    "divide": divided,
    "power": raised,
    "floor_divide": floor_divided,
    "modulo": modulo,
    "abs": absolute,
    "round": rounded,
    "floor": floored,
    "ceil": ceiled,
    "fit": fitted,
    "to_double": doubled,
}

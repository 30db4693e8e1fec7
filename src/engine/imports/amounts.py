"""Texts as decimal numbers with a column's mark: never rounded, thousands marked only where they end."""

import re
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from src.engine.reading.stretches import Flags
from src.engine.reading.texts import Texts, each_distinct, flags
from src.engine.reading.utf8 import Places


@dataclass(frozen=True)
class Amounts:
    """The column, null where there is no number, and what is wrong with the others by code."""

    values: pa.Array
    faults: dict[str, Places]


def read_amounts(texts: Texts, mark: str, digits: int, places: int) -> Amounts:
    """Numbers of so many digits, of which `places` stand behind the mark."""
    kind = pa.decimal128(digits, places)
    plain = texts.trimmed
    is_read = _are_plain(plain, mark, digits, places)
    faults: dict[str, Places] = {}
    odd = np.flatnonzero(~is_read & ~texts.is_empty)
    if len(odd):
        codes, judged = each_distinct(
            plain.take(pa.array(odd)), lambda text: judge(text, mark, digits, places)
        )
        own = np.array([code for code, _ in judged], object)[codes]
        faults = {str(code): odd[own == code] for code in set(own) if code}
        is_read[odd] = own == ""
        numbers = pa.array([number for _, number in judged], pa.string()).take(pa.array(codes))
        plain = pc.replace_with_mask(plain, pa.array(_mask(odd, len(plain))), numbers)
    known = pc.if_else(pa.array(is_read), plain, pa.scalar(None, pa.string()))
    if mark == ",":
        known = pc.replace_substring(known, ",", ".")
    return Amounts(known.cast(kind), faults)


def judge(text: str, mark: str, digits: int, places: int) -> tuple[str, str | None]:
    """For a single text: the code of what is wrong, or nothing and the number without other marks."""
    other = "." if mark == "," else ","
    pattern = rf"[+-]?(?:[0-9]+|[1-9][0-9]{{0,2}}(?:[{other}][0-9]{{3}})+|(?=[{mark}]))(?:[{mark}][0-9]+)?"
    if not re.fullmatch(pattern, text):
        return "not_a_number", None
    written = text.replace(other, "")
    whole, _, fraction = written.lstrip("+-").partition(mark)
    if len(whole.lstrip("0")) > digits - places:
        return "out_of_range", None
    if len(fraction) > places:
        return "too_many_decimals", None
    sign = "-" * text.startswith("-")
    return "", f"{sign}{whole.lstrip('0') or '0'}{mark if fraction else ''}{fraction}"


def are_below_zero(values: pa.Array) -> Flags:
    return _compared(pc.less, values)


def are_above_zero(values: pa.Array) -> Flags:
    return _compared(pc.greater, values)


def are_outside(values: pa.Array, low: Decimal | None, high: Decimal | None) -> Flags:
    """Which numbers lie outside of bounds that are included."""
    is_out = np.zeros(len(values), bool)
    for compare, bound in ((pc.less, low), (pc.greater, high)):
        if bound is not None:
            exact = pa.scalar(bound).cast(values.type)
            is_out |= flags(pc.fill_null(compare(values, exact), False))
    return is_out


def _compared(compare: "pc.Function", values: pa.Array) -> Flags:
    return flags(pc.fill_null(compare(values, pa.scalar(Decimal(0), values.type)), False))


def _are_plain(texts: pa.Array, mark: str, digits: int, places: int) -> Flags:
    """The numbers that need no look at their own: without marks between thousands, and short enough."""
    whole = max(digits - places, 1)
    fraction = rf"(?:[{mark}][0-9]{{1,{places}}})?" if places else ""
    return flags(pc.match_substring_regex(texts, rf"\A-?[0-9]{{1,{whole}}}{fraction}\z")).copy()


def _mask(rows: Places, size: int) -> Flags:
    mask = np.zeros(size, bool)
    mask[rows] = True
    return mask

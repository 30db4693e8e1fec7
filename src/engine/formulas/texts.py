"""Texts and days on columns, as on single values in the domain."""

from collections.abc import Callable, Mapping
from typing import cast

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from src.domain.formulas.dates import PARTS, read_pattern
from src.domain.formulas.tree import Call, Constant
from src.domain.formulas.types import Type
from src.engine.formulas.computed import Computed, data_type, unless

Values = list[ir.Value]
FARTHEST = 1_000_000_000
NUMBER = r"^[+-]?([0-9]{1,18}([.][0-9]{0,10})?|[.][0-9]{1,10})$"
DIGITS = {"yyyy": "([1-9][0-9]{3})", **dict.fromkeys(("mm", "dd", "hh", "mi", "ss"), "([0-9]{2})")}
MARKS = {".": "[.]"}
STRFTIME = {"yyyy": "%Y", "mm": "%m", "dd": "%d", "hh": "%H", "mi": "%M", "ss": "%S"}


def joined(node: Call, values: Values) -> Computed:
    result = values[0]
    for value in values[1:]:
        result = result + value
    return Computed(result)


def cut(node: Call, values: Values) -> Computed:
    start = _bounded(values[1])
    length = _bounded(values[2]) if len(values) > 2 else ibis.literal(FARTHEST)
    is_place = (start >= 1) & (length >= 0)
    return Computed(
        values[0].substr(is_place.ifelse(start - 1, 0), is_place.ifelse(length, 0)),
        unless(is_place, "no_such_place"),
    )


def _bounded(value: ir.Value) -> ir.Value:
    return ibis.greatest(ibis.least(value, FARTHEST), -1).cast("int64")


def split(node: Call, values: Values) -> Computed:
    part = int(cast("int", _constant(node, 2)))
    return Computed(values[0].split(str(_constant(node, 1)))[part - 1].fill_null(""))


def read_number(node: Call, values: Values) -> Computed:
    text = values[0].strip()
    number = text.nullif("").try_cast(data_type(node.type))
    return Computed(number, unless((text == "") | text.re_search(NUMBER), "not_a_number"))


def read_date(node: Call, values: Values) -> Computed:
    """Brought into the order of ISO 8601 first; what has not the form is left as it is, and refused."""
    pieces = read_pattern(str(_constant(node, 1)))
    form = "".join(DIGITS.get(piece) or MARKS.get(piece, piece) for piece in pieces)
    groups = {piece: place for place, piece in enumerate((one for one in pieces if one in PARTS), 1)}
    text = values[0].strip()
    ordered = text.re_replace(f"^{form}$", "-".join(f"\\{groups[piece]}" for piece in ("yyyy", "mm", "dd")))
    value = ordered.try_cast("date")
    is_date = text.re_search(f"^{form}$") & value.notnull()
    return Computed(value, unless((text == "") | is_date, "not_a_date"))


def written_date(node: Call, values: Values) -> Computed:
    form = "".join(STRFTIME.get(piece, piece) for piece in read_pattern(str(_constant(node, 1))))
    return Computed(values[0].cast(dt.Timestamp()).strftime(form).fill_null(""))


def days_between(node: Call, values: Values) -> Computed:
    one, other = (value.cast("date") for value in values)
    return Computed(other.delta(one, unit="day").cast(data_type(node.type)))


def as_text(value: ir.Value, type_: Type) -> ir.Value:
    """As a report shows it: numbers without what says nothing, and nothing for what is missing."""
    if type_.kind == "text":
        return value
    if type_.kind == "boolean":
        return ibis.cases((value, "true"), (~value, "false"), else_="")
    written = value.cast("string")
    if type_.kind == "number" and type_.places:
        # few numbers end so: most are through with one comparison
        written = written.endswith("0").ifelse(written.re_replace("[.]?0+$", ""), written)
    if type_.kind == "double":
        written = written.re_replace(r"[.]0$", "").nullif("-0").fill_null("0")
        return value.isnull().ifelse("", written)
    return written.fill_null("")


def _part(name: str) -> Callable[[Call, Values], Computed]:
    return lambda node, values: Computed(getattr(values[0], name)().cast(data_type(node.type)))


def weekday(node: Call, values: Values) -> Computed:
    return Computed((values[0].day_of_week.index() + 1).cast(data_type(node.type)))


def _constant(node: Call, place: int) -> object:
    argument = node.arguments[place]
    return argument.value if isinstance(argument, Constant) else None


TEXTS: Mapping[str, Callable[[Call, Values], Computed]] = {
    "join": joined,
    "upper": lambda node, values: Computed(values[0].upper()),
    "lower": lambda node, values: Computed(values[0].lower()),
    "trim": lambda node, values: Computed(values[0].strip()),
    "substr": cut,
    "replace": lambda node, values: Computed(values[0].replace(values[1], values[2])),
    "length": lambda node, values: Computed(values[0].length().cast(data_type(node.type))),
    "split": split,
    "contains": lambda node, values: Computed(values[0].contains(values[1])),
    "matches": lambda node, values: Computed(values[0].re_search(values[1])),
    "to_number": read_number,
    "to_date": read_date,
    "date_format": written_date,
    "as_date": lambda node, values: Computed(values[0].cast("date")),
    "to_datetime": lambda node, values: Computed(values[0].cast(dt.Timestamp())),
    "days_between": days_between,
    "year": _part("year"),
    "month": _part("month"),
    "day": _part("day"),
    "weekday": weekday,
}

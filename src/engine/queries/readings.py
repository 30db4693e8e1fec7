"""Texts as values, by the reading of their column, and values as the texts that come out."""

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from src.engine.reading.kinds import FALSE_WORDS, TRUE_WORDS
from src.engine.values import Column, ColumnType

EXACT = dt.Decimal(38, 18)
DATE_PARTS = "^([0-9]+)[./-]([0-9]+)[./-]([0-9]+)"
TO_ISO = {"dmy": r"\3-\2-\1", "mdy": r"\3-\1-\2"}
# A text with an apostrophe before such a sign gets another one, so that each can be taken off again.
STARTS_FORMULA = r"^'*[=+\-@\t\r]"
NUMBER = r"^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$"


def typed(text: ir.StringValue, reading: Column) -> ir.Value:
    """The value of a cell; null where it is empty, or not what its column's type says."""
    if reading.type in ("integer", "decimal"):
        return number(text, reading, dt.int64 if reading.type == "integer" else EXACT)
    if reading.type == "date":
        return moment(text, reading).date()
    if reading.type == "datetime":
        return moment(text, reading)
    return truth(text) if reading.type == "boolean" else text


def number(text: ir.StringValue, reading: Column, type_: dt.DataType) -> ir.NumericValue:
    """A number's value. Few have marks between thousands: where the mark is a point, they come second."""
    plain = plain_number(text, reading)
    if reading.decimal == ".":
        return ibis.coalesce(text.try_cast(type_), plain.try_cast(type_))
    return plain.try_cast(type_)


def plain_number(text: ir.StringValue, reading: Column) -> ir.StringValue:
    """A number's text with a point and without marks between thousands."""
    if reading.decimal == ",":
        return text.replace(".", "").replace(",", ".")
    return text.replace(",", "") if reading.decimal else text


def moment(text: ir.StringValue, reading: Column) -> ir.TimestampValue:
    """A date or time, in UTC if it has an offset. Few have blanks around them: trimming comes second."""
    return ibis.coalesce(_moment(text, reading), _moment(text.strip(), reading))


def _moment(text: ir.StringValue, reading: Column) -> ir.TimestampValue:
    order = reading.date_order or "ymd"
    if order in TO_ISO:
        return text.re_replace(DATE_PARTS, TO_ISO[order]).try_cast("timestamp")
    if reading.type == "date":
        return text.try_cast("timestamp")
    # a cast to a time without zone would drop an offset
    return text.try_cast(dt.Timestamp(timezone="UTC")).cast("timestamp")


def truth(text: ir.StringValue) -> ir.BooleanValue:
    """Whether it says yes; null if it says neither."""
    word = text.strip().lower()
    return ibis.cases((word.isin(TRUE_WORDS), True), (word.isin(FALSE_WORDS), False))


def as_text(value: ir.Value) -> ir.StringValue:
    """A value as it comes out: texts as they are, numbers as short as they can be written."""
    if isinstance(value, ir.StringValue):
        return value
    text = value.cast("string")
    if isinstance(value, ir.DecimalValue | ir.FloatingValue):
        return text.re_replace(r"\.0+$", "").re_replace(r"(\.[0-9]*[1-9])0+$", r"\1")
    return text


def harmless(text: ir.StringValue) -> ir.StringValue:
    """A text that a spreadsheet would take for a formula gets an apostrophe; numbers stay numbers."""
    # almost all texts start behind "@", or with a digit, and are through with a comparison or two
    is_odd = (text < "A") & ((text < "0") | (text >= ":"))
    is_formula = is_odd & text.re_search(STARTS_FORMULA) & ~text.re_search(NUMBER)
    return ibis.ifelse(is_formula, "'" + text, text)


def is_empty(text: ir.StringValue) -> ir.BooleanValue:
    """Whether there is nothing in a cell, or nothing but blanks."""
    return text.isnull() | ((text < "!") & (text.strip() == ""))


def reading_of(name: str, value: ir.Value) -> Column:
    """The column that a computed value makes."""
    return Column(name=name, type=_type_of(value.type()))


def _type_of(kind: dt.DataType) -> ColumnType:
    if kind.is_boolean():
        return "boolean"
    if kind.is_integer():
        return "integer"
    if kind.is_numeric():
        return "decimal"
    if kind.is_date():
        return "date"
    return "datetime" if kind.is_timestamp() else "text"

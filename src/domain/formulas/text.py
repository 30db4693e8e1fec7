"""Any value as the text that a report shows: numbers as short as they can be, days as in ISO 8601."""

from datetime import date, datetime
from decimal import Decimal

from src.domain.formulas.tree import Value


def text_of(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        written = f"{value:f}"
        written = written.rstrip("0").rstrip(".") if "." in written else written
        return "0" if written == "-0" else written
    if isinstance(value, float):
        written = repr(value).removesuffix(".0")
        return "0" if written == "-0" else written
    if isinstance(value, datetime):
        written = value.isoformat(sep=" ")
        return written.rstrip("0") if "." in written else written
    return value.isoformat() if isinstance(value, date) else value

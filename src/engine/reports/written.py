"""What a report's texts say: read as their column in the file was, so that each format has true values."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from src.engine.reading.kinds import FALSE_WORDS, TRUE_WORDS

Value = str | Decimal | bool | date | None
DATE_PARTS = re.compile(r"([0-9]+)[./-]([0-9]+)[./-]([0-9]+)[T ]*(.*)", re.DOTALL)
PLACES = {"ymd": (1, 2, 3), "dmy": (3, 2, 1), "mdy": (3, 1, 2)}


def value_of(text: str, column: Mapping[str, Any]) -> Value:
    """The value of a cell; None where it is empty, the text itself where it can't be read."""
    kind = column["type"]
    if kind == "text":
        return text
    word = text.strip()
    if word == "":
        return None
    if kind == "decimal":
        number = number_of(word, column.get("decimal"))
        return text if number is None else number
    if kind == "boolean":
        word = word.lower()
        return word in TRUE_WORDS if word in TRUE_WORDS + FALSE_WORDS else text
    moment = _moment(word, column.get("date_order") or "ymd")
    if moment is None:
        return text
    return moment.date() if kind == "date" else moment


def number_of(text: str, mark: str | None = None) -> Decimal | None:
    """A number; `mark` is what stands before its decimals, None where nothing stands between thousands."""
    if mark is not None:
        text = text.replace("," if mark == "." else ".", "").replace(mark, ".")
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _moment(text: str, order: str) -> datetime | None:
    """A date or time, in UTC if it has an offset."""
    found = DATE_PARTS.fullmatch(text)
    if found is None:
        return None
    year, month, day = (found[place] for place in PLACES[order])
    time = found[4].replace(" ", "").rjust(5, "0") if found[4] else "00:00"
    try:
        moment = datetime.fromisoformat(f"{year:0>4}-{month:0>2}-{day:0>2}T{time}")
    except ValueError:
        return None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment

"""A slow and simple profile of a table of texts, to compare the real one with."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

from src.engine.values import Bin, ColumnProfile, ColumnType, Count

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse(text: str) -> tuple[ColumnType, Any]:
    """What a person would take a text for."""
    if text.lower() in ("true", "false"):
        return "boolean", text
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", text):
        return "integer", Fraction(int(text))
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,17})[.][0-9]+", text):
        return "decimal", Fraction(text)
    for kind, read in (("date", date.fromisoformat), ("datetime", datetime.fromisoformat)):
        try:
            return kind, read(text)  # type: ignore[return-value] # the loop's literals are column types
        except ValueError:
            continue
    return "text", text


def column_type(values: Sequence[str]) -> ColumnType:
    kinds = {parse(value)[0] for value in values}
    for wide, narrow in (("decimal", "integer"), ("datetime", "date")):
        if wide in kinds and kinds <= {wide, narrow}:
            kinds = {wide}
    return kinds.pop() if len(kinds) == 1 else "text"


def profile(name: str, cells: Sequence[str]) -> ColumnProfile:
    values = [cell for cell in cells if cell.strip(" \t\r\n")]
    kind = column_type([value.strip(" \t\r\n") for value in values]) if values else "text"
    counts = Counter(values)
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]
    facts = {"text": _text, "boolean": _text, "date": _day, "datetime": _moment}.get(kind, _number)
    return ColumnProfile(
        name=name,
        type=kind,
        empty=len(cells) - len(values),
        distinct=len(counts),
        top=tuple(Count(value=value, count=count) for value, count in top),
        **(facts(values) if values else {}),
    )


def _text(values: Sequence[str]) -> dict[str, Any]:
    return {"min": min(values), "max": max(values)}


def _number(values: Sequence[str]) -> dict[str, Any]:
    ordered = sorted((parse(value.strip())[1], value) for value in values)
    mean = float(sum(number for number, _ in ordered) / len(ordered))
    bars = _bars([float(number) for number, _ in ordered], _plain)
    return {
        "min": ordered[0][1].strip(),
        "max": ordered[-1][1].strip(),
        "mean": _plain(mean),
        "histogram": bars,
        "places": max(len(value.strip().partition(".")[2]) for value in values),
    }


def _day(values: Sequence[str]) -> dict[str, Any]:
    days = sorted(parse(value.strip())[1] for value in values)
    seconds = [(day - date(1970, 1, 1)) / timedelta(seconds=1) for day in days]
    return {"min": str(days[0]), "max": str(days[-1]), "histogram": _bars(seconds, _clock)}


def _moment(values: Sequence[str]) -> dict[str, Any]:
    moments = sorted(datetime.fromisoformat(value.strip()).replace(tzinfo=UTC) for value in values)
    seconds = [(moment - EPOCH) / timedelta(seconds=1) for moment in moments]
    least, greatest = (str(moment.replace(tzinfo=None)) for moment in (moments[0], moments[-1]))
    return {"min": least, "max": greatest, "histogram": _bars(seconds, _clock)}


def _bars(values: Sequence[float], show: Callable[[float], str]) -> tuple[Bin, ...]:
    low, high = values[0], values[-1]
    span = high / 2 - low / 2
    bars = 20 if span else 1
    counts = Counter(min(bars - 1, int((value / 2 - low / 2) / (span or 1) * bars)) for value in values)
    edges = [2 * (low / 2 + span * bar / bars) for bar in range(bars)] + [high]
    return tuple(
        Bin(low=show(edges[bar]), high=show(edges[bar + 1]), count=counts[bar]) for bar in range(bars)
    )


def _plain(number: float) -> str:
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _clock(seconds: float) -> str:
    return (EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat(" ", "seconds")

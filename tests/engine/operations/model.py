"""What each step means, said as plainly as Python can: lists of texts, one row after the other."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

Row = dict[str, str]


@dataclass(frozen=True)
class Table:
    """Rows of texts, and what the columns' types make of them; a missing cell is an empty text here."""

    rows: list[Row]
    types: Mapping[str, str]

    def value(self, row: Row, name: str) -> Any:
        return valued(row[name], self.types[name])


def valued(text: str, type_: str) -> Any:
    """None where there is nothing."""
    if not text.strip():
        return None
    if type_ in ("integer", "decimal"):
        return Decimal(text.strip())
    return datetime.fromisoformat(text.strip()).date() if type_ == "date" else text


def shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value)


def passes(table: Table, row: Row, one: Mapping[str, Any]) -> bool:
    text, value, operator = row[one["column"]], table.value(row, one["column"]), one["operator"]
    given: Any = one.get("value")
    type_ = table.types[one["column"]]
    is_empty = not text.strip()
    if operator in ("is_empty", "not_empty"):
        return is_empty == (operator == "is_empty")
    if is_empty:
        return operator in ("!=", "not_contains")
    if operator in ("in", "between"):
        values = [valued(str(each), type_) for each in given]
        return value in values if operator == "in" else values[0] <= value <= values[1]
    texts = {
        "contains": lambda: given in text,
        "not_contains": lambda: given not in text,
        "starts_with": lambda: text.startswith(given),
        "ends_with": lambda: text.endswith(given),
        "regex": lambda: re.search(given, text) is not None,
    }
    if operator in texts:
        return texts[operator]()
    bound = valued(str(given), type_)
    return {
        ">": lambda: value > bound,
        ">=": lambda: value >= bound,
        "<": lambda: value < bound,
        "<=": lambda: value <= bound,
        "==": lambda: value == bound,
        "!=": lambda: value != bound,
    }[operator]()


def filtered(table: Table, step: Mapping[str, Any]) -> list[Row]:
    judge = all if step["match"] == "all" else any
    return [row for row in table.rows if judge(passes(table, row, one) for one in step["filters"])]


def deduplicated(rows: Sequence[Row], names: Sequence[str], *, is_last: bool = False) -> list[Row]:
    kept: dict[tuple[str, ...], int] = {}
    for place, row in enumerate(rows):
        key = tuple(row[name] for name in names)
        if is_last or key not in kept:
            kept[key] = place
    return [rows[place] for place in sorted(kept.values())]


def sorted_rows(table: Table, by: Sequence[Mapping[str, Any]]) -> list[Row]:
    rows = list(table.rows)
    for key in reversed(by):
        there = [row for row in rows if table.value(row, key["column"]) is not None]
        rest = [row for row in rows if table.value(row, key["column"]) is None]
        there.sort(key=lambda row: table.value(row, key["column"]), reverse=key["descending"])
        if key["descending"]:  # ties keep their order
            there = _stable(table, there, key["column"])
        rows = there + rest
    return rows


def _stable(table: Table, rows: list[Row], name: str) -> list[Row]:
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(table.value(row, name), []).append(row)
    return [row for group in groups.values() for row in group]


def aggregated(table: Table, by: Sequence[str], values: Sequence[Mapping[str, Any]]) -> list[Row]:
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in table.rows:
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    return [
        dict(zip(by, key, strict=True)) | {one["name"]: _figure(table, rows, one) for one in values}
        for key, rows in groups.items()
    ]


def _figure(table: Table, rows: list[Row], one: Mapping[str, Any]) -> str:
    if one.get("column") is None:
        return str(len(rows))
    found = [value for row in rows if (value := table.value(row, one["column"])) is not None]
    if one["function"] == "count":
        return str(len(found))
    if one["function"] == "count_distinct":
        return str(len(set(found)))
    if not found:
        return ""
    functions: dict[str, Any] = {"sum": sum, "min": min, "max": max}
    return shown(functions[one["function"]](found))


def joined(left: Sequence[Row], right: Sequence[Row], on: Mapping[str, str], how: str) -> list[Row]:
    names = [name for name in right[0] if name not in on.values()] if right else []
    called = {name: name if name not in left[0] else f"{name}_2" for name in names}
    out = []
    for row in left:
        matches = [
            other
            for other in right
            if all(row[mine] and row[mine] == other[theirs] for mine, theirs in on.items())
        ]
        if not matches and how == "left":
            matches = [dict.fromkeys(names, "")]
        out += [{**row, **{called[name]: match[name] for name in names}} for match in matches]
    return out

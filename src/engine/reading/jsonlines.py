"""JSON lines as rows of texts: numbers keep the digits they are written with, what is nested stays JSON."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn, TextIO

from src.engine.reading.records import GiantLine, check_width
from src.engine.values import BrokenFile

ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class Number(str):
    """A number as it was written."""

    __slots__ = ()


def read_objects(
    text: TextIO, longest: int, *, is_strict: bool = True
) -> Iterator[tuple[int, dict[str, str]]]:
    """Each object with its line, its values as texts; null is empty, blank lines are left out.

    Not strict, lines that are no objects are left out as well.
    """
    number = 0
    while line := text.readline(longest + 1):
        number += 1
        if len(line) > longest:
            raise GiantLine(f"Line {number} is longer than {longest // 1024} KiB.")
        if line.isspace():
            continue
        try:
            values = _texts(line, number)
        except BrokenFile:
            if is_strict:
                raise
        else:
            yield number, values


def column_names(objects: Iterable[tuple[int, dict[str, str]]], allowed: int) -> list[str]:
    """The names of all objects, in the order in which they first occur."""
    names: dict[str, None] = {}
    for _, values in objects:
        names.update(dict.fromkeys(values))
        check_width(len(names), allowed)
    return list(names)


def as_text(value: Any) -> str:
    """A value as the text of a cell."""
    if value is None:
        return ""
    return str(value) if isinstance(value, str) else _dump(value)


def parse(line: str) -> Any:
    """The value on a line; a ValueError says why there is none."""
    return json.loads(
        line, parse_float=Number, parse_int=Number, parse_constant=_refuse, object_pairs_hook=_distinct
    )


def _texts(line: str, number: int) -> dict[str, str]:
    try:
        value = parse(line)
        if not isinstance(value, dict):
            raise BrokenFile(f"Line {number} is not a JSON object.")
        if "\\u" in line:
            _check_characters(line, value)
        return {name: as_text(item) for name, item in value.items()}
    except json.JSONDecodeError as error:
        raise BrokenFile(
            f"Line {number} is not valid JSON: {error.msg}, at character {error.colno}."
        ) from error
    except RecursionError as error:
        raise BrokenFile(f"Line {number} is nested too deeply.") from error
    except ValueError as error:
        raise BrokenFile(f"Line {number} is not valid JSON: {error}.") from error


def _check_characters(line: str, value: dict[str, Any]) -> None:
    """Escapes can spell what no text can hold."""
    if ESCAPED_NUL.search(line):
        raise ValueError("there is a NUL character")
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("there is half a character (a lone surrogate)") from error


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key occurs twice")
    return values


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _dump(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_dump(name)}: {_dump(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_dump, value)) + "]"
    return str(value) if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)

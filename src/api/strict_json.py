"""JSON by orjson: fast, and strict about what comes in, so that nobody's request is guessed at."""

import json
from typing import Any

import orjson
from flask.json.provider import JSONProvider


class StrictJson(JSONProvider):
    """Answers have UTC times with a Z. Requests have no NaN, no lone surrogates, no key twice."""

    def dumps(self, obj: object, **_: object) -> str:
        return orjson.dumps(obj, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS).decode()

    def loads(self, s: str | bytes, **_: object) -> object:
        """Raise ValueError for whatever orjson refuses, and for two things that it lets pass."""
        value: object = orjson.loads(s)
        try:
            orjson.dumps(value)  # it reads deeper than it writes
        except TypeError as error:
            raise ValueError("nested too deeply") from error
        colon = b":" if isinstance(s, bytes) else ":"
        if s.count(colon) != _members(value):  # type: ignore[arg-type]  # both are of one kind
            json.loads(s, object_pairs_hook=_without_twins)
        return value


def _members(value: object) -> int:
    """How many members there are. Each was written with a colon: no more of those, and none came twice."""
    if isinstance(value, dict):
        return len(value) + sum(_members(inner) for inner in value.values() if isinstance(inner, dict | list))
    if isinstance(value, list):
        return sum(_members(inner) for inner in value if isinstance(inner, dict | list))
    return 0


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("the same key twice")
    return members

"""The schema base: unknown fields are refused, and so is the one character that PostgreSQL cannot keep."""

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
import orjson

NUL = "\x00"


class Schema(ma.Schema):
    class Meta:
        unknown = ma.RAISE

    @ma.pre_load
    def refuse_nul(self, data: Any, **_: Any) -> Any:
        """Text with U+0000 would only fail later, in the database, as an error of ours."""
        members = data.items() if isinstance(data, Mapping) else ()
        faulty = [name for name, value in members if _has_nul(value)]
        if faulty:
            raise ma.ValidationError({name: ["The character U+0000 is not allowed."] for name in faulty})
        return data


def decoded(data: Any, *names: str) -> Any:
    """In a form, these members are JSON texts. What is no object at all is left for the schema to refuse."""
    if not isinstance(data, Mapping):
        return data
    members = dict(data)
    for name in names:
        if isinstance(members.get(name), str):
            try:
                members[name] = orjson.loads(members[name])
            except orjson.JSONDecodeError as error:
                raise ma.ValidationError({name: ["This is not valid JSON."]}) from error
    return members


def _has_nul(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_nul(name) or _has_nul(inner) for name, inner in value.items())
    return any(map(_has_nul, value)) if isinstance(value, list) else isinstance(value, str) and NUL in value

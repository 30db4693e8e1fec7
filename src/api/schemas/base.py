"""The schema base: unknown fields are refused, and so is the one character that PostgreSQL cannot keep."""

from collections.abc import Mapping
from typing import Any

import marshmallow as ma

NUL = "\x00"


class Schema(ma.Schema):
    class Meta:
        unknown = ma.RAISE

    @ma.pre_load
    def refuse_nul(self, data: Any, **_: Any) -> Any:
        """Text with U+0000 would only fail later, in the database, as an error of ours."""
        members = data.items() if isinstance(data, Mapping) else ()
        faulty = [name for name, value in members if isinstance(value, str) and NUL in value]
        if faulty:
            raise ma.ValidationError({name: ["The character U+0000 is not allowed."] for name in faulty})
        return data

"""Reads a binary COPY stream back, as PostgreSQL would."""

import struct
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

HEAD = b"PGCOPY\n\xff\r\n\x00" + bytes(8)


def rows_in(content: bytes, kinds: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Each row; a kind is int, date or ints."""
    assert content.startswith(HEAD)
    at = len(HEAD)
    while (fields := struct.unpack_from(">h", content, at)[0]) != -1:
        assert fields == len(kinds)
        at += 2
        row = []
        for kind in kinds:
            (size,) = struct.unpack_from(">i", content, at)
            row.append(_value(kind, content[at + 4 : at + 4 + size]))
            at += 4 + size
        yield tuple(row)
    assert at + 2 == len(content)


def _value(kind: str, raw: bytes) -> Any:
    if kind == "ints":
        dimensions, has_nulls, _, size, first = struct.unpack_from(">iiIii", raw)
        assert (dimensions, has_nulls, first) == (1, 0, 1)
        return [struct.unpack_from(">i", raw, 24 + 8 * place)[0] for place in range(size)]
    number = int.from_bytes(raw, "big", signed=True)
    return date(2000, 1, 1) + timedelta(days=number) if kind == "date" else number

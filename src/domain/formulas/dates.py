"""The forms of dates in to_date and date_format: yyyy, mm, dd, hh, mi, ss, and marks between them."""

import re

PARTS = {"yyyy": 4, "mm": 2, "dd": 2, "hh": 2, "mi": 2, "ss": 2}
_PIECE = re.compile("yyyy|mm|dd|hh|mi|ss|[-/. :,_T]")


def read_pattern(pattern: str) -> tuple[str, ...]:
    """The pieces of a form, parts and marks; none if it holds anything else, or nothing."""
    pieces = _PIECE.findall(pattern)
    return tuple(pieces) if "".join(pieces) == pattern and set(pieces) & set(PARTS) else ()

"""Patterns from strangers: matched in linear time by the engine (RE2), and looked at before."""

import re2

from src.domain.errors import Invalid

MOST_MEMORY = 1 << 20


class BadRegex(Invalid):
    slug = "bad-regex"
    title = "The pattern cannot be used"


def check_pattern(pattern: str) -> None:
    """Raise unless the engine can match it."""
    fault = fault_of(pattern)
    if fault is not None:
        raise BadRegex(f"{pattern[:100]!r} is no pattern: {fault}.")


def fault_of(pattern: str) -> str | None:
    """Why the engine cannot match it, in the first line of its own words; None if it can."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MOST_MEMORY
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        return text.splitlines()[0][:200] if text else "bad"
    return None

"""Ranges in requests: one that ends before it begins is a mistake, which an empty answer would hide."""

from typing import Any

from src.domain.errors import FieldError, Invalid


def check_range(first: Any, last: Any, end: str) -> None:
    """Raise when both are given and out of order; `end` is the name of the second member."""
    if first is not None and last is not None and first > last:
        message = "The range ends before it begins."
        raise Invalid(message, errors=[FieldError(f"/{end}", "bad_range", message)])

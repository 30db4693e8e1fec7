"""What can be wrong with a step, once it meets the columns of a file."""

from collections.abc import Iterable

from src.domain.errors import FieldError, Invalid
from src.domain.formulas import nearest


class UnknownColumn(Invalid):
    slug = "unknown-column"
    title = "There is no such column"


class UnreadableValue(Invalid):
    slug = "unreadable-value"
    title = "The value is not what the column holds"


class DuplicateName(Invalid):
    slug = "duplicate-name"
    title = "Two columns would have the same name"


def unknown_columns(pointers: Iterable[tuple[str, str]], known: list[str]) -> UnknownColumn:
    """All names that are missing at once, each with those that may have been meant."""
    errors, named = [], []
    for pointer, name in pointers:
        likely = nearest(name, known)
        meant = f" Did you mean {' or '.join(map(repr, likely))}?" if likely else ""
        errors.append(FieldError(pointer, "unknown_column", f"There is no column {name!r}.{meant}"))
        named.append({"name": name, "nearest": likely})
    return UnknownColumn(errors[0].message, errors=errors, missing=named)

"""Pages of a list: by cursor (any depth at one cost) or by number, in an order that clients choose."""

import base64
import binascii
import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, Self, TypeVar
from uuid import UUID

from src.domain.errors import FieldError, Invalid

Row = TypeVar("Row")

DEFAULT_PER_PAGE = 10
MOST_PER_PAGE = 500
DEEPEST_OFFSET = 100_000


class BadCursor(Invalid):
    slug = "bad-cursor"
    title = "This is not a cursor that we gave out"


class BadOrder(Invalid):
    slug = "bad-order"
    title = "The list cannot be ordered like that"


class TooDeep(Invalid):
    slug = "page-too-deep"
    title = "That page is too deep; follow the next links instead"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The row a page starts behind (or ends before): its ordering value and its id."""

    order_by: str
    value: Any
    id: Any
    is_backward: bool = False

    def encode(self) -> str:
        parts = [self.order_by, _pack(self.value), _pack(self.id), self.is_backward]
        return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Self:
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            order_by, value, id_, is_backward = json.loads(raw)
            return cls(str(order_by), _unpack(value), _unpack(id_), bool(is_backward))
        except (binascii.Error, ValueError, TypeError, AttributeError, RecursionError) as error:
            message = "Use the next and prev links as they come."
            raise BadCursor(message, errors=[FieldError("/cursor", "bad_cursor", message)]) from error


@dataclass(frozen=True, slots=True)
class PageQuery:
    """Which page of a list is wanted."""

    order_by: str = "-id"
    per_page: int = DEFAULT_PER_PAGE
    page: int | None = None
    cursor: Cursor | None = None

    @property
    def column(self) -> str:
        return self.order_by.removeprefix("-")

    @property
    def is_descending(self) -> bool:
        return self.order_by.startswith("-")

    def at(self, place: "Cursor | int") -> Self:
        """The same list, at another cursor or page."""
        if isinstance(place, Cursor):
            return replace(self, page=None, cursor=place)
        return replace(self, page=place, cursor=None)

    @property
    def is_read_descending(self) -> bool:
        """Backwards from a cursor, the order is the other way round."""
        return self.is_descending != (self.cursor is not None and self.cursor.is_backward)

    @property
    def offset(self) -> int:
        offset = ((self.page or 1) - 1) * self.per_page
        if offset > DEEPEST_OFFSET:
            raise TooDeep(f"By number, pages reach the first {DEEPEST_OFFSET} rows.")
        return offset

    def check_order(self, allowed: tuple[str, ...]) -> None:
        """Raise BadOrder, naming what is allowed, unless the list can be ordered like that."""
        if self.column in allowed and (self.cursor is None or self.cursor.order_by == self.order_by):
            return
        names = ", ".join(name for column in allowed for name in (column, f"-{column}"))
        message = f"Allowed are: {names}."
        raise BadOrder(message, errors=[FieldError("/order_by", "bad_order", message)])


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows of one page, and where its neighbours begin: at a cursor, or, in some orders, at a page number."""

    rows: list[Row]
    next: Cursor | int | None = None
    prev: Cursor | int | None = None


def _pack(value: object) -> list[Any]:
    if isinstance(value, UUID):
        return ["uuid", str(value)]
    if isinstance(value, datetime):
        return ["time", value.isoformat()]
    return ["plain", value]


def _unpack(packed: list[Any]) -> object:
    kind, value = packed
    match kind:
        case "uuid":
            return UUID(value)
        case "time":
            return datetime.fromisoformat(value)
        case "plain" if isinstance(value, str) and "\x00" not in value:
            value.encode()  # lone surrogates come through JSON, but not into a database
            return value
        case "plain" if value is None or (isinstance(value, int) and -(2**63) <= value < 2**63):
            return value
        case _:
            raise ValueError(kind)

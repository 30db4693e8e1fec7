"""What every repository has: get, find, add and one page of a list."""

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, select, true, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from src.domain.errors import NotFound
from src.domain.paging import BadCursor, Cursor, Page, PageQuery
from src.models import Base

M = TypeVar("M", bound=Base)


class Repository(Generic[M]):
    model: type[M]
    orderings: ClassVar[dict[str, InstrumentedAttribute[Any]]] = {}
    numbered: ClassVar[dict[str, InstrumentedAttribute[Any]]] = {}  # orders without an index: by page number
    missing: ClassVar[type[NotFound]] = NotFound

    def __init__(self, session: Session) -> None:
        self.session = session

    @property
    def tie(self) -> InstrumentedAttribute[Any]:
        """What orders rows that are equal otherwise."""
        return self.orderings["id"]

    def find(self, id_: Any) -> M | None:
        """The row of this id; None also where there is no id, as what pointed to it may be gone."""
        return None if id_ is None else self.session.get(self.model, id_)

    def get(self, id_: Any) -> M:
        found = self.find(id_)
        if found is None:
            raise self.missing
        return found

    def add(self, row: M) -> M:
        """Add and flush, so that constraints speak up here and server defaults are known."""
        self.session.add(row)
        self.session.flush()
        self.session.refresh(row)
        return row

    def page(self, query: PageQuery, *conditions: ColumnElement[bool]) -> Page[M]:
        """One page, one statement: one row more than asked tells whether there is a next page.

        It takes a second one where the rows without a value begin in the middle of the page.
        """
        query.check_order((*self.orderings, *self.numbered))
        rows: list[M] = []
        for place in self._places(query):
            if wanted := query.per_page + 1 - len(rows):
                rows += self.session.scalars(self._statement(query, (*conditions, place)).limit(wanted))
        has_more = len(rows) > query.per_page
        rows = rows[: query.per_page]
        is_backward = query.cursor is not None and query.cursor.is_backward
        if is_backward:
            rows.reverse()
        is_inside = query.cursor is not None or (query.page or 1) > 1
        has_next, has_prev = (is_inside, has_more) if is_backward else (has_more, is_inside)
        return Page(
            rows,
            next=self._neighbour(query, rows[-1], is_backward=False) if rows and has_next else None,
            prev=self._neighbour(query, rows[0], is_backward=True) if rows and has_prev else None,
        )

    def _select(self) -> Select[Any]:
        return select(self.model)

    def _statement(self, query: PageQuery, conditions: tuple[ColumnElement[bool], ...]) -> Select[Any]:
        column, tie = (self.orderings | self.numbered)[query.column], self.tie
        direction = "desc" if query.is_read_descending else "asc"
        statement = self._select().where(*conditions).limit(query.per_page + 1)
        statement = statement.order_by(getattr(column, direction)(), getattr(tie, direction)())
        return statement if query.cursor else statement.offset(query.offset)

    def _places(self, query: PageQuery) -> list[ColumnElement[bool]]:
        """Which rows can be on the page, in the order in which they are read; in PostgreSQL, rows without a
        value come behind all others, and descending before them."""
        cursor, is_descending = query.cursor, query.is_read_descending
        if cursor is None:
            return [true()]
        column, tie = self.orderings.get(query.column), self.tie
        if column is None or not (_fits(column, cursor.value) and _fits(tie, cursor.id)):
            raise BadCursor("It belongs to another list. Use the next and prev links as they come.")
        if cursor.value is None:
            rest = column.is_(None) & (tie < cursor.id if is_descending else tie > cursor.id)
            return [rest, column.is_not(None)] if is_descending else [rest]
        if column is tie:  # one comparison: with many partitions, each costs as much as reading the page
            return [tie < cursor.id if is_descending else tie > cursor.id]
        place, here = tuple_(column, tie), tuple_(*(cursor.value, cursor.id))
        if is_descending:
            return [place < here]
        return [place > here, column.is_(None)] if _is_nullable(column) else [place > here]

    def _neighbour(self, query: PageQuery, row: M, *, is_backward: bool) -> Cursor | int:
        if query.column in self.numbered:
            return (query.page or 1) + (-1 if is_backward else 1)
        value = getattr(row, self.orderings[query.column].key)
        return Cursor(query.order_by, value, getattr(row, self.tie.key), is_backward)


def equal(wanted: Mapping[InstrumentedAttribute[Any], Any]) -> list[ColumnElement[bool]]:
    """The conditions of a filter: what is None was not asked for."""
    return [column == value for column, value in wanted.items() if value is not None]


def _is_nullable(column: InstrumentedAttribute[Any]) -> bool:
    return bool(column.property.columns[0].nullable)


def _fits(column: InstrumentedAttribute[Any], value: object) -> bool:
    """Whether a row of this list can have the value that a cursor claims."""
    if value is None:
        return _is_nullable(column)
    return type(value) is column.type.python_type

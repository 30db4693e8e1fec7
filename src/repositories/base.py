"""What every repository has: get, find, add and one page of a list."""

from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from src.domain.errors import NotFound
from src.domain.paging import BadCursor, Cursor, Page, PageQuery
from src.models import Base

M = TypeVar("M", bound=Base)


class Repository(Generic[M]):
    model: type[M]
    orderings: ClassVar[dict[str, InstrumentedAttribute[Any]]] = {}
    missing: ClassVar[type[NotFound]] = NotFound

    def __init__(self, session: Session) -> None:
        self.session = session

    def find(self, id_: Any) -> M | None:
        return self.session.get(self.model, id_)

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
        """One page, one statement: one row more than asked tells whether there is a next page."""
        query.check_order(tuple(self.orderings))
        rows = list(self.session.scalars(self._statement(query, conditions)))
        has_more = len(rows) > query.per_page
        rows = rows[: query.per_page]
        is_backward = query.cursor is not None and query.cursor.is_backward
        if is_backward:
            rows.reverse()
        is_inside = query.cursor is not None or (query.page or 1) > 1
        has_next, has_prev = (is_inside, has_more) if is_backward else (has_more, is_inside)
        return Page(
            rows,
            next=self._cursor(query, rows[-1], is_backward=False) if rows and has_next else None,
            prev=self._cursor(query, rows[0], is_backward=True) if rows and has_prev else None,
        )

    def _statement(self, query: PageQuery, conditions: tuple[ColumnElement[bool], ...]) -> Select[M]:
        column, tie = self.orderings[query.column], self.orderings["id"]
        cursor = query.cursor
        is_descending = query.is_descending != (cursor is not None and cursor.is_backward)
        direction = "desc" if is_descending else "asc"
        statement = select(self.model).where(*conditions).limit(query.per_page + 1)
        statement = statement.order_by(getattr(column, direction)(), getattr(tie, direction)())
        if cursor is None:
            return statement.offset(query.offset)
        for attribute, value in ((column, cursor.value), (tie, cursor.id)):
            if type(value) is not attribute.type.python_type:
                raise BadCursor("It belongs to another list. Use the next and prev links as they come.")
        place, here = tuple_(column, tie), tuple_(*(cursor.value, cursor.id))
        return statement.where(place < here if is_descending else place > here)

    def _cursor(self, query: PageQuery, row: M, *, is_backward: bool) -> Cursor:
        value = getattr(row, self.orderings[query.column].key)
        return Cursor(query.order_by, value, getattr(row, self.orderings["id"].key), is_backward)

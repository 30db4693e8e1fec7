"""Events, as lists show them: of all clients or of one, in the order of t."""

from collections.abc import Callable
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Select, not_, select
from sqlalchemy.orm import InstrumentedAttribute, joinedload

from src.domain.events import Ordering
from src.domain.paging import Page, PageQuery
from src.models import Client, Event
from src.repositories.base import Repository

CONDITIONS: dict[str, Callable[[Any], ColumnElement[bool]]] = {
    "from_t": lambda t: Event.t >= t,
    "to_t": lambda t: Event.t <= t,
    "type": lambda type_: Event.type == type_,
    "client": lambda external_id: (
        Event.client_id == select(Client.id).where(Client.external_id == external_id).scalar_subquery()
    ),
    "import_id": lambda import_id: Event.import_id == import_id,
}


class EventRepository(Repository[Event]):
    model = Event
    orderings: ClassVar = {"t": Event.t}

    def search(self, query: PageQuery, ordering: Ordering, **filters: Any) -> Page[Event]:
        """One page with the clients, in one statement."""
        # All rows are of this ordering; saying so lets an index be used.
        conditions: list[ColumnElement[bool]] = [
            Event.is_global.expression if ordering is Ordering.GLOBAL else not_(Event.is_global)
        ]
        conditions += [CONDITIONS[name](value) for name, value in filters.items() if value is not None]
        return self.page(query, *conditions)

    @property
    def tie(self) -> InstrumentedAttribute[Any]:
        return Event.client_id

    def _select(self) -> Select[Any]:
        return super()._select().options(joinedload(Event.client))

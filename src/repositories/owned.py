"""What is private to an account: for others it is not there, and where an owner is asked for, None stands for
«anyone's», as admins see it."""

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute

from src.domain.paging import Page, PageQuery
from src.repositories.base import M, Repository, equal


class OwnedRepository(Repository[M]):
    owner: ClassVar[str] = "owner_id"

    def get_own(self, id_: UUID, owner_id: UUID | None, *, is_locked: bool = False) -> M:
        """The row as it is now, when this owner has it; locked, who wants to change it, too, waits."""
        if is_locked:  # others may still point to it
            lock = select(self.tie).where(self.tie == id_).with_for_update(key_share=True)
            self.session.execute(lock)  # by itself: after a wait, rows joined to it would be those of before
        statement = self._select().where(self.tie == id_).execution_options(populate_existing=True)
        found: M | None = self.session.scalar(statement)
        if found is None or (owner_id is not None and getattr(found, self.owner) != owner_id):
            raise self.missing
        return found

    def own_page(
        self,
        query: PageQuery,
        owner_id: UUID | None,
        wanted: Mapping[InstrumentedAttribute[Any], Any] | None = None,
        *conditions: ColumnElement[bool],
    ) -> Page[M]:
        """One page of what this owner has, of those equal to the wanted values that are not None."""
        owner = getattr(self.model, self.owner)
        return self.page(query, *equal({owner: owner_id, **(wanted or {})}), *conditions)

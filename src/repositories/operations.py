"""Operations: seen by their owner and by admins only, each with the job that works on it."""

from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Select
from sqlalchemy.orm import joinedload

from src.domain.errors import NotFound
from src.domain.paging import Page, PageQuery
from src.models import Operation
from src.repositories.owned import OwnedRepository


class OperationNotFound(NotFound):
    slug = "operation-not-found"
    title = "There is no such operation, or it is not yours"


class OperationRepository(OwnedRepository[Operation]):
    model = Operation
    orderings: ClassVar = {"id": Operation.id, "created_at": Operation.created_at}
    missing = OperationNotFound

    def search(self, query: PageQuery, *, owner_id: UUID | None, file_id: UUID | None) -> Page[Operation]:
        return self.own_page(query, owner_id, {Operation.file_id: file_id})

    def _select(self) -> Select[Any]:
        return super()._select().options(joinedload(Operation.job))

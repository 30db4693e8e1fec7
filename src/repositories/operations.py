"""Operations: seen by their owner and by admins only, each with the job that works on it."""

from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from src.domain.errors import NotFound
from src.domain.paging import Page, PageQuery
from src.models import Operation
from src.repositories.base import Repository


class OperationNotFound(NotFound):
    slug = "operation-not-found"
    title = "There is no such operation, or it is not yours"


class OperationRepository(Repository[Operation]):
    model = Operation
    orderings: ClassVar = {"id": Operation.id, "created_at": Operation.created_at}
    missing = OperationNotFound

    def get_own(self, id_: UUID, owner_id: UUID | None) -> Operation:
        """The operation with its job, when this owner has it; None stands for «anyone's», for admins."""
        found: Operation | None = self.session.scalar(self._select().where(Operation.id == id_))
        if found is None or (owner_id is not None and found.owner_id != owner_id):
            raise OperationNotFound
        return found

    def search(self, query: PageQuery, *, owner_id: UUID | None, file_id: UUID | None) -> Page[Operation]:
        conditions = []
        if owner_id is not None:
            conditions.append(Operation.owner_id == owner_id)
        if file_id is not None:
            conditions.append(Operation.file_id == file_id)
        return self.page(query, *conditions)

    def _select(self) -> Select[Any]:
        return select(Operation).options(joinedload(Operation.job)).execution_options(populate_existing=True)

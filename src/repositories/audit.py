"""The audit trail: lines are added and read, never changed."""

from typing import ClassVar
from uuid import UUID

from src.domain.paging import Page, PageQuery
from src.models import AuditEntry
from src.repositories.base import Repository


class AuditRepository(Repository[AuditEntry]):
    model = AuditEntry
    orderings: ClassVar = {"id": AuditEntry.id}

    def search(
        self, query: PageQuery, *, account_id: UUID | None, action: str | None, object_id: str | None
    ) -> Page[AuditEntry]:
        conditions = []
        if account_id is not None:
            conditions.append(AuditEntry.account_id == account_id)
        if action is not None:
            conditions.append(AuditEntry.action == action)
        if object_id is not None:
            conditions.append(AuditEntry.object_id == object_id)
        return self.page(query, *conditions)

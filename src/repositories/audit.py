"""The audit trail: lines are added and read, never changed."""

from typing import ClassVar
from uuid import UUID

from src.domain.paging import Page, PageQuery
from src.models import AuditEntry
from src.repositories.base import Repository, equal


class AuditRepository(Repository[AuditEntry]):
    model = AuditEntry
    orderings: ClassVar = {"id": AuditEntry.id}

    def search(
        self, query: PageQuery, *, account_id: UUID | None, action: str | None, object_id: str | None
    ) -> Page[AuditEntry]:
        wanted = {
            AuditEntry.account_id: account_id,
            AuditEntry.action: action,
            AuditEntry.object_id: object_id,
        }
        return self.page(query, *equal(wanted))

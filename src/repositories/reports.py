"""Reports: seen by their owner and by admins only, each with the job that makes it."""

from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Select
from sqlalchemy.orm import joinedload

from src.domain.errors import NotFound
from src.domain.paging import Page, PageQuery
from src.models import Report
from src.repositories.owned import OwnedRepository


class ReportNotFound(NotFound):
    slug = "report-not-found"
    title = "There is no such report, or it is not yours"


class ReportRepository(OwnedRepository[Report]):
    model = Report
    orderings: ClassVar = {"id": Report.id, "created_at": Report.created_at}
    missing = ReportNotFound

    def search(self, query: PageQuery, *, owner_id: UUID | None, rules_id: UUID | None) -> Page[Report]:
        return self.own_page(query, owner_id, {Report.rules_id: rules_id})

    def _select(self) -> Select[Any]:
        return super()._select().options(joinedload(Report.job))

"""Reports: seen by their owner and by admins only, each with the job that makes it."""

from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import joinedload

from src.domain.errors import NotFound
from src.domain.paging import Page, PageQuery
from src.models import Report
from src.repositories.base import Repository


class ReportNotFound(NotFound):
    slug = "report-not-found"
    title = "There is no such report, or it is not yours"


class ReportRepository(Repository[Report]):
    model = Report
    orderings: ClassVar = {"id": Report.id, "created_at": Report.created_at}
    missing = ReportNotFound

    def get_own(self, id_: UUID, owner_id: UUID | None) -> Report:
        """The report with its job, when this owner has it; None stands for «anyone's», for admins."""
        found: Report | None = self.session.scalar(self._select().where(Report.id == id_))
        if found is None or (owner_id is not None and found.owner_id != owner_id):
            raise ReportNotFound
        return found

    def search(self, query: PageQuery, *, owner_id: UUID | None, rules_id: UUID | None) -> Page[Report]:
        conditions: list[ColumnElement[bool]] = []
        if owner_id is not None:
            conditions.append(Report.owner_id == owner_id)
        if rules_id is not None:
            conditions.append(Report.rules_id == rules_id)
        return self.page(query, *conditions)

    def _select(self) -> Select[Any]:
        return select(Report).options(joinedload(Report.job))

"""Imports: seen by their owner and by admins only, each with the job that works on it."""

from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Select, func, select, text
from sqlalchemy.orm import joinedload

from src.domain.errors import NotFound
from src.domain.paging import Page, PageQuery
from src.models import Import
from src.repositories.base import Repository

LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:fingerprint, 0))")


class ImportNotFound(NotFound):
    slug = "import-not-found"
    title = "There is no such import, or it is not yours"


class ImportRepository(Repository[Import]):
    model = Import
    orderings: ClassVar = {"id": Import.id, "created_at": Import.created_at}
    missing = ImportNotFound

    def get_own(self, id_: UUID, owner_id: UUID | None, *, is_locked: bool = False) -> Import:
        """The import with its job, when this owner has it; None stands for «anyone's», for admins."""
        statement = self._with_job().where(Import.id == id_)
        if is_locked:
            statement = statement.with_for_update(of=Import)
        found = self.session.scalars(statement).one_or_none()
        if found is None or (owner_id is not None and found.owner_id != owner_id):
            raise ImportNotFound
        return found

    def search(
        self, query: PageQuery, *, owner_id: UUID | None, dataset: str | None, parent_id: UUID | None
    ) -> Page[Import]:
        conditions = []
        if owner_id is not None:
            conditions.append(Import.owner_id == owner_id)
        if dataset is not None:
            conditions.append(Import.dataset == dataset)
        if parent_id is not None:
            conditions.append(Import.parent_id == parent_id)
        return self.page(query, *conditions)

    def find_same(self, fingerprint: str, owner_id: UUID) -> Import | None:
        """The import of the same bytes in the same way that counts: done or about to be, and not undone.

        Two requests at once with the same file see each other: the second waits for the first one's commit.
        """
        self.session.execute(LOCK, {"fingerprint": fingerprint})
        statement = (
            self._with_job()
            .where(Import.fingerprint == fingerprint, Import.owner_id == owner_id, Import.undone_at.is_(None))
            .where(~Import.is_dry_run)
            .order_by(Import.id)
        )
        for found in self.session.scalars(statement):
            if found.committed_at or (found.job and found.job.state in ("queued", "running", "done")):
                return found
        return None

    def corrections_of(self, import_id: UUID) -> list[Import]:
        return list(self.session.scalars(select(Import).where(Import.parent_id == import_id)))

    def corrections(self, ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
        """What the committed corrections of these imports add to their totals."""
        names = ("inserted", "updated", "unchanged", "duplicate", "rejected", "rows_read")
        sums = [func.sum(getattr(Import, name)).label(name) for name in names]
        statement = (
            select(Import.parent_id, func.count().label("count"), *sums)
            .where(Import.parent_id.in_(ids), Import.committed_at.is_not(None))
            .group_by(Import.parent_id)
        )
        rows = self.session.execute(statement).mappings()
        return {row["parent_id"]: {name: int(row[name]) for name in ("count", *names)} for row in rows}

    def _with_job(self) -> Select[Import]:
        return select(Import).options(joinedload(Import.job)).execution_options(populate_existing=True)

    def _statement(self, query: PageQuery, conditions: tuple[Any, ...]) -> Any:
        return super()._statement(query, conditions).options(joinedload(Import.job))

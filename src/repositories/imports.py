"""Imports: seen by their owner and by admins only, each with the job that works on it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Select, select, text
from sqlalchemy.orm import joinedload

from src.domain.errors import NotFound
from src.domain.jobs import UNFINISHED
from src.domain.paging import Page, PageQuery
from src.models import Import, Job
from src.repositories.owned import OwnedRepository

HOLD_LONG = text("SET LOCAL idle_in_transaction_session_timeout = '10min'")
LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:fingerprint, 0))")


class ImportNotFound(NotFound):
    slug = "import-not-found"
    title = "There is no such import, or it is not yours"


class ImportRepository(OwnedRepository[Import]):
    model = Import
    orderings: ClassVar = {"id": Import.id, "created_at": Import.created_at}
    missing = ImportNotFound

    def search(
        self, query: PageQuery, *, owner_id: UUID | None, dataset: str | None, parent_id: UUID | None
    ) -> Page[Import]:
        return self.own_page(query, owner_id, {Import.dataset: dataset, Import.parent_id: parent_id})

    def find_same(self, fingerprint: str, owner_id: UUID) -> Import | None:
        """The import of the same bytes in the same way that counts: done or about to be, and not undone.

        One of this owner, if there is any. Two requests at once with the same file see each other: the second
        waits for the first one's commit.
        """
        self.session.execute(LOCK, {"fingerprint": fingerprint})
        found = list(self._counting(fingerprint))
        return next((own for own in found if own.owner_id == owner_id), next(iter(found), None))

    def find_later(self, imported: Import) -> Import | None:
        """The import of the same bytes in the same way that was begun after this one and counts.

        One that was forced is wanted beside it.
        """
        for other in self._counting(imported.fingerprint):
            was_forced = other.job is not None and other.job.args.get("is_forced")
            if other.id > imported.id and not was_forced:
                return other
        return None

    def try_hold(self, id_: UUID) -> bool:
        """Lock the import to the end of the transaction, however long it lasts; False if another has it."""
        self.session.execute(HOLD_LONG)
        statement = select(Import.id).where(Import.id == id_)
        locked = statement.with_for_update(key_share=True, skip_locked=True)
        return self.session.scalar(locked) is not None

    def with_rejects(self, after: UUID | None, limit: int, *, begun_before: datetime) -> list[UUID]:
        """The imports that have refused rows, or were begun by then and may yet refuse some; by their ids."""
        may_refuse = (Import.created_at <= begun_before) & Job.state.in_(UNFINISHED)
        is_meant = Import.rejects_file_id.is_not(None) | may_refuse
        statement = select(Import.id).outerjoin(Job, Job.id == Import.job_id).where(is_meant)
        statement = statement.where(Import.id > after) if after else statement
        return list(self.session.scalars(statement.order_by(Import.id).limit(limit)))

    def is_in_work(self, id_: UUID) -> bool:
        """Whether it, or a correction of it, is not over yet: either may refuse rows at its end."""
        mine = (Import.id == id_) | (Import.parent_id == id_)
        statement = (
            select(Import.id).join(Job, Job.id == Import.job_id).where(mine, Job.state.in_(UNFINISHED))
        )
        return self.session.scalar(statement.limit(1)) is not None

    def headers(self, imported: Import) -> list[str]:
        """The columns of its refused rows: a correction's are those of the file that it corrects."""
        first = imported if imported.parent_id is None else self.get(imported.parent_id)
        return first.headers

    def corrections_of(self, import_id: UUID) -> list[Import]:
        """In the order in which they came."""
        statement = self._select().where(Import.parent_id == import_id).order_by(Import.id)
        return list(self.session.scalars(statement))

    def _counting(self, fingerprint: str) -> Iterator[Import]:
        """The imports of these bytes in this way that are done or about to be, and not undone."""
        statement = (
            self._select()
            .where(Import.fingerprint == fingerprint, Import.undone_at.is_(None), ~Import.is_dry_run)
            .order_by(Import.id)
        )
        found: Import
        for found in self.session.scalars(statement):
            if found.committed_at or (found.job and found.job.state in ("queued", "running", "done")):
                yield found

    def _select(self) -> Select[Any]:
        return select(Import).options(joinedload(Import.job)).execution_options(populate_existing=True)

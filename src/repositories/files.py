"""Files: seen by their owner and by admins only."""

from collections.abc import Iterable
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import delete, func, select, update

from src.domain.errors import NotFound
from src.domain.paging import Page, PageQuery
from src.models import File
from src.repositories.owned import OwnedRepository


class FileNotFound(NotFound):
    slug = "file-not-found"
    title = "There is no such file, or it is not yours"


class FileRepository(OwnedRepository[File]):
    model = File
    orderings: ClassVar = {"id": File.id, "name": File.name, "size": File.size, "created_at": File.created_at}
    missing = FileNotFound

    def search(
        self,
        query: PageQuery,
        *,
        owner_id: UUID | None,
        kind: str | None,
        name: str | None,
        sha256: str | None,
    ) -> Page[File]:
        called = [] if name is None else [File.name.icontains(name, autoescape=True)]
        wanted = {File.kind: kind, File.sha256: sha256 and sha256.lower()}
        return self.own_page(query, owner_id, wanted, *called)

    def keep_profile(self, id_: UUID, profile: dict[str, Any]) -> None:
        self.session.execute(update(File).where(File.id == id_).values(profile=profile))

    def delete(self, file: File) -> None:
        """Of twins that delete the same file, one does; the other finds it gone."""
        gone = self.session.scalar(delete(File).where(File.id == file.id).returning(File.id))
        if gone is None:
            raise FileNotFound

    def expired(self, limit: int) -> list[File]:
        """Files past their time, locked for deletion; others' locks are skipped."""
        is_expired = File.expires_at < func.statement_timestamp()
        statement = select(File).where(is_expired).order_by(File.expires_at)
        return list(self.session.scalars(statement.limit(limit).with_for_update(skip_locked=True)))

    def known_keys(self, keys: Iterable[str]) -> set[str]:
        """Those of the storage keys that a row points to."""
        return set(self.session.scalars(select(File.storage_key).where(File.storage_key.in_(list(keys)))))

    def has_any(self) -> bool:
        return self.session.scalar(select(File.id).limit(1)) is not None

    def after(self, id_: UUID | None, limit: int) -> list[File]:
        """All files in the order of their ids, in slices: for checks of the whole store."""
        statement = select(File).order_by(File.id).limit(limit)
        return list(self.session.scalars(statement.where(File.id > id_) if id_ else statement))

    def bytes_by_owner(self) -> dict[UUID, int]:
        rows = self.session.execute(select(File.owner_id, func.sum(File.size)).group_by(File.owner_id))
        return {owner_id: int(total) for owner_id, total in rows}

"""Files: seen by their owner and by admins only."""

from collections.abc import Iterable
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import delete, func, select, update

from src.domain.errors import NotFound
from src.domain.paging import Page, PageQuery
from src.models import File
from src.repositories.base import Repository


class FileNotFound(NotFound):
    slug = "file-not-found"
    title = "There is no such file, or it is not yours"


class FileRepository(Repository[File]):
    model = File
    orderings: ClassVar = {"id": File.id, "name": File.name, "size": File.size, "created_at": File.created_at}
    missing = FileNotFound

    def get_own(self, id_: UUID, owner_id: UUID | None) -> File:
        """The file, when this owner has it; None stands for «anyone's», for admins."""
        file = self.get(id_)
        if owner_id is not None and file.owner_id != owner_id:
            raise FileNotFound
        return file

    def search(
        self,
        query: PageQuery,
        *,
        owner_id: UUID | None,
        kind: str | None,
        name: str | None,
        sha256: str | None,
    ) -> Page[File]:
        conditions = []
        if owner_id is not None:
            conditions.append(File.owner_id == owner_id)
        if kind is not None:
            conditions.append(File.kind == kind)
        if name is not None:
            conditions.append(File.name.icontains(name, autoescape=True))
        if sha256 is not None:
            conditions.append(File.sha256 == sha256.lower())
        return self.page(query, *conditions)

    def keep_profile(self, id_: UUID, profile: dict[str, Any]) -> None:
        self.session.execute(update(File).where(File.id == id_).values(profile=profile))

    def delete(self, file: File) -> None:
        """Of twins that delete the same file, one does; the other finds it gone."""
        gone = self.session.scalar(delete(File).where(File.id == file.id).returning(File.id))
        if gone is None:
            raise FileNotFound

    def expired(self, limit: int) -> list[File]:
        """Files past their time, locked for deletion; others' locks are skipped."""
        statement = select(File).where(File.expires_at < func.clock_timestamp()).order_by(File.expires_at)
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

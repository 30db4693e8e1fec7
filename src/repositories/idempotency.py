"""Idempotency keys: the first to insert a key works, its twins wait for that transaction."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError

from src.domain.errors import Conflict
from src.models import IdempotencyKey
from src.repositories.base import Repository

KEPT_FOR = timedelta(days=1)
LOCK_NOT_AVAILABLE = "55P03"


class StillRunning(Conflict):
    slug = "idempotency-key-running"
    title = "The first request with this Idempotency-Key is still being worked on"


class IdempotencyRepository(Repository[IdempotencyKey]):
    model = IdempotencyKey

    def claim(self, owner_id: UUID, key: str, fingerprint: str) -> bool:
        """True for the first; a parallel twin waits here, by the unique index, until the first has ended."""
        now = func.clock_timestamp()
        mine = (IdempotencyKey.owner_id == owner_id) & (IdempotencyKey.key == key)
        statement = (
            insert(IdempotencyKey)
            .values(owner_id=owner_id, key=key, fingerprint=fingerprint, expires_at=now + KEPT_FOR)
            .on_conflict_do_nothing()
            .returning(IdempotencyKey.key)
        )
        try:
            self.session.execute(delete(IdempotencyKey).where(mine, IdempotencyKey.expires_at < now))
            return self.session.scalar(statement) is not None
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE:
                raise StillRunning("Ask again in a moment.", retry_after=2) from error
            raise

    def first(self, owner_id: UUID, key: str) -> IdempotencyKey:
        mine = (IdempotencyKey.owner_id == owner_id) & (IdempotencyKey.key == key)
        return self.session.scalars(select(IdempotencyKey).where(mine)).one()

    def keep(
        self, owner_id: UUID, key: str, *, status: int, headers: dict[str, Any], body: dict[str, Any]
    ) -> None:
        mine = (IdempotencyKey.owner_id == owner_id) & (IdempotencyKey.key == key)
        self.session.execute(
            update(IdempotencyKey).where(mine).values(status=status, headers=headers, body=body)
        )

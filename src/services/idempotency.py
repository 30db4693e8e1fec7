"""One effect per Idempotency-Key: the first answer is kept and given again to whoever repeats the request."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from src.domain.errors import Invalid, Unprocessable
from src.repositories.idempotency import IdempotencyRepository

LONGEST_KEY = 200


class KeyReused(Unprocessable):
    slug = "idempotency-key-reused"
    title = "This Idempotency-Key was used for another request"


class BadKey(Invalid):
    slug = "bad-idempotency-key"
    title = "This Idempotency-Key cannot be used"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as plain values, so that it can be kept."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    is_replay: bool = False


class IdempotencyService:
    def __init__(self, session: Session) -> None:
        self.keys = IdempotencyRepository(session)

    def once(self, owner_id: UUID, key: str | None, fingerprint: str, make: Callable[[], Answer]) -> Answer:
        """Make the answer, or replay the first one. Key, effect and answer commit together."""
        if key is None:
            return make()
        if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
            raise BadKey(f"Use 1 to {LONGEST_KEY} printable characters.")
        if self.keys.claim(owner_id, key, fingerprint):
            answer = make()
            self.keys.keep(owner_id, key, status=answer.status, headers=answer.headers, body=answer.body)
            return answer
        first = self.keys.first(owner_id, key)
        if first.fingerprint != fingerprint:
            raise KeyReused("Use a new key for a new request.")
        return Answer(first.status or 200, first.body or {}, first.headers or {}, is_replay=True)

"""API keys: shown once, kept as a hash, narrowed by scopes."""

import hashlib
import secrets
from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm import Session

from src.database import Database
from src.domain.errors import FieldError, Invalid
from src.domain.roles import SCOPES, Actor, Role
from src.models import ApiKey
from src.repositories.logins import ApiKeyRepository, find_key
from src.services.audit import AuditTrail
from src.statements import Reading

PREFIX = "ind_"
SHOWN = 10


class UnknownScope(Invalid):
    slug = "unknown-scope"
    title = "There is no such scope"


class ApiKeyService:
    def __init__(self, session: Session) -> None:
        self.keys = ApiKeyRepository(session)
        self.audit = AuditTrail(session)

    def create(
        self, account_id: UUID, *, name: str, scopes: list[str], expires_at: datetime | None, by: Actor
    ) -> tuple[ApiKey, str]:
        """A new key and its secret, which nobody can be shown again."""
        for number, scope in enumerate(scopes):
            if scope not in SCOPES:
                message = f"There is no scope {scope!r}; choose among {', '.join(SCOPES)}."
                raise UnknownScope(
                    message, errors=[FieldError(f"/scopes/{number}", "unknown_scope", message)]
                )
        secret = PREFIX + secrets.token_urlsafe(32)
        key = self.keys.add(
            ApiKey(
                account_id=account_id,
                name=name,
                prefix=secret[:SHOWN],
                key_hash=hash_of(secret),
                scopes=sorted(set(scopes)),
                expires_at=expires_at,
            )
        )
        self.audit.note(by, "api-key.created", "api-key", key.id, scopes=key.scopes)
        return key, secret

    def revoke(self, key: ApiKey, by: Actor) -> None:
        if key.revoked_at is None:
            key.revoked_at = func.clock_timestamp()
            self.audit.note(by, "api-key.revoked", "api-key", key.id)


def find_actor(database: Database, secret: str) -> tuple[Actor, Reading] | None:
    """Who this key stands for, if it is good, and how that was read."""
    found = find_key(database, hash_of(secret))
    if found is None:
        return None
    key, reading = found
    role, scopes = Role(key.login.role), frozenset(key.scopes)
    return Actor(key.login.account_id, key.login.login_name, role, key_id=key.id, scopes=scopes), reading


def hash_of(secret: str) -> str:
    """The secret has 256 random bits: a plain SHA-256 can't be guessed back, and can be looked up."""
    return hashlib.sha256(secret.encode()).hexdigest()

"""Who may do what: roles rank, scopes narrow an API key, a policy is what a route asks for."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from src.domain.errors import Forbidden


class Role(StrEnum):
    """Each role may do all that the ones before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, needed: "Role") -> bool:
        return RANKS[self] >= RANKS[needed]


RANKS = {role: rank for rank, role in enumerate(Role)}

SCOPES = (
    "alert-rules:read",
    "alert-rules:write",
    "alerts:read",
    "alerts:write",
    "atendimentos:read",
    "atendimentos:write",
    "clients:read",
    "clients:write",
    "deliveries:read",
    "deliveries:write",
    "events:read",
    "events:write",
    "files:read",
    "files:write",
    "imports:read",
    "imports:write",
    "indicators:read",
    "jobs:read",
    "jobs:write",
    "operations:read",
    "operations:write",
    "recipes:read",
    "recipes:write",
    "reports:read",
    "reports:write",
    "rules:read",
    "rules:write",
    "schedules:read",
    "schedules:write",
    "transactions:read",
)


class RoleTooLow(Forbidden):
    slug = "role-too-low"
    title = "Your role does not allow this"


class ScopeMissing(Forbidden):
    slug = "scope-missing"
    title = "This API key was not made for that"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is asking: an account, by a login (family) or by an API key (scopes)."""

    account_id: UUID
    name: str
    role: Role
    family: UUID | None = None
    key_id: UUID | None = None
    scopes: frozenset[str] = frozenset()

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN

    @property
    def sees(self) -> UUID | None:
        """The account whose private things it sees: its own, or, for admins, everybody's (None)."""
        return None if self.is_admin else self.account_id


@dataclass(frozen=True, slots=True)
class Policy:
    """What a route demands. No role: public. No scope: people only, no API keys."""

    role: Role | None
    scope: str | None = None

    def check(self, actor: Actor) -> None:
        """Raise unless this actor meets the policy."""
        if self.role is not None and not actor.role.covers(self.role):
            raise RoleTooLow(f"This needs the role {self.role}; yours is {actor.role}.")
        if actor.key_id is not None and self.scope not in actor.scopes:
            needed = f"the scope {self.scope}" if self.scope else "a login: API keys cannot do it"
            raise ScopeMissing(f"This needs {needed}.")

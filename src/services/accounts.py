"""Accounts: who may come in, as what, and when no longer."""

import secrets
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm import Session

from src.domain.errors import Conflict, FieldError, Forbidden, Invalid
from src.domain.passwords import check_password
from src.domain.roles import Actor, Role
from src.models import Account
from src.repositories.accounts import AccountRepository
from src.repositories.logins import TokenFamilyRepository
from src.services.audit import AuditTrail
from src.services.passwords import PasswordHasher


class RegistrationClosed(Forbidden):
    slug = "registration-closed"
    title = "Accounts are made by an administrator here"


class LoginNameMissing(Invalid):
    slug = "login-name-missing"
    title = "An e-mail address or a username is needed"


class LastAdmin(Conflict):
    slug = "last-admin"
    title = "Someone has to stay administrator"


class AccountService:
    def __init__(self, session: Session, hasher: PasswordHasher) -> None:
        self.accounts = AccountRepository(session)
        self.families = TokenFamilyRepository(session)
        self.audit = AuditTrail(session)
        self.hasher = hasher

    def create(
        self,
        *,
        role: Role,
        password: str,
        email: str | None = None,
        username: str | None = None,
        name: str = "",
        by: Actor | None = None,
    ) -> Account:
        email, username = (email or "").lower() or None, (username or "").lower() or None
        if email is None and username is None:
            message = "Give an e-mail address, a username, or both."
            raise LoginNameMissing(message, errors=[FieldError("/email", "required", message)])
        check_password(password, names=tuple(part for part in (email, username) if part))
        account = self.accounts.add(
            Account(
                email=email, username=username, name=name, role=role, password_hash=self.hasher.hash(password)
            )
        )
        self.audit.note(by or actor_of(account), "account.created", "account", account.id, role=role)
        return account

    def ensure_admin(self, email: str, password: str) -> tuple[Account, str] | None:
        """The first administrator, with a generated password when none is given; None when there is one."""
        if self.accounts.has_admin():
            return None
        password = password or secrets.token_urlsafe(18)
        taken = self.accounts.find_by_login_name(email)
        email = f"admin-{secrets.token_hex(4)}@localhost" if taken else email
        return self.create(role=Role.ADMIN, email=email, password=password, name="Administrator"), password

    def update(
        self,
        account: Account,
        by: Actor,
        *,
        name: str | None = None,
        role: Role | None = None,
        disabled: bool | None = None,
    ) -> Account:
        """Change what is given. A disabled account is logged out everywhere, at once."""
        loses_admin = account.role == Role.ADMIN and ((role is not None and role != Role.ADMIN) or disabled)
        if loses_admin and (account.id == by.account_id or not self.accounts.has_admin(besides=account.id)):
            raise LastAdmin("Make someone else an administrator first, and let them do it.")
        if name is not None:
            account.name = name
        if role is not None and role != account.role:
            self.audit.note(by, "account.role-changed", "account", account.id, old=account.role, new=role)
            account.role = role
        if disabled is not None and disabled != account.is_disabled:
            account.is_disabled = disabled
            self.audit.note(by, "account.disabled" if disabled else "account.enabled", "account", account.id)
            self.families.revoke_all(account.id, "account disabled")
        return self._touch(account)

    def set_password(self, account: Account, password: str, by: Actor, *, keep: UUID | None = None) -> None:
        """A new password ends every login, but for the one that set it."""
        check_password(password, names=tuple(part for part in (account.email, account.username) if part))
        account.password_hash = self.hasher.hash(password)
        self.families.revoke_all(account.id, "password changed", but=keep)
        self.audit.note(by, "account.password-changed", "account", account.id)
        self._touch(account)

    def reset_password(self, account: Account, by: Actor | None = None) -> str:
        password = secrets.token_urlsafe(18)
        self.set_password(account, password, by or SYSTEM)
        return password

    def _touch(self, account: Account) -> Account:
        account.updated_at = func.clock_timestamp()
        self.accounts.session.flush()
        self.accounts.session.refresh(account)
        return account


SYSTEM = Actor(account_id=UUID(int=0), name="system", role=Role.ADMIN)


def actor_of(account: Account, **members: object) -> Actor:
    """The account as someone who acts."""
    return Actor(account_id=account.id, name=account.login_name, role=Role(account.role), **members)  # type: ignore[arg-type]  # family, key_id and scopes pass through

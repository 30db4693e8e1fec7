"""Logins: a password gives a family of tokens; each refresh rotates it, and reuse ends it."""

import logging
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from src.domain.errors import TooManyRequests, Unauthenticated
from src.domain.ids import uuid7
from src.domain.passwords import LONGEST
from src.domain.roles import Actor
from src.models import Account, TokenFamily
from src.repositories.accounts import AccountRepository
from src.repositories.logins import LoginThrottleRepository, TokenFamilyRepository
from src.services.accounts import actor_of
from src.services.audit import AuditTrail
from src.services.passwords import PasswordHasher

log = logging.getLogger(__name__)


class WrongCredentials(Unauthenticated):
    slug = "wrong-credentials"
    title = "The name or the password is wrong"


class LoginBlocked(TooManyRequests):
    slug = "login-blocked"
    title = "Too many wrong passwords"


class RefreshRejected(Unauthenticated):
    slug = "refresh-rejected"
    title = "This refresh token is no longer good; log in again"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a login or refresh gives: the account, its family of tokens, and the refresh token's id."""

    account: Account
    family: UUID
    refresh_jti: UUID


@dataclass(frozen=True, slots=True)
class Attempt:
    """Someone claims to be someone. Comparing the password takes long: it lies between two transactions."""

    login_name: str
    network: str
    account_id: UUID | None
    password_hash: str | None


class LoginService:
    """Failures are answered with None, not raised: they must be committed to be counted."""

    def __init__(self, session: Session, hasher: PasswordHasher, refresh_days: int) -> None:
        self.session = session
        self.accounts = AccountRepository(session)
        self.families = TokenFamilyRepository(session)
        self.throttle = LoginThrottleRepository(session)
        self.audit = AuditTrail(session)
        self.hasher = hasher
        self.refresh_days = refresh_days

    def begin(self, login_name: str, network: str) -> Attempt:
        """Look up whom to compare with. A try is counted before it is made, so that a volley counts."""
        name = login_name.lower()[:LONGEST]
        wait = self.throttle.seconds_blocked(name, network)
        if wait:
            raise LoginBlocked(f"Try again in {wait} seconds.", retry_after=wait)
        self.throttle.count_failure(name, network)
        account = self.accounts.find_by_login_name(name)
        if account is None or account.is_disabled:
            return Attempt(name, network, None, None)
        return Attempt(name, network, account.id, account.password_hash)

    def end(self, attempt: Attempt, password: str, *, is_right: bool) -> Grant | None:
        """The login, and the tries forgotten; None when the name or the password was wrong, or is by now."""
        account = self._unchanged(attempt) if is_right else None
        if account is None:
            self.audit.note(None, "login.failed", "account", attempt.account_id or attempt.login_name)
            return None
        self.throttle.forget(attempt.login_name, attempt.network)
        return self.open(account, password)

    def open(self, account: Account, password: str | None = None) -> Grant:
        """Begin a family of tokens; a password hashed with older settings is hashed anew."""
        if password is not None and self.hasher.is_outdated(account.password_hash):
            account.password_hash = self.hasher.hash(password)
        family = TokenFamily(
            account_id=account.id, current_jti=uuid7(), expires_at=self.families.expiry(self.refresh_days)
        )
        self.families.add(family)
        self.audit.note(actor_of(account), "login.succeeded", "account", account.id)
        return Grant(account, family.id, family.current_jti)

    def refresh(self, family: UUID, jti: UUID) -> Grant | None:
        """The next refresh token; None when the login is over, which it also is when this one was used."""
        successor = self.families.rotate(family, jti, uuid7())
        if successor is None:
            if self.families.end_reused(family):
                log.warning(
                    "a used refresh token came back: its login is ended", extra={"family": str(family)}
                )
                self.audit.note(None, "login.reuse-detected", "token-family", family)
            return None
        account = self.families.find_live(family)
        return Grant(account, family, successor) if account else None

    def log_out(self, actor: Actor) -> None:
        if actor.family is not None:
            self.families.revoke(actor.family, "logged out")
        self.audit.note(actor, "login.ended", "account", actor.account_id)

    def _unchanged(self, attempt: Attempt) -> Account | None:
        """The account, unless it was disabled, or got another password, while this one was compared."""
        if attempt.account_id is None:
            return None
        account = self.accounts.get(attempt.account_id)
        is_same = account.password_hash == attempt.password_hash and not account.is_disabled
        return account if is_same else None

    def confirm(self, account: Account, password: str) -> bool:
        """Whether this is the account's password."""
        return self.hasher.matches(password, account.password_hash)

"""Accounts: found by the name they log in with, counted bytes and all."""

from typing import ClassVar
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.exc import IntegrityError

from src.domain.errors import Conflict, Invalid, NotFound, StorageFull
from src.domain.paging import Page, PageQuery
from src.domain.roles import Role
from src.models import Account
from src.repositories.base import Repository, equal


class AccountNotFound(NotFound):
    slug = "account-not-found"
    title = "There is no such account"


class AccountExists(Conflict):
    slug = "account-exists"
    title = "An account with this e-mail or username exists already"


class BadLoginName(Invalid):
    slug = "bad-login-name"
    title = "Nobody can be called that"


class QuotaExceeded(StorageFull):
    slug = "quota-exceeded"
    title = "This would be more than your account may store"


class AccountRepository(Repository[Account]):
    model = Account
    orderings: ClassVar = {"id": Account.id, "created_at": Account.created_at, "name": Account.name}
    missing = AccountNotFound

    def add(self, row: Account) -> Account:
        try:
            return super().add(row)
        except IntegrityError as error:
            if "uq_account" in str(error.orig):
                raise AccountExists from error
            if "ck_account" in str(error.orig):
                raise BadLoginName("An e-mail address has an @ in it, a username has none.") from error
            raise

    def find_by_login_name(self, login_name: str) -> Account | None:
        name = login_name.lower()
        return self.session.scalar(
            select(Account).where(or_(Account.email == name, Account.username == name))
        )

    def search(
        self, query: PageQuery, *, role: str | None = None, is_disabled: bool | None = None
    ) -> Page[Account]:
        return self.page(query, *equal({Account.role: role, Account.is_disabled: is_disabled}))

    def lock(self, id_: UUID) -> Account:
        """The account, to be changed: others who want to change it wait until this is committed."""
        account = self.session.get(Account, id_, with_for_update=True, populate_existing=True)
        if account is None:
            raise AccountNotFound
        return account

    def has_admin(self, *, besides: UUID | None = None) -> bool:
        """Whether anyone can administer; locked, so that twins can't make the first or remove the last."""
        self.session.execute(select(func.pg_advisory_xact_lock(func.hashtext("first-admin"))))
        wanted = select(Account.id).where(Account.role == Role.ADMIN, Account.is_disabled.is_(False)).limit(1)
        return (
            self.session.scalar(wanted if besides is None else wanted.where(Account.id != besides))
            is not None
        )

    def count_bytes(self, account_id: UUID, change: int, quota: int) -> None:
        """Book stored bytes. Check and change are one statement, so that twins cannot both slip through."""
        fits = Account.stored_bytes + change <= quota
        statement = (
            update(Account)
            .where(Account.id == account_id, fits if change > 0 else Account.id == account_id)
            .values(stored_bytes=func.greatest(Account.stored_bytes + change, 0))
        )
        if self.session.execute(statement).rowcount == 0:  # type: ignore[attr-defined]  # it is a CursorResult
            raise QuotaExceeded(
                f"Your account may store {quota:,} bytes. Delete files that you no longer need."
            )

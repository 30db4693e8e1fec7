"""Accounts, for administrators."""

from typing import Any
from uuid import UUID

from flask import Response

from src.api.authentication import actor
from src.api.blueprint import ADMIN, Blueprint
from src.api.conditional import check_if_match, with_etag
from src.api.lists import listing
from src.api.schemas.accounts import (
    ACCOUNT,
    AccountCreateSchema,
    AccountList,
    AccountPatchSchema,
    AccountQuery,
    AccountSchema,
    NewPasswordSchema,
)
from src.domain.roles import Role
from src.wiring import services

blp = Blueprint("accounts", url_prefix="/api/v1/accounts", description="Who may come in, and as what.")


@blp.get("", needs=ADMIN)
@blp.arguments(AccountQuery, location="query")
@blp.lists(AccountList)
def list_accounts(query: dict[str, Any]) -> Response:
    """All accounts."""
    filters = {"role": query.get("role"), "is_disabled": query.get("is_disabled")}
    return listing(query, ACCOUNT, lambda s, page: s.account_rows.search(page, **filters), "accounts")


@blp.post("", needs=ADMIN)
@blp.arguments(AccountCreateSchema)
@blp.response(201, AccountSchema)
def create_account(body: dict[str, Any]) -> Response:
    """Make an account with a role."""
    with services() as s:
        account = s.accounts.create(role=Role(body.pop("role")), by=actor(), **body)
    answer = with_etag(account, ACCOUNT, 201)
    answer.headers["Location"] = f"/api/v1/accounts/{account.id}"
    return answer


@blp.get("/<uuid:account_id>", needs=ADMIN)
@blp.response(200, AccountSchema)
def get_account(account_id: UUID) -> Response:
    """One account."""
    with services() as s:
        return with_etag(s.account_rows.get(account_id), ACCOUNT)


@blp.patch("/<uuid:account_id>", needs=ADMIN)
@blp.arguments(AccountPatchSchema)
@blp.response(200, AccountSchema)
def patch_account(body: dict[str, Any], account_id: UUID) -> Response:
    """Change the name or role, disable or enable."""
    with services() as s:
        account = s.account_rows.lock(account_id)
        check_if_match(account, ACCOUNT)
        role = Role(body["role"]) if "role" in body else None
        s.accounts.update(
            account, actor(), name=body.get("name"), role=role, disabled=body.get("is_disabled")
        )
        return with_etag(account, ACCOUNT)


@blp.post("/<uuid:account_id>/reset-password", needs=ADMIN)
@blp.response(200, NewPasswordSchema)
def reset_password(account_id: UUID) -> Any:
    """Give the account a generated password, shown once, and end its logins."""
    with services() as s:
        return {"password": s.accounts.reset_password(s.account_rows.get(account_id), actor())}

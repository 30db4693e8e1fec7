"""flask accounts: make, list, disable, reset passwords."""

from typing import Any

import click
from flask.cli import AppGroup

from src.api.schemas.accounts import ACCOUNT
from src.cli.output import domain_errors_as_messages, json_option, show, show_one, tell
from src.domain.paging import MOST_PER_PAGE, PageQuery
from src.domain.roles import Role
from src.models import Account
from src.services.accounts import SYSTEM
from src.wiring import Services, services

group = AppGroup("accounts", help="Who may come in, and as what.")


@group.command("create")
@click.argument("login_name")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.OPERATOR.value)
@click.option("--name", default="", help="The person's name.")
@click.password_option(help="Asked for when not given.")
@json_option
@domain_errors_as_messages
def create(login_name: str, role: str, name: str, password: str, *, as_json: bool) -> None:
    """Make an account with an e-mail address or a username."""
    names: dict[str, Any] = {"email" if "@" in login_name else "username": login_name}
    with services() as s:
        account = s.accounts.create(role=Role(role), name=name, password=password, by=SYSTEM, **names)
    show_one(_members(account), as_json=as_json)


@group.command("list")
@json_option
@domain_errors_as_messages
def list_accounts(*, as_json: bool) -> None:
    """All accounts, oldest first."""
    query: PageQuery | None = PageQuery("id", MOST_PER_PAGE)
    rows: list[dict[str, Any]] = []
    while query is not None:
        with services() as s:
            page = s.account_rows.search(query)
        rows += [_members(account) for account in page.rows]
        query = query.at(page.next) if page.next else None
    show(rows, as_json=as_json)


@group.command("disable")
@click.argument("login_name")
@json_option
@domain_errors_as_messages
def disable(login_name: str, *, as_json: bool) -> None:
    """Shut an account out, at once and everywhere."""
    with services() as s:
        account = s.accounts.update(_named(s, login_name), SYSTEM, disabled=True)
    tell(f"{login_name} is disabled", _members(account), as_json=as_json)


@group.command("reset-password")
@click.argument("login_name")
@json_option
@domain_errors_as_messages
def reset_password(login_name: str, *, as_json: bool) -> None:
    """Give an account a generated password, shown once."""
    with services() as s:
        password = s.accounts.reset_password(_named(s, login_name))
    show_one({"login": login_name, "password": password}, as_json=as_json)


def _named(s: Services, login_name: str) -> Account:
    account = s.account_rows.find_by_login_name(login_name)
    if account is None:
        raise s.account_rows.missing(login_name)
    return account


def _members(account: Account) -> dict[str, Any]:
    members: dict[str, Any] = ACCOUNT.dump(account)
    return members

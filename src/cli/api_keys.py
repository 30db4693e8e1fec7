"""flask api-keys: make and revoke."""

from uuid import UUID

import click
from flask.cli import AppGroup

from src.cli.acting import account_of
from src.cli.output import domain_errors_as_messages, json_option, show_one, tell
from src.domain.roles import SCOPES
from src.services.accounts import SYSTEM
from src.wiring import services

group = AppGroup("api-keys", help="Ways in for machines.")


@group.command("create")
@click.argument("login_name")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES))
@json_option
@domain_errors_as_messages
def create(login_name: str, name: str, scopes: tuple[str, ...], *, as_json: bool) -> None:
    """Make a key for an account; its secret is shown this once."""
    account = account_of(login_name)
    with services() as s:
        key, secret = s.api_keys.create(
            account.id, name=name, scopes=list(scopes), expires_at=None, by=SYSTEM
        )
    show_one({"id": str(key.id), "key": secret, "scopes": key.scopes}, as_json=as_json)


@group.command("revoke")
@click.argument("key_id", type=click.UUID)
@json_option
@domain_errors_as_messages
def revoke(key_id: UUID, *, as_json: bool) -> None:
    """Revoke a key, at once."""
    with services() as s:
        s.api_keys.revoke(s.api_key_rows.get(key_id), SYSTEM)
    tell(f"{key_id} is revoked", {"id": str(key_id), "is_revoked": True}, as_json=as_json)

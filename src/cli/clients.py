"""flask clients: create."""

from typing import Any

import click
from flask.cli import AppGroup

from src.api.schemas.clients import CLIENT, ClientCreateSchema
from src.cli.acting import account_of, as_option
from src.cli.output import checked, domain_errors_as_messages, json_option, tell
from src.services.accounts import actor_of
from src.wiring import services

group = AppGroup("clients", help="The customers that atendimentos, transactions and events point to.")


@group.command("create")
@click.option("--client-id", help="Left out, it gets a number.")
@click.option("--name")
@click.option("--email")
@click.option("--date-of-birth", metavar="YYYY-MM-DD")
@click.option("--country")
@click.option("--account-balance", metavar="AMOUNT")
@as_option
@json_option
@domain_errors_as_messages
def create(login_name: str | None, *, as_json: bool, **members: str | None) -> None:
    """Make a client, by the rules of the API; one that was deleted comes back."""
    values = checked(ClientCreateSchema(), {name: text for name, text in members.items() if text is not None})
    by = actor_of(account_of(login_name))
    with services() as s:
        client = s.clients.create(values.pop("client_id", None), values, by)
    shown: dict[str, Any] = CLIENT.dump(client)
    tell(f"{client.external_id} {client.name or ''}".rstrip(), shown, as_json=as_json)

"""Transactions: all of them, those of a client, and what they add up to."""

from datetime import date
from decimal import Decimal
from typing import Any

from flask import Response

from src.api.blueprint import VIEWER, Blueprint
from src.api.clients import blp as clients
from src.api.lists import listing
from src.api.ranges import check_range
from src.api.rate_limits import client_limit
from src.api.schemas.transactions import (
    TRANSACTION,
    ClientTransactionQuery,
    StatisticsSchema,
    TransactionList,
    TransactionQuery,
)
from src.api.schemas.values import day_bounds
from src.wiring import services

blp = Blueprint(
    "transactions",
    url_prefix="/api/v1/transactions",
    description="What clients bought and sold.",
    for_keys=True,
)


@blp.get("", needs=VIEWER)
@blp.arguments(TransactionQuery, location="query")
@blp.lists(TransactionList)
def list_transactions(query: dict[str, Any]) -> Response:
    """Transactions of all clients, newest first."""
    check_range(query.get("since"), query.get("until"), "to")
    names = ("client_id", "type", "currency", "since", "until", "import_id")
    filters = {name: query.get(name) for name in names}
    return listing(
        query, TRANSACTION, lambda s, page: s.transaction_rows.search(page, **filters), "transactions"
    )


@clients.get("/<outside_id:client_id>/transactions", needs=VIEWER, scope="transactions")
@client_limit
@clients.arguments(ClientTransactionQuery, location="query")
@clients.lists(TransactionList)
def list_client_transactions(query: dict[str, Any], client_id: str) -> Response:
    """A client's transactions, newest first."""
    first, last = query.get("start_date"), query.get("end_date")
    check_range(first, last, "end_date")
    filters = {name: query.get(name) for name in ("type", "currency")} | _days(first, last)
    with services() as s:
        client = s.client_rows.get_by_external_id(client_id)
    return listing(
        query, TRANSACTION, lambda s, page: s.transaction_rows.search(page, client, **filters), "transactions"
    )


@clients.get("/<outside_id:client_id>/statistics", needs=VIEWER, scope="transactions")
@clients.response(200, StatisticsSchema)
def get_client_statistics(client_id: str) -> Any:
    """What a client's transactions add up to, in all and by currency."""
    with services() as s:
        client = s.client_rows.get_by_external_id(client_id)
        found, as_of = s.view_rows.statistics_of(client.id)
    return {
        "client_id": client.external_id,
        "total_transactions": sum(one.transactions for one in found),
        "total_spent": sum((one.spent for one in found), Decimal("0.00")),
        "total_gained": sum((one.gained for one in found), Decimal("0.00")),
        "by_currency": found,
        "as_of": as_of,
    }


def _days(first: date | None, last: date | None) -> dict[str, Any]:
    """Both days belong to it, whole."""
    return {"since": first and day_bounds(first)[0], "until": last and day_bounds(last)[1]}

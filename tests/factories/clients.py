"""Clients, and transactions of theirs, put straight into the tables."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from src.models import Client, Transaction
from src.wiring import services

NOON = datetime(2024, 3, 15, 12, tzinfo=UTC)
_numbers = count(1)


def a_client(external_id: str | None = None, **columns: Any) -> Client:
    """A client; with an id of letters, unless one is given, so that no number is taken."""
    with services() as s:
        return s.client_rows.add(Client(external_id=external_id or f"c-{next(_numbers)}", **columns))


def a_transaction(client: Client, amount: str = "10.00", **columns: Any) -> Transaction:
    """A buy, or, below zero, a sell."""
    row = Transaction(
        **{
            "transaction_id": f"t-{next(_numbers)}",
            "client_id": client.id,
            "transaction_type": "sell" if Decimal(amount) < 0 else "buy",
            "transaction_date": NOON,
            "currency": "EUR",
            "amount": Decimal(amount),
        }
        | columns
    )
    with services() as s:
        return s.transaction_rows.add(row)

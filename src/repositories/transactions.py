"""Transactions, over all partitions; a range of dates reads only those that it touches."""

from collections.abc import Callable
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import joinedload

from src.domain.paging import Page, PageQuery
from src.models import Client, Transaction
from src.repositories.base import Repository

CONDITIONS: dict[str, Callable[[Any], ColumnElement[bool]]] = {
    "client_id": lambda external_id: (
        Transaction.client_id == select(Client.id).where(Client.external_id == external_id).scalar_subquery()
    ),
    "type": lambda type_: Transaction.transaction_type == type_,
    "currency": lambda currency: Transaction.currency == currency,
    "since": lambda moment: Transaction.transaction_date >= moment,
    "until": lambda moment: Transaction.transaction_date <= moment,
    "import_id": lambda import_id: Transaction.import_id == import_id,
}


class TransactionRepository(Repository[Transaction]):
    model = Transaction
    orderings: ClassVar = {"id": Transaction.id, "transaction_date": Transaction.transaction_date}
    numbered: ClassVar = {"amount": Transaction.amount, "currency": Transaction.currency}

    def search(self, query: PageQuery, client: Client | None = None, **filters: Any) -> Page[Transaction]:
        """One page with the clients, in one statement; of one client, when it is given.

        Only then there is an index for other orders than by id.
        """
        if client is None:
            query.check_order(("id",))
        conditions = [CONDITIONS[name](value) for name, value in filters.items() if value is not None]
        if client is not None:
            conditions.append(Transaction.client_id == client.id)
        return self.page(query, *conditions)

    def _select(self) -> Select[Any]:
        return super()._select().options(joinedload(Transaction.client))

"""Transactions and their statistics, as they go out, and what chooses among them."""

from typing import Any

from marshmallow import fields, validate

from src.api.schemas.atendimentos import Identifier
from src.api.schemas.base import Schema
from src.api.schemas.lists import ListQuery, list_schema
from src.api.schemas.values import Moment, Money

TYPES = validate.OneOf(["buy", "sell"])
CODE = validate.Regexp(r"^[A-Z]{3}$(?!\n)", error="Three letters, as in EUR.")
AS_OF = {"description": "All that was there at this moment is counted."}


class TypeField(fields.String):
    """Buy or sell, in any case."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        return str(super()._deserialize(value, attr, data, **options)).lower()


class CurrencyField(fields.String):
    """A code of three letters, in any case."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        return str(super()._deserialize(value, attr, data, **options)).upper()


class TransactionSchema(Schema):
    id = fields.Integer(required=True)
    transaction_id = fields.String(required=True)
    client_id = fields.String(required=True, attribute="client.external_id")
    transaction_type = fields.String(required=True, validate=TYPES)
    transaction_date = fields.AwareDateTime(required=True)
    currency = fields.String(required=True)
    amount = Money(required=True, metadata={"description": "Not below zero for a buy, else not above."})
    import_id = fields.UUID(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)


class KindQuery(ListQuery):
    """What both lists of transactions take."""

    type = TypeField(validate=TYPES)
    currency = CurrencyField(validate=CODE)


class TransactionQuery(KindQuery):
    client_id = Identifier()
    since = Moment(data_key="from")
    until = Moment(data_key="to", is_end=True)
    import_id = fields.UUID()


class ClientTransactionQuery(KindQuery):
    start_date = fields.Date(metadata={"description": "The first day, of UTC; it is included."})
    end_date = fields.Date(metadata={"description": "The last day, of UTC; it is included."})


class CurrencySchema(Schema):
    currency = fields.String(required=True)
    total_transactions = fields.Integer(required=True, attribute="transactions")
    total_spent = Money(required=True, places=2, attribute="spent")
    total_gained = Money(required=True, places=2, attribute="gained")


class StatisticsSchema(Schema):
    client_id = fields.String(required=True)
    total_transactions = fields.Integer(required=True)
    total_spent = Money(
        required=True,
        places=2,
        metadata={"description": "Of all buys, as numbers: currencies are added up as they are."},
    )
    total_gained = Money(
        required=True, places=2, metadata={"description": "Of all sells, as a positive number."}
    )
    by_currency = fields.List(fields.Nested(CurrencySchema), required=True)
    as_of = fields.AwareDateTime(required=True, allow_none=True, metadata=AS_OF)


TRANSACTION = TransactionSchema()
STATISTICS = StatisticsSchema()
TransactionList = list_schema(TransactionSchema)

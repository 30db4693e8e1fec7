"""What can be imported: each dataset is one declaration, and the import knows none of them by name."""

from datetime import date
from decimal import Decimal

from src.domain.declarations import Dataset, Field, FieldType, Folds, Mode, Reference, SignRule

__all__ = [
    "ATENDIMENTOS",
    "CLIENTS",
    "DATASETS",
    "EVENTS",
    "TRANSACTIONS",
    "Dataset",
    "Field",
    "FieldType",
    "Folds",
    "Mode",
    "Reference",
    "SignRule",
]


# What lies outside is a typing error, such as the year 0021; trends would begin there.
FIRST_VISIT, LAST_VISIT = date(1900, 1, 1), date(2100, 12, 31)


def _client(*, is_made: bool, code: str = "") -> Reference:
    return Reference(table="client", column="external_id", key="client_id", is_made=is_made, code=code)


def _name(table: str) -> Reference:
    return Reference(table=table, column="name", key=f"{table}_id", is_made=True)


ATENDIMENTOS = Dataset(
    name="atendimentos",
    title="Atendimentos",
    table="atendimento",
    key="id_atendimento",
    key_column="external_id",
    order_by="data_limite",
    folds=Folds(
        place="polo_id", who="angel_id", whom="client_id", due="data_limite", done="data_de_atendimento"
    ),
    fields=(
        Field(
            name="id_atendimento",
            type="identifier",
            max_length=50,
            aliases=("id do atendimento", "atendimento", "visit id", "service id", "numero do atendimento"),
        ),
        Field(
            name="id_cliente",
            type="identifier",
            is_required=True,
            is_addressed=True,
            max_length=50,
            aliases=("cliente", "cliente id", "client", "client id", "customer id", "codigo do cliente"),
            reference=_client(is_made=True),
        ),
        Field(
            name="angel",
            type="text",
            is_required=True,
            max_length=100,
            aliases=("anjo", "atendente", "tecnico", "agent"),
            reference=_name("angel"),
        ),
        Field(
            name="polo",
            type="text",
            is_required=True,
            max_length=100,
            aliases=("hub", "base", "nucleo"),
            reference=_name("polo"),
        ),
        Field(
            name="data_limite",
            type="datetime",
            is_required=True,
            first=FIRST_VISIT,
            last=LAST_VISIT,
            aliases=("prazo", "limite", "deadline", "due date", "limit date"),
        ),
        Field(
            name="data_de_atendimento",
            type="datetime",
            first=FIRST_VISIT,
            last=LAST_VISIT,
            aliases=("data atendimento", "atendido em", "data de conclusao", "done at", "attended at"),
        ),
        Field(
            name="status",
            type="text",
            max_length=50,
            upper=True,
            default="PENDING",
            aliases=("situacao", "estado", "state"),
        ),
    ),
)

CLIENTS = Dataset(
    name="clients",
    title="Clients",
    table="client",
    key="client_id",
    key_column="external_id",
    unique={"email": "email_taken"},
    default_mode="upsert",
    fields=(
        Field(
            name="client_id",
            type="identifier",
            is_required=True,
            is_addressed=True,
            max_length=50,
            aliases=("id", "id cliente", "cliente", "customer id", "user id", "codigo do cliente"),
        ),
        Field(
            name="name",
            type="text",
            is_required=True,
            max_length=100,
            aliases=("nome", "client name", "customer name", "full name", "nome completo"),
        ),
        Field(
            name="email",
            type="email",
            is_required=True,
            max_length=100,
            aliases=("e-mail", "mail", "email address", "correio eletronico"),
        ),
        Field(
            name="date_of_birth",
            type="date",
            is_required=True,
            first=date(1850, 1, 1),
            ends_today=True,
            aliases=("data de nascimento", "nascimento", "birth date", "birthday", "dob"),
        ),
        Field(name="country", type="text", max_length=100, aliases=("pais", "nation")),
        Field(
            name="account_balance",
            type="decimal",
            default="0",
            aliases=("saldo", "balance", "saldo da conta"),
        ),
    ),
)

TRANSACTIONS = Dataset(
    name="transactions",
    title="Transactions",
    table="transaction",
    key="transaction_id",
    key_column="transaction_id",
    order_by="transaction_date",
    time_zone="UTC",
    modes=("insert",),
    views=("transaction_statistics",),
    fields=(
        Field(
            name="transaction_id",
            type="identifier",
            is_required=True,
            max_length=50,
            aliases=("id", "id transacao", "transacao", "codigo da transacao"),
        ),
        Field(
            name="client_id",
            type="identifier",
            is_required=True,
            max_length=50,
            aliases=("id cliente", "cliente", "customer id", "user id", "client"),
            reference=_client(is_made=False, code="unknown_client"),
        ),
        Field(
            name="transaction_type",
            type="choice",
            is_required=True,
            choices=("buy", "sell"),
            aliases=("type", "tipo", "tipo de transacao", "operacao"),
        ),
        Field(
            name="transaction_date",
            type="datetime",
            is_required=True,
            first=date(1970, 1, 1),
            last=date(2099, 12, 31),
            aliases=("date", "data", "data da transacao", "timestamp"),
        ),
        Field(
            name="currency",
            type="code",
            is_required=True,
            max_length=3,
            upper=True,
            aliases=("moeda", "currency code"),
        ),
        Field(
            name="amount", type="decimal", is_required=True, aliases=("valor", "value", "montante", "quantia")
        ),
    ),
    rules=(
        SignRule(field="amount", choice="transaction_type", not_negative=("buy",), not_positive=("sell",)),
    ),
)

EVENTS = Dataset(
    name="events",
    title="Events",
    table="event",
    modes=("insert",),
    is_appended=True,
    fields=(
        Field(
            name="type",
            type="choice",
            is_required=True,
            choices=("deposit", "withdraw"),
            aliases=("tipo", "event type", "operacao"),
        ),
        Field(
            name="amount",
            type="decimal",
            is_required=True,
            digits=10,
            lowest=Decimal("0.01"),
            aliases=("valor", "value", "montante", "quantia"),
        ),
        Field(
            name="user_id",
            type="identifier",
            is_required=True,
            max_length=50,
            aliases=("client id", "id cliente", "cliente", "customer id", "user", "client"),
            reference=_client(is_made=False, code="unknown_client"),
        ),
        Field(
            name="t",
            type="decimal",
            is_required=True,
            digits=19,
            places=0,
            lowest=Decimal(0),
            highest=Decimal(2**63 - 1),
            aliases=("time", "timestamp", "second", "segundo"),
        ),
    ),
)

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset for dataset in (ATENDIMENTOS, CLIENTS, TRANSACTIONS, EVENTS)
}

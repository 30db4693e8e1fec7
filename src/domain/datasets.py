"""What can be imported: each dataset is one declaration, and the import knows none of them by name."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal, Self

FieldType = Literal["text", "identifier", "email", "choice", "code", "decimal", "date", "datetime"]
Mode = Literal["insert", "upsert"]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A field that names a row of another table by its `column`; the dataset's table keeps its id."""

    table: str
    column: str
    key: str  # the column of the dataset's own table that holds the id
    is_made: bool  # whether an unknown one is made, or the row rejected with `code`
    code: str = ""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One value of a row: how it is read, what is refused, and which headers mean it."""

    name: str
    type: FieldType
    is_required: bool = False
    max_length: int = 0  # characters; 0: no limit
    digits: int = 15  # of a decimal, with its places
    places: int = 2
    choices: tuple[str, ...] = ()
    upper: bool = False  # a code or choice is kept in capitals, else in small letters
    first: date | None = None  # the bounds of a date, both included
    last: date | None = None
    default: str | None = None
    aliases: tuple[str, ...] = ()
    reference: Reference | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        bounds = {name: data[name] and date.fromisoformat(data[name]) for name in ("first", "last")}
        tuples = {name: tuple(data[name]) for name in ("choices", "aliases")}
        reference = data["reference"] and Reference(**data["reference"])
        return cls(**{**data, **bounds, **tuples, "reference": reference})

    def to_json(self) -> dict[str, Any]:
        bounds = {name: day and day.isoformat() for name, day in (("first", self.first), ("last", self.last))}
        return {**asdict(self), **bounds}


@dataclass(frozen=True, kw_only=True)
class SignRule:
    """The sign of a number depends on a choice: a value below zero only for some of them."""

    field: str
    choice: str
    not_negative: tuple[str, ...]
    not_positive: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Folds:
    """Columns of a table whose rows are counted by month: where, who, for whom, when due, when done."""

    place: str
    who: str
    whom: str
    due: str
    done: str


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A kind of row that can be imported, and the table that it goes to."""

    name: str
    title: str
    table: str
    fields: tuple[Field, ...]
    key: str | None = None  # the field that names a row
    key_column: str | None = None  # its column
    unique: Mapping[str, str] | None = None  # other fields that no two rows share, with their reject codes
    order_by: str | None = None  # rows are written in this order, which is that of an index
    time_zone: str | None = None  # of times without an offset; None: the one of the business
    default_mode: Mode = "insert"
    modes: tuple[Mode, ...] = ("insert", "upsert")
    rules: tuple[SignRule, ...] = ()
    views: tuple[str, ...] = ()  # materialized views that show its rows
    folds: Folds | None = None  # rollups of its rows

    def field(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields if field.is_required)


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
            aliases=("prazo", "limite", "deadline", "due date", "limit date"),
        ),
        Field(
            name="data_de_atendimento",
            type="datetime",
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

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in (ATENDIMENTOS, CLIENTS, TRANSACTIONS)}

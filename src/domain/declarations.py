"""The words in which datasets are declared: fields, references, rules, and the dataset itself."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from decimal import Decimal
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
    is_addressed: bool = False  # an id of what has an address here by it
    upper: bool = False  # a code or choice is kept in capitals, else in small letters
    first: date | None = None  # the bounds of a date, both included
    last: date | None = None
    ends_today: bool = False  # the last day is the current one of UTC, whenever the value comes
    lowest: Decimal | None = None  # the bounds of a decimal, both included
    highest: Decimal | None = None
    default: str | None = None
    aliases: tuple[str, ...] = ()
    reference: Reference | None = None

    def on(self, today: date) -> Self:
        """The field with the bounds that it has on this day."""
        return replace(self, last=today) if self.ends_today else self

    def allows(self, day: date) -> bool:
        """Whether the day is within the bounds."""
        return (self.first or date.min) <= day <= (self.last or date.max)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        bounds: dict[str, Any] = {
            name: data[name] and date.fromisoformat(data[name]) for name in ("first", "last")
        }
        bounds |= {name: data[name] and Decimal(data[name]) for name in ("lowest", "highest")}
        tuples = {name: tuple(data[name]) for name in ("choices", "aliases")}
        reference = data["reference"] and Reference(**data["reference"])
        return cls(**{**data, **bounds, **tuples, "reference": reference})

    def to_json(self) -> dict[str, Any]:
        bounds = {name: getattr(self, name) for name in ("first", "last", "lowest", "highest")}
        return {**asdict(self), **{name: None if one is None else str(one) for name, one in bounds.items()}}


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
    is_appended: bool = False  # rows are judged in the order of the file, and what is stored is final

    def field(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)

    @property
    def compared(self) -> tuple[str, ...]:
        """The fields whose values are looked up in other rows and tables before a row is loaded."""
        pointing = (field.name for field in self.fields if field.reference and not field.reference.is_made)
        return (*([self.key] if self.key else ()), *(self.unique or ()), *pointing)

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields if field.is_required)

"""What an import asks of the engine, and what comes back: which columns feed which fields, read how."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from src.domain.datasets import Field, FieldType, SignRule
from src.engine.values import DateOrder, Detected

SQL_TYPES: Mapping[FieldType, str] = {
    "text": "text",
    "identifier": "text",
    "email": "text",
    "choice": "text",
    "code": "text",
    "date": "date",
    "datetime": "timestamp",
}


@dataclass(frozen=True, kw_only=True)
class MappedColumn:
    """A column of the file, by its place, the field that it feeds, and how numbers and dates are written."""

    position: int
    field: Field
    decimal: str = "."
    date_order: DateOrder = "ymd"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{**data, "field": Field.from_json(data["field"])})

    def to_json(self) -> dict[str, Any]:
        return {
            "position": self.position,
            "field": self.field.to_json(),
            "decimal": self.decimal,
            "date_order": self.date_order,
        }


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """How a file becomes rows. `time_zone` is that of times without an offset, and of all that come out.

    Unless the encoding is given, by the user or by a byte order mark, the whole file decides on it.
    """

    detected: Detected
    columns: tuple[MappedColumn, ...]
    rules: tuple[SignRule, ...] = ()
    compared: tuple[str, ...] = ()  # the fields that are told of refused rows as well
    time_zone: str = "UTC"
    is_encoding_given: bool = False

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        rules = tuple(
            SignRule(
                field=rule["field"],
                choice=rule["choice"],
                not_negative=tuple(rule["not_negative"]),
                not_positive=tuple(rule["not_positive"]),
            )
            for rule in data["rules"]
        )
        columns = tuple(MappedColumn.from_json(column) for column in data["columns"])
        detected = Detected.from_json(data["detected"])
        return cls(
            **{
                **data,
                "detected": detected,
                "columns": columns,
                "rules": rules,
                "compared": tuple(data["compared"]),
            }
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "detected": asdict(self.detected),
            "columns": [column.to_json() for column in self.columns],
            "rules": [asdict(rule) for rule in self.rules],
            "compared": list(self.compared),
            "time_zone": self.time_zone,
            "is_encoding_given": self.is_encoding_given,
        }

    @property
    def marks(self) -> dict[int, str]:
        """The positions that are wanted, each with the decimal mark that its typed numbers get."""
        return {column.position: column.decimal for column in self.columns}

    def header(self, column: MappedColumn) -> str:
        """What the column is called in the file."""
        return self.detected.columns[column.position].name


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What came of a file; `summary` counts faults by the column's header and by code."""

    rows_read: int
    rows_good: int
    rows_rejected: int
    is_whole: bool  # whether the file was read to its end
    encoding: str | None
    is_recoded: bool  # the file was taken for UTF-8, but most of its rows are CP1252
    summary: dict[str, dict[str, int]]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**data)

    @property
    def own_summary(self) -> dict[str, dict[str, int]]:
        """A copy, to add more to."""
        return {column: dict(codes) for column, codes in self.summary.items()}

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Ambiguous:
    """A column that its values don't settle: an example, and what it means in each of the two readings."""

    column: str
    field: str
    kind: str  # dates or numbers
    value: str
    readings: dict[str, str]  # the order or mark, and what the example then is


@dataclass(frozen=True, kw_only=True)
class Settled:
    """The plan with every column read as its values say, and the columns that stay open."""

    plan: LoadPlan
    ambiguous: tuple[Ambiguous, ...]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        ambiguous = tuple(Ambiguous(**column) for column in data["ambiguous"])
        return cls(plan=LoadPlan.from_json(data["plan"]), ambiguous=ambiguous)

    def to_json(self) -> dict[str, Any]:
        return {"plan": self.plan.to_json(), "ambiguous": [asdict(column) for column in self.ambiguous]}


def staging_types(plan: LoadPlan) -> list[str]:
    """The SQL type of each mapped column of the COPY stream; before them comes `line`, a bigint."""
    return [_sql_type(column.field) for column in plan.columns]


def _sql_type(field: Field) -> str:
    if field.type == "decimal":
        return f"numeric({field.digits},{field.places})"
    return SQL_TYPES[field.type]

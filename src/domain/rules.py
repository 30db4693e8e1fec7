"""Rules: the document that says how a report is made, in its short form (a list) or its full form."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from src.domain.errors import FieldError, Invalid
from src.domain.formulas import BadFormula, Formula, parse, type_named
from src.domain.formulas.types import UNKNOWN, Type

FORMATS = ("csv", "xlsx", "json", "jsonl", "parquet", "html", "pdf")
MOST_OUTPUTS = 500
MOST_LOOKUPS = 20
MOST_ROWS = 10**12
LONGEST_NAME = 200
MISSING = ("null", "drop", "fail", "default")
MEMBERS = (
    "outputs",
    "types",
    "lookups",
    "where",
    "group_by",
    "order_by",
    "limit",
    "format",
    "parameters",
    "title",
)


class BadRules(Invalid):
    slug = "bad-rules"
    title = "The rules are not valid"


@dataclass(frozen=True, kw_only=True)
class Output:
    """A column of the report. `pointer`: where it stands in the document."""

    name: str
    formula: str
    pointer: str


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """A search for rows whose columns `on` equal those of the input; `take` None takes all others."""

    on: tuple[str, ...]
    take: tuple[str, ...] | None = None
    missing: str = "null"
    defaults: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """A document that was understood. `lookups` None: one for each column that input and reference share."""

    outputs: tuple[Output, ...]
    types: Mapping[str, str] = field(default_factory=dict)
    lookups: tuple[Lookup, ...] | None = None
    where: str | None = None
    group_by: tuple[str, ...] | None = None
    order_by: tuple[tuple[str, bool], ...] = ()
    limit: int | None = None
    format: str = "csv"
    parameters: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    title: str | None = None

    @property
    def parameter_types(self) -> dict[str, Type]:
        return {name: type_named(kind) or UNKNOWN for name, (kind, _) in self.parameters.items()}

    def formulas(self, columns: Mapping[str, Type]) -> list[Formula]:
        """The outputs' formulas over these columns; what is wrong is raised for all of them at once."""
        return [formula for _, formula in self._parsed(columns)]

    def condition(self, columns: Mapping[str, Type]) -> Formula | None:
        if self.where is None:
            return None
        try:
            return parse(self.where, {**columns, **self.parameter_types}, is_condition=True)
        except BadFormula as error:
            wrong = fault("/where", "where", error)
            raise BadRules(wrong.message, errors=[wrong]) from error

    def _parsed(self, columns: Mapping[str, Type]) -> list[tuple[Output, Formula]]:
        found, errors = [], []
        known = {**columns, **self.parameter_types}
        for output in self.outputs:
            try:
                found.append((output, parse(output.formula, known, keys=self.group_by)))
            except BadFormula as error:
                errors.append(fault(output.pointer, output.name, error))
        if errors:
            raise BadRules(errors[0].message, errors=errors)
        return found


def fault(pointer: str, name: str, error: BadFormula) -> FieldError:
    return FieldError(pointer, error.code, f"{name}: {error.detail}")

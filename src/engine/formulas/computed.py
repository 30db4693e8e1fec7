"""An expression and, where it may fail, why: both are columns, so that no cell can stop a report."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from src.domain.formulas.types import Type


@dataclass(frozen=True, slots=True)
class Computed:
    """`reason` is null where there is a value, or where it is simply missing; None: it never fails."""

    value: ir.Value
    reason: ir.Value | None = None

    @property
    def shown(self) -> ir.Value:
        """The value, and nothing where there is none."""
        return self.value if self.reason is None else self.reason.isnull().ifelse(self.value, ibis.null())


def data_type(type_: Type) -> dt.DataType:
    """How the engine holds values of a type."""
    if type_.kind == "number":
        return dt.Decimal(type_.digits, type_.places)
    kinds = {
        "double": dt.float64,
        "text": dt.string,
        "boolean": dt.boolean,
        "date": dt.date,
        "datetime": dt.Timestamp(),
    }
    return kinds.get(type_.kind, dt.string)


def constant(value: object, type_: Type) -> ir.Value:
    if value is None:
        return ibis.null(data_type(type_))
    return ibis.literal(value, type=data_type(type_))


def unless(is_fine: ir.Value, reason: str) -> ir.Value:
    """The reason where something is not fine."""
    return is_fine.ifelse(ibis.null("string"), reason)


def first(reasons: Iterable[ir.Value | None]) -> ir.Value | None:
    """The first reason that holds; None if none can."""
    there = [reason for reason in reasons if reason is not None]
    return ibis.coalesce(*there) if len(there) > 1 else there[0] if there else None


def present(one: Computed, type_: Type) -> ir.Value:
    """A missing text is empty, a missing number 0, a missing condition false."""
    kinds = {"number": Decimal(0), "double": 0.0, "text": "", "boolean": False}
    if type_.kind not in kinds:
        return one.value
    return one.value.fill_null(constant(kinds[type_.kind], type_))

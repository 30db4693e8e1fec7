"""The cells of a report's rows: as texts, and as values of their types, or the reason why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass

import ibis.expr.types as ir

from src.domain.formulas import Type
from src.engine.formulas import Computed, data_type
from src.engine.formulas.computed import constant, unless
from src.engine.queries.readings import moment, number, plain_number, truth
from src.engine.values import Column


@dataclass(frozen=True)
class Cell:
    """A column of a table, by its key. `is_proven`: every cell is known to be what its type says."""

    key: str
    reading: Column
    type: Type
    is_proven: bool

    def text(self, table: ir.Table) -> ir.StringValue:
        """What stands there; a missing text is an empty one."""
        return table[self.key].fill_null("")

    def computed(self, table: ir.Table) -> Computed:
        """Its values; a cell that its type can't hold has none, and says so."""
        text = self.text(table)
        if self.type.kind == "text":
            return Computed(text)
        if self.type.kind in ("number", "double"):
            return self._number(text)
        if self.type.kind == "boolean":
            return self._checked(text, truth(text), "not_a_condition")
        value = moment(text, _dated(self.reading))
        return self._checked(text, value.cast(data_type(self.type)), "not_a_date")

    def _number(self, text: ir.StringValue) -> Computed:
        plain = plain_number(text, self.reading)
        value = number(text, self.reading, data_type(self.type))
        if self.is_proven:
            return Computed(value)
        whole, places = self.type.whole or 18, self.type.places or 10
        form = rf"^\s*[+-]?(0*[0-9]{{1,{whole}}}([.][0-9]{{0,{places}}}0*)?|[.][0-9]{{1,{places}}})\s*$"
        if self.type.kind == "number" and not self.type.places:
            form = rf"^\s*[+-]?0*[0-9]{{1,{whole}}}([.]0*)?\s*$"
        return Computed(value, unless((plain.strip() == "") | plain.re_search(form), "not_a_number"))

    def _checked(self, text: ir.StringValue, value: ir.Value, reason: str) -> Computed:
        if self.is_proven:
            return Computed(value)
        return Computed(value, unless((text.strip() == "") | value.notnull(), reason))


def _dated(reading: Column) -> Column:
    """A column that is declared a date is read as ISO 8601, unless the file shows another order."""
    return reading if reading.type in ("date", "datetime") else Column(name=reading.name, type="datetime")


def constants(values: Mapping[str, object], types: Mapping[str, Type]) -> dict[str, Computed]:
    """Parameters as columns that are the same in every row."""
    return {name: Computed(constant(value, types[name])) for name, value in values.items()}

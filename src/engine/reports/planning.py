"""Rules over an input and a reference, as a plan: which rows come out, and which cells have no value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir

from src.domain.errors import FieldError
from src.domain.formulas import Formula, Type, Value, nearest, type_named
from src.domain.formulas.tree import Call
from src.domain.formulas.types import TEXT
from src.domain.rules import Lookup, Rules
from src.engine.formulas import Computed, aggregates_in, as_text, compute, compute_aggregate
from src.engine.queries.rows import ROW, Note, Part, QueryColumn, Rows, scan
from src.engine.queries.running import MEMORY
from src.engine.queries.statements import OutputFormat
from src.engine.reports.cells import Cell, constants
from src.engine.reports.lookups import beside, listed, noting, resolved
from src.engine.reports.values import Table, UnknownColumns
from src.engine.values import MIB, Column, ColumnType

MOST_LISTED = 100_000
FAILING = "part_failing"
PASSING_BY = 768 * MIB
COLUMN_TYPES: Mapping[str, ColumnType] = {
    "number": "decimal",
    "double": "decimal",
    "boolean": "boolean",
    "date": "date",
    "datetime": "datetime",
}


@dataclass(frozen=True)
class Output:
    """A column of the report. `reading`: how its texts are read, where they are taken over from a file."""

    name: str
    type: Type
    reading: Column | None = None


@dataclass(frozen=True)
class Plan:
    """A report before it is run. `failing`: rows with cells that have no value, if there can be any."""

    rules: Rules
    input: Rows
    reference: Rows | None
    lookups: Sequence[Lookup]
    rows: Rows
    outputs: Sequence[Output]
    failing: Rows | None

    @property
    def memory(self) -> int:
        """What the child may have: rows that pass by one after the other leave the rest to others.

        Only what they miss is gathered then, and takes what there is before it goes to disk.
        """
        return PASSING_BY if self.rows.is_streamed else MEMORY


def plan_of(
    rules: Rules, table: Table, reference: Table | None, values: Mapping[str, Value], form: OutputFormat
) -> Plan:
    """Check the rules against the files, and say what is to be done. Nothing is read yet."""
    lookups = resolved(rules.lookups, table, reference)
    check_columns(
        rules,
        [column.name for column in table.columns],
        [column.name for column in reference.columns] if reference else None,
        lookups,
    )
    start = scan("input", table.columns)
    rows, cells = start, _cells(start, table, rules)
    other = None if reference is None else scan("reference", reference.columns)
    if reference is not None and other is not None:
        joined = beside(rows, cells, other, _cells(other, reference, rules), lookups)
        rows, cells = noting(joined.rows, start, other, lookups), joined.cells
    known = {name: cell.type for name, cell in cells.items()}
    maker = _Maker(rules, cells, values)
    rows = maker.kept(rows, known)
    made, reasons, formulas = maker.outputs(rows, known, form)
    outputs = [
        Output(output.name, formula.type, maker.taken_over(formula))
        for output, formula in zip(rules.outputs, formulas, strict=True)
    ]
    failing = maker.failing(made, reasons)
    made = maker.noting(made, reasons)
    return Plan(rules, start, other, lookups, maker.ordered(made), outputs, failing)


def check_columns(
    rules: Rules, columns: Sequence[str], others: Sequence[str] | None, lookups: Sequence[Lookup]
) -> None:
    """Whatever the rules name is in the files; raise all that is not, with the nearest names."""
    errors = []
    every = [*columns, *(others or ())]

    def check(names: Sequence[str], known: Sequence[str], pointer: str) -> None:
        for name in names:
            if name not in known:
                near = " or ".join(f"«{one}»" for one in nearest(name, known))
                hint = f" Did you mean {near}?" if near else ""
                errors.append(FieldError(pointer, "unknown_column", f"There is no column «{name}».{hint}"))

    for place, lookup in enumerate(rules.lookups or ()):
        check(lookup.on, columns, f"/rules/lookups/{place}/on")
        check(lookup.on, others or (), f"/rules/lookups/{place}/on")
        check(lookup.take or (), others or (), f"/rules/lookups/{place}/take")
    check(rules.group_by or (), every, "/rules/group_by")
    check(list(rules.types), every, "/rules/types")
    errors += [
        FieldError(f"/rules/parameters/{name}", "taken", f"«{name}» is also a column.")
        for name in rules.parameters
        if name in every
    ]
    if errors:
        raise UnknownColumns(errors[0].message, errors=errors)
    del lookups


def _cells(rows: Rows, table: Table, rules: Rules) -> dict[str, Cell]:
    """A declared type goes before the one that was found; then cells are looked at one by one."""
    types, proven = table.exact_types(), table.proven()
    cells = {}
    for column in rows.columns:
        declared = type_named(rules.types[column.name]) if column.name in rules.types else None
        type_ = declared or types.get(column.name, TEXT)
        is_proven = column.name in proven and declared is None
        cells[column.name] = Cell(column.key, column.reading, type_, is_proven)
    return cells


class _Maker:
    """The rules, over the cells of one table."""

    def __init__(self, rules: Rules, cells: Mapping[str, Cell], values: Mapping[str, Value]) -> None:
        self.rules = rules
        self.cells = cells
        self.parameters = constants(values, rules.parameter_types)

    def computed(self, table: ir.Table, formulas: Sequence[Formula]) -> dict[str, Computed]:
        """The cells that the formulas use."""
        used = {name for formula in formulas for name in formula.columns}
        found = {name: cell.computed(table) for name, cell in self.cells.items() if name in used}
        return {**found, **self.parameters}

    def kept(self, rows: Rows, known: Mapping[str, Type]) -> Rows:
        """The rows that the condition is true for; where it has no value, a row is not."""
        condition = self.rules.condition(known)
        if condition is None:
            return rows
        found = compute(condition, self.computed(rows.table, [condition]))
        is_true = found.value.fill_null(False)
        if found.reason is not None:
            is_true = is_true & found.reason.isnull()
        return rows.where(is_true)

    def outputs(
        self, rows: Rows, known: Mapping[str, Type], form: OutputFormat
    ) -> tuple[Rows, dict[str, str], list[Formula]]:
        """The rows with the columns of the report, and the columns that hold reasons."""
        formulas = self.rules.formulas(known)
        if self.rules.group_by is None:
            found = self.computed(rows.table, formulas)
            made = [compute(formula, found) for formula in formulas]
        else:
            rows, made = self.grouped(rows, formulas)
        return self.written(rows, formulas, made, form)

    def grouped(self, rows: Rows, formulas: Sequence[Formula]) -> tuple[Rows, list[Computed]]:
        """One row for each group, in the order in which the groups begin."""
        calls = list(dict.fromkeys(call for formula in formulas for call in aggregates_in(formula)))
        keys = {self.cells[name].key: self.cells[name].text(rows.table) for name in self.rules.group_by or ()}
        table = rows.table.mutate(**keys)
        cells = self.computed(table, formulas)
        columns: dict[str, ir.Value] = {ROW: table[ROW].min()}
        for place, call in enumerate(calls):
            one = compute_aggregate(call, table, cells)
            columns[f"a{place}"] = one.value
            columns[f"ar{place}"] = ibis.null("string") if one.reason is None else one.reason
        grouped = (table.group_by(list(keys)) if keys else table).aggregate(**columns)
        ready: dict[Call, Computed] = {
            call: Computed(grouped[f"a{place}"], grouped[f"ar{place}"]) for place, call in enumerate(calls)
        }
        outside = {name: self.cells[name].computed(grouped) for name in self.rules.group_by or ()}
        made = [compute(formula, {**outside, **self.parameters}, ready) for formula in formulas]
        return replace(rows, table=grouped, is_streamed=False, is_renumbered=True), made

    def written(
        self, rows: Rows, formulas: Sequence[Formula], made: Sequence[Computed], form: OutputFormat
    ) -> tuple[Rows, dict[str, str], list[Formula]]:
        """As columns of the table; what is computed is written as text where the format has only texts."""
        values: dict[str, ir.Value] = {}
        columns, reasons = [], {}
        sorters = {name for name, _ in self.rules.order_by}
        for place, (output, formula, one) in enumerate(zip(self.rules.outputs, formulas, made, strict=True)):
            values[f"o{place}"] = self.shown(rows.table, formula, one, form)
            if output.name in sorters:
                values[f"v{place}"] = one.shown
            if one.reason is not None:
                values[f"r{place}"] = one.reason
                reasons[output.name] = f"r{place}"
            kind = COLUMN_TYPES.get(formula.type.kind, "text")
            columns.append(QueryColumn(f"o{place}", Column(name=output.name, type=kind), kind != "text"))
        return (
            replace(rows, table=rows.table.mutate(**values), columns=tuple(columns)),
            reasons,
            list(formulas),
        )

    def taken_over(self, formula: Formula) -> Column | None:
        """The reading of a lone column, which comes out as it stands in the file."""
        if not formula.is_column or self.rules.group_by is not None or formula.columns[0] not in self.cells:
            return None
        return self.cells[formula.columns[0]].reading

    def shown(self, table: ir.Table, formula: Formula, one: Computed, form: OutputFormat) -> ir.Value:
        """As text, unless the format has values."""
        if form in ("parquet", "jsonl"):
            return one.shown
        text = as_text(one.value, formula.type)
        if self.taken_over(formula) is not None:
            text = self.cells[formula.columns[0]].text(table)
        text = text.nullif("")
        return text if one.reason is None else one.reason.isnull().ifelse(text, ibis.null("string"))

    def noting(self, rows: Rows, reasons: Mapping[str, str]) -> Rows:
        """The same rows, of which notes can be taken where some cell has no value."""
        if not reasons:
            return rows
        texts = [ibis._[key] for key in reasons.values()]
        is_bad = reduce(or_, (text.notnull() for text in texts))
        return replace(rows, notes=(*rows.notes, Note(_failing(rows, reasons), is_bad, texts)))

    def failing(self, rows: Rows, reasons: Mapping[str, str]) -> Rows | None:
        """Rows of which some cell has no value: the row's number, and the reasons by the output's place."""
        if not reasons:
            return None
        part = _failing(rows, reasons)
        bad = ibis.table(part.table.schema(), name=part.name)
        count = sum((bad[key].notnull().cast("int64") for key in reasons.values()), ibis.literal(0))
        bad = bad.mutate(place=bad[ROW] + 1, cells=count)
        bad = bad.mutate(total=bad["cells"].sum().over())
        return listed(bad, rows.source, ["place", *reasons.values(), "total"], MOST_LISTED, [part])

    def ordered(self, rows: Rows) -> Rows:
        """Sorted by outputs, if the rules say so, and cut."""
        places = {output.name: place for place, output in enumerate(self.rules.outputs)}
        keys = [(self.sort_key(rows.table[f"v{places[name]}"]), down) for name, down in self.rules.order_by]
        if keys:
            rows = rows.sorted_by(keys)
        return rows if self.rules.limit is None else rows.first(self.rules.limit)

    def sort_key(self, value: ir.Value) -> ir.Value:
        """The value, not the text that is shown; what is empty comes last."""
        return value.nullif("") if isinstance(value, ir.StringValue) else value


def _failing(rows: Rows, reasons: Mapping[str, str]) -> Part:
    """The numbers of rows with a cell that has no value, and the reasons."""
    is_bad = ibis.or_(*(rows.table[key].notnull() for key in reasons.values()))
    return Part(FAILING, rows.table.filter(is_bad).select(ROW, *reasons.values()))

"""Queries as SQL of DuckDB: all that this engine needs said in its own words."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import ibis
import ibis.expr.types as ir
from ibis.backends.sql.compilers import DuckDBCompiler
from sqlglot import exp

from src.engine.queries.functions import noted, to_json
from src.engine.queries.rows import ROW, Note, Part, QueryColumn, Rows, keys_of_file
from src.engine.queries.statements import Chosen, NoteStatement, OutputFormat, PartStatement, Statements

CHANGING = (
    exp.Where,
    exp.Join,
    exp.Group,
    exp.AggFunc,
    exp.Having,
    exp.Window,
    exp.Order,
    exp.Limit,
    exp.Offset,
    exp.Distinct,
    exp.SetOperation,
    exp.Unnest,
)


def statements(rows: Rows, form: OutputFormat) -> Statements:
    """What to execute, one after the other, and what is selected in the end."""
    sets = {part.name for part in rows.parts if part.is_set}
    notes = rows.notes if rows.is_streamed else ()
    selected = _noting(rows.in_order(), notes).select(**_selection(rows, form))
    tree = _tree(selected, sets)
    return Statements(
        parts=[_statement(part, rows.source, sets) for part in rows.parts],
        select=tree.sql("duckdb"),
        headers=rows.names,
        are_numbers=[column.reading.type in ("integer", "decimal") for column in rows.columns],
        is_joined=any(True for _ in tree.find_all(exp.Join)),
        is_gathered=any(True for _ in tree.find_all(exp.Order, exp.Group, exp.Window)),
        format=form,
        divided=rows.source if len(sets) == len(rows.parts) and _is_divisible(tree, form) else None,
        chosen=_chosen(rows, tree, form),
        notes=[
            NoteStatement(note.part.name, note.part.table.columns, _tree(note.part.table, sets).sql("duckdb"))
            for note in notes
        ],
    )


def _noting(table: ir.Table, notes: Sequence[Note]) -> ir.Table:
    """All rows. Where nothing is to be told of one, as of most, its texts are not looked at."""
    for note in notes:
        texts = [text.resolve(table) for text in note.texts]
        is_told = note.is_told.resolve(table)
        table = table.filter(is_told.ifelse(noted(note.part.name, table[ROW], *texts), True))
    return table


def _statement(part: Part, source: str, sets: Collection[str]) -> PartStatement:
    found = PartStatement(
        name=part.name,
        select="",
        set_of=source if part.is_set else None,
        may_stop=part.may_stop,
        refusal=part.refusal,
    )
    if part.choice is None:
        return replace(found, select=_tree(part.table, sets).sql("duckdb"))
    tree = _tree(part.choice.table, sets)
    return replace(
        found,
        select=tree.sql("duckdb"),
        keep=part.choice.keep,
        keys=part.choice.table.columns[2:],
        is_whole=_is_whole(tree),
    )


def _is_whole(tree: exp.Expression, *allowed: type[exp.Expression]) -> bool:
    """Whether each row of one table is selected as it is, and nothing but what is allowed happens besides."""
    return not any(True for _ in tree.find_all(*(kind for kind in CHANGING if kind not in allowed)))


def _is_divisible(tree: exp.Expression, form: OutputFormat) -> bool:
    """Whether rows pass by one by one, on one thread: they are joined, or chosen by their numbers."""
    if form not in ("csv", "jsonl") or not _is_whole(tree, exp.Where, exp.Join):
        return False
    tests = [column for where in tree.find_all(exp.Where) for column in where.find_all(exp.Column)]
    return tree.find(exp.Join) is not None or any(column.name == ROW for column in tests)


def _chosen(rows: Rows, tree: exp.Expression, form: OutputFormat) -> Chosen | None:
    """The sets, if nothing else chooses the rows, and all columns come out as they stand in the file."""
    is_changed = [column.key for column in rows.columns] != keys_of_file(len(rows.columns))
    if form != "csv" or is_changed or not _is_whole(tree, exp.Where):
        return None
    tests = [test for where in tree.find_all(exp.Where) for test in _all_of(where.this)]
    sets = [_tested_set(test) for test in tests]
    guarded = [place for place, column in enumerate(rows.columns) if not column.is_harmless]
    return Chosen([name for name in sets if name], guarded) if sets and all(sets) else None


def _all_of(test: exp.Expr) -> list[exp.Expr]:
    """The tests that all have to be passed."""
    test = test.unnest()
    return [*_all_of(test.left), *_all_of(test.right)] if isinstance(test, exp.And) else [test]


def _selection(rows: Rows, form: OutputFormat) -> dict[str, ir.Value]:
    """What to select, under names of ours."""
    if form == "jsonl":
        return {"line": _json_line(rows)}
    if form == "parquet":
        return {f"o{place}": rows.cell(name) for place, name in enumerate(rows.names)}
    if form == "csv":
        return {f"o{place}": rows.shown(name) for place, name in enumerate(rows.names)}
    return {f"o{place}": rows.text(name) for place, name in enumerate(rows.names)}


def _json_line(rows: Rows) -> ir.StringValue:
    """An object with the names of the columns: texts of the file stay texts, computed values are typed."""
    members = [to_json(ibis.literal(column.name)) + ":" + _json(rows, column) for column in rows.columns]
    line = ibis.literal("{")
    for place, member in enumerate(members):
        line = line + ("," if place else "") + member
    return line + "}"


def _json(rows: Rows, column: QueryColumn) -> ir.StringValue:
    cell, text = rows.cell(column.name), rows.text(column.name)
    is_bare = isinstance(cell, ir.NumericValue | ir.BooleanValue)
    return (text if is_bare else to_json(text)).fill_null("null")


def _tree(table: ir.Table, bit_sets: Collection[str]) -> exp.Expression:
    """The syntax tree, as DuckDB does it best.

    A part that is used twice is computed twice: reading a file again costs less than keeping all of it.
    Whether a row's number is in a set is looked up in a string of bits, not joined: that keeps the order.
    """
    tree: exp.Expression = (
        DuckDBCompiler().to_sqlglot(table).copy()
    )  # the same object may be in several places
    for part in tree.find_all(exp.CTE):
        part.set("materialized", False)
    for test in list(tree.find_all(exp.In)):
        name = _table_name(test)
        if name in bit_sets:
            test.replace(_bit_test(name, test.this))
    return tree


def _table_name(test: exp.In) -> str:
    query = test.args.get("query")
    table = query.find(exp.Table) if query else None
    return table.name if table else ""


def _tested_set(test: exp.Expr) -> str | None:
    """The set in which a row's number is looked up, if that is what is tested."""
    found = test.find(exp.Getbit) if isinstance(test, exp.EQ) else None
    return found.this.expressions[0].name if found else None


def _bit_test(name: str, number: exp.Expression) -> exp.Expression:
    bits = exp.func("getvariable", exp.Literal.string(name))
    return exp.EQ(
        this=exp.func("get_bit", bits, exp.cast(number.copy(), "int")), expression=exp.Literal.number(1)
    )

"""The steps that operations are made of, by name: rows and arguments in, rows out.

Arguments come checked for their shape; what they say about columns is checked by `applying`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import ibis
import ibis.expr.types as ir

from src.domain.formulas import parse, type_named
from src.domain.patterns import check_pattern
from src.engine.formulas import Computed, compute, data_type
from src.engine.operations.aggregating import aggregated
from src.engine.operations.faults import UnreadableValue
from src.engine.operations.filters import conditions
from src.engine.operations.literals import literal
from src.engine.queries.readings import is_empty, typed
from src.engine.queries.rows import ROW, Rows
from src.engine.values import Column

Arguments = Mapping[str, Any]
Tables = Mapping[str, Rows]
Step = Callable[[Rows, Arguments, Tables], Rows]

PRIME, MULTIPLIER, STRIDE = 2_147_483_647, 48_271, 1_000_003  # of the pseudo-random order of a sample


def dedup(rows: Rows, arguments: Arguments, _: Tables) -> Rows:
    return rows.one_of_each(arguments.get("columns") or rows.names, arguments["keep"])


def unique(rows: Rows, arguments: Arguments, _: Tables) -> Rows:
    return rows.one_of_each([arguments["column"]], "first")


def filter_(rows: Rows, arguments: Arguments, _: Tables) -> Rows:
    return rows.where(conditions(rows, arguments))


def select(rows: Rows, arguments: Arguments, _: Tables) -> Rows:
    return rows.selected(arguments["columns"])


def rename(rows: Rows, arguments: Arguments, _: Tables) -> Rows:
    return rows.renamed(arguments["columns"])


def sort(rows: Rows, arguments: Arguments, _: Tables) -> Rows:
    """By values: numbers as numbers, dates as dates; empty cells come last."""
    return rows.sorted_by(
        [
            (
                ibis.ifelse(is_empty(rows.text(key["column"])), ibis.null(), rows.value(key["column"])),
                key["descending"],
            )
            for key in arguments["by"]
        ]
    )


def derive(rows: Rows, arguments: Arguments, _: Tables) -> Rows:
    """A new column by a formula; a cell that can't be computed is empty."""
    formula = parse(arguments["formula"], {name: _formula_type(rows, name) for name in rows.names})
    if formula.is_column:
        (name,) = formula.columns
        reading = dataclasses.replace(rows.column(name).reading, name=arguments["column"])
        return rows.with_values({reading.name: rows.cell(name)}, {reading.name: reading})
    cells = {}
    for name in formula.columns:
        type_ = type_named(_formula_type(rows, name))
        cells[name] = Computed(rows.value(name).try_cast(data_type(type_)) if type_ else rows.value(name))
    return rows.with_values({arguments["column"]: compute(formula, cells).shown})


def _formula_type(rows: Rows, name: str) -> str:
    is_double = isinstance(rows.cell(name), ir.FloatingValue)
    return "double" if is_double else rows.column(name).reading.type


def replace(rows: Rows, arguments: Arguments, _: Tables) -> Rows:
    """In the texts of a column; what comes of it is text."""
    name, old, new = arguments["column"], arguments["old"], arguments["new"]
    text = rows.text(name)
    if arguments["match"] == "cell":
        changed = ibis.ifelse(text.fill_null("") == old, new, text)
    elif arguments["match"] == "regex":
        check_pattern(old)
        changed = text.re_replace(old, new)
    else:
        changed = text.replace(old, new)
    return rows.with_values({name: changed})


def fill(rows: Rows, arguments: Arguments, _: Tables) -> Rows:
    """A value for empty cells; the column keeps its type if the value is of it."""
    filled, readings = {}, {}
    for name in arguments["columns"]:
        column, value = rows.column(name).reading, str(arguments["value"])
        filled[name] = ibis.ifelse(is_empty(rows.text(name)), value, rows.text(name))
        readings[name] = column if _is_of(column, value) else Column(name=name)
    return rows.with_values(filled, readings)


def _is_of(column: Column, value: str) -> bool:
    try:
        literal(column, value)
    except UnreadableValue:
        return False
    return True


def cast(rows: Rows, arguments: Arguments, _: Tables) -> Rows:
    """The values of a column as another type; what is none is refused, or emptied if that is wanted."""
    name, kind = arguments["column"], arguments["type"]
    if kind == "text":
        return rows.with_values({name: rows.text(name)})
    old = rows.column(name).reading
    reading = Column(
        name=name,
        type=kind,
        decimal=arguments.get("decimal") or old.decimal or "." if kind in ("integer", "decimal") else None,
        date_order=arguments.get("date_order") or old.date_order or "ymd"
        if kind in ("date", "datetime")
        else None,
    )
    value = typed(rows.text(name), reading)
    if arguments["on_error"] == "fail":
        bad = value.isnull() & ~is_empty(rows.text(name))
        rows = rows.unless_any(bad, name, f"Row {{row}}: {{cell!r}} in the column {name!r} is no {kind}.")
    return rows.with_values({name: value})


def split(rows: Rows, arguments: Arguments, _: Tables) -> Rows:
    """A column's texts cut at a separator; the last part has what is left."""
    parts = rows.text(arguments["column"]).split(arguments["separator"])
    *names, last = arguments["into"]
    values = {name: parts[place] for place, name in enumerate(names)}
    rest = parts[len(names) :].join(arguments["separator"])
    return rows.with_values({**values, last: rest.nullif("")})


def aggregate(rows: Rows, arguments: Arguments, _: Tables) -> Rows:
    return aggregated(rows, arguments["by"], arguments["values"])


def join(rows: Rows, arguments: Arguments, tables: Tables) -> Rows:
    """Beside each row the matching ones of another file, by exact texts; an empty cell matches nothing."""
    other = tables[arguments["file_id"]]
    on = arguments["on"]
    pairs = [(rows.identity(left).nullif(""), other.identity(right).nullif("")) for left, right in on.items()]
    taken: dict[str, str] = {}
    for name in other.names:
        if name not in on.values():
            taken[name] = _free(name, {*rows.names, *taken.values()})
    return rows.joined(other, pairs, taken, is_inner=arguments["how"] == "inner")


def _free(name: str, taken: set[str]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def sample(rows: Rows, arguments: Arguments, _: Tables) -> Rows:
    """So many rows, or such a share of them; the same seed takes the same ones, in the order of the file."""
    rows = rows.numbered()
    place = (rows.table[ROW] % PRIME * MULTIPLIER + arguments["seed"] % PRIME * STRIDE) % PRIME
    for _round in range(2):
        place = (place * place + arguments["seed"] % PRIME + STRIDE) % PRIME
    if arguments.get("share") is not None:
        return rows.where(place < int(arguments["share"] * PRIME))
    chosen = rows.table.select(**{ROW: rows.table[ROW], "place": place}).order_by(["place", ROW])
    return rows.among(chosen.limit(arguments["rows"]))


def limit(rows: Rows, arguments: Arguments, _: Tables) -> Rows:
    return rows.first(arguments["rows"], arguments["skip"])


STEPS: Mapping[str, Step] = {
    "dedup": dedup,
    "unique": unique,
    "filter": filter_,
    "select": select,
    "rename": rename,
    "sort": sort,
    "derive": derive,
    "replace": replace,
    "fill": fill,
    "cast": cast,
    "split": split,
    "aggregate": aggregate,
    "join": join,
    "sample": sample,
    "limit": limit,
}

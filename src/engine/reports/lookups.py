"""Lookups: rows of the reference beside those of the input, and what was not found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir
from ibis import Deferred

from src.domain.rules import Lookup
from src.engine.queries.rows import ROW, Note, Part, QueryColumn, Rows
from src.engine.reports.cells import Cell
from src.engine.reports.values import Table
from src.engine.values import Column

MOST_SHOWN = 1_000
MISSED = "part_missed"


@dataclass(frozen=True)
class Beside:
    """The input's rows with what was found beside them, and the cells by the names that formulas use."""

    rows: Rows
    cells: dict[str, Cell]


def resolved(lookups: Sequence[Lookup] | None, table: Table, reference: Table | None) -> list[Lookup]:
    """The lookups with what each takes. The short form has one for each column that both files share."""
    if reference is None:
        return []
    names, others = [column.name for column in table.columns], [column.name for column in reference.columns]
    shared = [name for name in others if name in names]
    found = [Lookup(on=(name,)) for name in shared] if lookups is None else list(lookups)
    free = tuple(name for name in others if name not in shared)
    return [lookup if lookup.take is not None else replace(lookup, take=free) for lookup in found]


def beside(
    rows: Rows,
    cells: Mapping[str, Cell],
    reference: Rows,
    others: Mapping[str, Cell],
    lookups: Sequence[Lookup],
) -> Beside:
    """Join after join; what a later lookup finds lies over what an earlier one found."""
    found = dict(cells)
    for place, lookup in enumerate(lookups):
        other = with_keys(replace(reference, source=f"lookup{place}"), lookup)
        taken = {name: f"{name}@{place}" for name in lookup.take or ()}
        pairs = [(rows.identity(name), other.identity(name)) for name in lookup.on]
        rows = rows.joined(other, pairs, taken, is_inner=lookup.missing == "drop", is_unique=True)
        added = rows.columns[len(rows.columns) - len(taken) :]
        for name, column in zip(taken, added, strict=True):
            under = found[name].key if name in found else None
            rows, key = _overlaid(rows, column.key, place, under, lookup.defaults.get(name))
            is_proven = others[name].is_proven and name not in lookup.defaults
            found[name] = replace(others[name], key=key, is_proven=is_proven)
    return Beside(rows, found)


def _overlaid(rows: Rows, key: str, place: int, under: str | None, default: str | None) -> tuple[Rows, str]:
    """What this lookup found, else its default, else what an earlier one found."""
    if under is None and default is None:
        return rows, key
    (new,) = rows.new_keys(1)
    rest = ibis.literal(default) if default is not None else rows.table[str(under)]
    is_found = rows.table[f"lookup{place}_{ROW}"].notnull()
    return replace(rows, table=rows.table.mutate(**{new: is_found.ifelse(rows.table[key], rest)})), new


def with_keys(reference: Rows, lookup: Lookup) -> Rows:
    """The rows of the reference that can be found: a key that is empty finds nothing."""
    for name in lookup.on:
        reference = reference.where(reference.identity(name) != "")
    return reference


def duplicates(reference: Rows, lookup: Lookup) -> Rows:
    """Keys that are in the reference more than once: their cells k0…, and in how many rows, n."""
    searched = with_keys(reference, lookup)
    keys = {f"k{place}": searched.identity(name) for place, name in enumerate(lookup.on)}
    table = searched.table.mutate(**keys)
    grouped = table.group_by(list(keys)).aggregate(n=table.count(), row=table[ROW].min())
    return listed(grouped.filter(grouped["n"] > 1), reference.source, [*keys, "n"], 10)


def unmatched(rows: Rows, reference: Rows, lookups: Sequence[Lookup]) -> list[Rows]:
    """For each lookup, keys of the input that the reference lacks, with the number of rows; and both totals.

    All say the same of what is found first, so that the input is read once for all of them: while its rows
    are written (`noting`), if they all pass by.
    """
    part = _part(rows, reference, lookups)
    missed = ibis.table(part.table.schema(), name=part.name)
    found = []
    for place in range(len(lookups)):
        left = missed.select(ROW, key=missed[f"k{place}"]).filter(lambda table: table["key"].notnull())
        grouped = left.group_by("key").aggregate(n=left.count(), row=left[ROW].min())
        totals = grouped.mutate(keys=grouped.count().over(), total=grouped["n"].sum().over())
        found.append(listed(totals, rows.source, ["key", "n", "keys", "total"], MOST_SHOWN, [part]))
    return found


def noting(found: Rows, rows: Rows, reference: Rows, lookups: Sequence[Lookup]) -> Rows:
    """What was found beside the rows of the input, of which notes can be taken unless some were dropped."""
    if not lookups or any(lookup.missing == "drop" for lookup in lookups):
        return found
    is_missed = reduce(or_, map(_is_missed, range(len(lookups))))
    note = Note(_part(rows, reference, lookups), is_missed, _missed_keys(rows, lookups))
    return replace(found, notes=(*found.notes, note))


def _part(rows: Rows, reference: Rows, lookups: Sequence[Lookup]) -> Part:
    """The rows with a key that the reference lacks: k0 and so on, null where a lookup found its key."""
    beside = rows
    for place, lookup in enumerate(lookups):
        other = with_keys(replace(reference, source=f"lookup{place}"), lookup)
        pairs = [(beside.identity(name), other.identity(name)) for name in lookup.on]
        beside = beside.joined(other, pairs, {}, is_unique=True)
    keys = {f"k{place}": key for place, key in enumerate(_missed_keys(rows, lookups))}
    found = beside.table.select(ROW, **keys)
    return Part(MISSED, found.filter(ibis.or_(*(found[key].notnull() for key in keys))))


def _missed_keys(rows: Rows, lookups: Sequence[Lookup]) -> list[Deferred]:
    """Of each lookup beside these rows, the key where it found none."""
    none = ibis.null("string")
    return [_is_missed(place).ifelse(_key(rows, lookup), none) for place, lookup in enumerate(lookups)]


def _is_missed(place: int) -> Deferred:
    missed: Deferred = ibis._[f"lookup{place}_{ROW}"].isnull()
    return missed


def listed(table: ir.Table, source: str, keys: Sequence[str], most: int, parts: Sequence[Part] = ()) -> Rows:
    """The first rows of a table that was made on the way, under names of ours: a user's may be the same."""
    columns = tuple(QueryColumn(key, Column(name=key)) for key in keys)
    made = Rows(table=table, columns=columns, source=source, is_streamed=False, parts=tuple(parts))
    return made.first(most)


def _key(rows: Rows, lookup: Lookup) -> Deferred:
    """One text for the columns of a key; a mark between them that no cell holds unescaped."""
    texts = [ibis._[rows.column(name).key].fill_null("") for name in lookup.on]
    if len(texts) == 1:
        return texts[0]
    parts = [text.replace("|", "||") for text in texts]
    result = parts[0]
    for part in parts[1:]:
        result = result + " | " + part
    return result

"""The first or last row of each key, found exactly: hashes narrow the search, texts decide.

A row whose hash nobody else has is unique. Rows that share one are compared as they are; and only where two
keys are behind one hash, which hardly ever happens, are rows grouped by their texts.
"""

from collections.abc import Sequence

import ibis.expr.types as ir

from src.engine.queries.functions import hashed
from src.engine.queries.rows import ROW, Rows


def deduplicated(rows: Rows, names: Sequence[str], *, is_last: bool) -> Rows:
    """One row for each combination of texts in these columns."""
    rows = rows.numbered()
    keys = {f"key_{place}": rows.identity(name) for place, name in enumerate(names)}
    keyed = rows.table.select(**{ROW: rows.table[ROW], "hash": hashed(*keys.values()), **keys})
    rows, groups = rows.beforehand(
        keyed.group_by("hash").agg(**{ROW: _one(keyed, is_last=is_last), "rows": keyed.count()})
    )
    shared = keyed.filter(keyed.hash.isin(groups.filter(groups.rows > 1).hash))
    same = shared.group_by(["hash", *keys]).agg()
    rows, mixed = rows.beforehand(_several(same), may_stop=True)
    doubtful = keyed.filter(keyed.hash.isin(mixed.hash))
    rows, settled = rows.beforehand(
        doubtful.group_by(list(keys)).agg(**{ROW: _one(doubtful, is_last=is_last)}).select(ROW), may_stop=True
    )
    certain = groups.filter(groups.hash.notin(mixed.hash)).select(ROW)
    return rows.among(certain.union(settled))


def _one(table: ir.Table, *, is_last: bool) -> ir.IntegerValue:
    return table[ROW].max() if is_last else table[ROW].min()


def _several(same: ir.Table) -> ir.Table:
    """The hashes that stand for more than one key."""
    counted = same.group_by("hash").agg(keys=same.count())
    return counted.filter(counted.keys > 1).select("hash")

"""A column's different values with counts, as the table `grouped`: found in passes, if there are many."""

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from src.engine.duck import quoted
from src.engine.reading.kinds import BLANKS_IN_SQL
from src.engine.reading.relation import Relation
from src.engine.values import MIB

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PER_GROUP = 40  # bytes that DuckDB keeps of each value besides its text
MEMORIES = 2  # that a pass may fill: what has no room goes to disk, but from about five on it gives up
SMALL = 2 * MIB  # of a relation: to ask how large its columns are would take as long as to group one
MOST_UNPACKED = 255  # times as large as it is packed: more, LZ4 cannot save
LOW_BITS = 32  # of a hash: by those, DuckDB finds a place in its tables; in a pass, they must not be alike


@dataclass(frozen=True)
class StoredColumn:
    """A column on disk: where SQL selects it, and at most how many bytes its different texts have."""

    source: str
    key: str
    rows: int
    texts: int


def stored_columns(connection: "DuckDBPyConnection", relation: Relation) -> list[StoredColumn]:
    """All of a relation. Only of what is not small anyway it is worth asking how large the columns are."""
    packed = sum(Path(file).stat().st_size for file in relation.files)
    sizes = _sizes(connection, relation) if packed > SMALL else {}
    keys = [f"c{place}" for place in range(len(relation.names))]
    return [
        StoredColumn(relation.source(place), key, relation.rows, sizes.get(key, MOST_UNPACKED * packed))
        for place, key in enumerate(keys)
    ]


def _sizes(connection: "DuckDBPyConnection", relation: Relation) -> dict[str, int]:
    """Of the columns, uncompressed: each value is there in full, at least once."""
    files = ", ".join(map(quoted, relation.files))
    size = "sum(total_uncompressed_size)::bigint"
    query = f"select path_in_schema, {size} from parquet_metadata([{files}]) group by 1"
    return dict(connection.execute(query).fetchall())


def group(connection: "DuckDBPyConnection", column: StoredColumn, memory: int) -> None:
    """One row per distinct value; a value that starts below '!' may be blank, and what is blank is empty."""
    name = column.key
    is_blank = f"{name} < '!' and trim({name}, E'{BLANKS_IN_SQL}') = ''"
    value = f"case when {name} >= '!' then {name} when {is_blank} then null else {name} end as v"
    passes = _passes(connection, column, memory)
    for number in range(passes):
        into = "insert into grouped" if number else "create temp table grouped as"
        part = f"where (hash(v) >> {LOW_BITS}) % {passes} = {number}" if passes > 1 else ""
        connection.execute(
            f"{into} select v, count(*) as n from (select {value} from {column.source}) {part} group by 1"
        )


def _passes(connection: "DuckDBPyConnection", column: StoredColumn, memory: int) -> int:
    """As few as the groups have room for. Only where they might be too many for one, they are estimated."""
    room = MEMORIES * memory
    if column.rows * PER_GROUP + column.texts <= room:
        return 1
    ((distinct, longest),) = connection.execute(
        f"select approx_count_distinct({column.key}), max(strlen({column.key})) from {column.source}"
    ).fetchall()
    needed: int = distinct * PER_GROUP + min(column.texts, distinct * (longest or 0))
    return max(1, ceil(needed / room))

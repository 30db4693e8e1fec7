"""The facts about one column: grouped once, spilling to disk, then asked what the profile shows."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import groupby
from math import ceil, log10
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from src.engine.grouping import StoredColumn, group
from src.engine.reading.kinds import BLANKS, BLANKS_IN_SQL, Kind, choose, fitting
from src.engine.values import Bin, ColumnProfile, Count

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

COUNTS = "count(v), coalesce(sum(n) filter (v is not null), 0), coalesce(sum(n) filter (v is null), 0)"
SAMPLE = 1_000
TOP = 10
BINS = 20
LONGEST_SHOWN = 200
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_SECOND = 253_402_300_799.0  # of the year 9999
DIGITS, PLACES = 37, 18  # of a DECIMAL in which sums are exact


def profile_column(
    connection: "DuckDBPyConnection", column: StoredColumn, name: str, decimal: str, memory: int
) -> tuple[ColumnProfile, tuple[Kind, ...]]:
    """The profile of a column, and all the ways in which it could be read."""
    group(connection, column, memory)
    kinds = _fitting(connection)
    kind = choose(kinds, decimal)
    facts = _one(connection, f"select {COUNTS}, {_bounds(kind)} from grouped")
    distinct, count, empty, least, greatest, low, high = facts
    is_number = kind is not None and kind.type in ("integer", "decimal")
    profile = ColumnProfile(
        name=name,
        type=kind.type if kind else "text",
        empty=int(empty),
        distinct=distinct,
        min=_shown(least, kind),
        max=_shown(greatest, kind),
        places=_most_places(connection, kind) if kind and is_number else None,
        mean=_mean(connection, kind, int(count), low, high) if kind and is_number else None,
        top=_top(connection),
        histogram=_histogram(connection, kind, low, high) if kind and low is not None else (),
    )
    connection.execute("drop table grouped")
    return profile, kinds


def _fitting(connection: "DuckDBPyConnection") -> tuple[Kind, ...]:
    """The kinds of the narrowest type that all values fit; a sample rules out most of them beforehand."""
    rows = connection.execute(f"select v from grouped where v is not null limit {SAMPLE}").fetchall()
    for _, kinds in groupby(fitting(value for (value,) in rows), key=attrgetter("type", "has_offset")):
        candidates = tuple(kinds)
        tests = ", ".join(f"bool_and({kind.sql_fits('v')})" for kind in candidates)
        fits = _one(connection, f"select {tests} from grouped where v is not null")
        if any(fits):
            return tuple(kind for kind, does in zip(candidates, fits, strict=True) if does)
    return ()


def _bounds(kind: Kind | None) -> str:
    """The least and the greatest value as texts, and both as numbers for the histogram."""
    if kind is None or kind.type == "boolean":
        return "min(v), max(v), null, null"
    if kind.date_order:
        moment, as_type = kind.sql_moment("v"), "date" if kind.type == "date" else "timestamp"
        bounds = [f"{bound}({moment})" for bound in ("min", "max")]
        texts = [f"cast(cast({bound} as {as_type}) as varchar)" for bound in bounds]
        return f"{', '.join(texts)}, {', '.join(f'epoch({bound})' for bound in bounds)}"
    number, exact = kind.sql_number("v"), f"decimal(38, {_places(kind)})"
    order = f"({number}, {kind.sql_number('v', exact)}, v)"  # doubles tie beyond 15 digits
    return f"arg_min(v, {order}), arg_max(v, {order}), min({number}), max({number})"


def _most_places(connection: "DuckDBPyConnection", kind: Kind) -> int | None:
    """The most decimals that a number has; None where some are written with exponents."""
    if kind.type == "integer":
        return 0
    mark = kind.decimal or "."
    places = f"case when strpos(t, '{mark}') > 0 then length(t) - strpos(t, '{mark}') else 0 end"
    source = f"select trim(v, E'{BLANKS_IN_SQL}') as t from grouped where v is not null"
    most, has_exponent = _one(connection, f"select max({places}), bool_or(t ilike '%e%') from ({source})")
    return None if has_exponent or most is None else int(most)


def _mean(connection: "DuckDBPyConnection", kind: Kind, count: int, low: float, high: float) -> str:
    """Summed as decimals with as many places as there is room for; what has no room, as doubles."""
    digits = ceil(log10(max(abs(low), abs(high), 1.0)) + log10(count)) + 1
    scale = min(_places(kind), DIGITS - digits)
    if scale < 0:
        scaled = f"{kind.sql_number('v')} / ? * n"
        return _number(_one(connection, f"select fsum({scaled}) from grouped where v is not null", count)[0])
    exact = kind.sql_number("v", f"decimal(38, {scale})")
    total = _one(connection, f"select sum({exact} * n) from grouped where v is not null")[0]
    return _number(float(Fraction(total) / count))


def _places(kind: Kind) -> int:
    return 0 if kind.type == "integer" else PLACES


def _top(connection: "DuckDBPyConnection") -> tuple[Count, ...]:
    """The most frequent values; those of equal count in the order of their characters."""
    rows = connection.execute(
        f"select v, n from grouped where v is not null order by n desc, v limit {TOP}"
    ).fetchall()
    return tuple(Count(value=_cut(value), count=count) for value, count in rows)


def _histogram(connection: "DuckDBPyConnection", kind: Kind, low: float, high: float) -> tuple[Bin, ...]:
    """Bars of equal width from the least to the greatest value; all is halved, so that no span overflows."""
    value = f"epoch({kind.sql_moment('v')})" if kind.date_order else kind.sql_number("v")
    span = high / 2 - low / 2
    bars = BINS if span else 1
    place = f"least({bars - 1}, cast(floor(({value} / 2 - ?) / ? * {bars}) as integer))"
    rows = connection.execute(
        f"select {place}, sum(n) from grouped where v is not null group by 1", [low / 2, span or 1.0]
    ).fetchall()
    counts = {bar: int(count) for bar, count in rows}
    edges = [*(2 * (low / 2 + span * bar / bars) for bar in range(bars)), high]
    shown = [_moment(edge) if kind.date_order else _number(edge) for edge in edges]
    return tuple(Bin(low=shown[bar], high=shown[bar + 1], count=counts.get(bar, 0)) for bar in range(bars))


def _shown(value: str | None, kind: Kind | None) -> str | None:
    if value is None or kind is None or kind.date_order:
        return value and _cut(value)
    return kind.plain_number(value.strip(BLANKS))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _moment(seconds: float) -> str:
    moment = EPOCH + timedelta(seconds=min(seconds, LAST_SECOND))
    return moment.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")


def _one(connection: "DuckDBPyConnection", query: str, *values: Any) -> Sequence[Any]:
    return connection.execute(query, values).fetchone() or ()

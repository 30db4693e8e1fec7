"""Indicators: from the rollups where they have it, from the atendimentos where only those do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from src.domain.indicators import Figures, Group, Noun, Period

MOST_ROWS = 50_000
# To compile a query would take longer than most of these queries do; the longest may take this long.
BEGIN = text("""
    SELECT now(), now() AT TIME ZONE :zone, set_config('jit', 'off', true),
        set_config('statement_timeout', '15s', true)
""")
ANGEL_PRODUCTIVITY = text("""
    SELECT angel.name, on_time + late AS attended, on_time, count(*) OVER () AS names
    FROM indicator_angel JOIN angel ON angel.id = angel_id WHERE on_time + late > 0
    ORDER BY on_time::numeric / (on_time + late) DESC, attended DESC, name LIMIT :at_most
""")
POLO_PRODUCTIVITY = text("""
    SELECT polo.name, weekday, on_time, on_time + late AS attended, count(*) OVER () AS names
    FROM indicator_polo JOIN polo ON polo.id = polo_id WHERE on_time + late > 0
    ORDER BY attended DESC, name, weekday LIMIT :at_most
""")
EVERY_POLO = "polo_id = ANY (ARRAY(SELECT id FROM polo))"
ANGEL, POLO = "(SELECT id FROM angel WHERE name = :angel)", "(SELECT id FROM polo WHERE name = :polo)"
BUCKETS: dict[Group | None, str] = {
    None: "NULL::date",
    "day": "day",
    "week": "date_trunc('week', day::timestamp)::date",
    "month": "date_trunc('month', day::timestamp)::date",
    "weekday": "date_part('isodow', day)::int",
}
KEYS: dict[Noun, str] = {
    "angels": "angel_id",
    "polos": "polo_id",
    "clients": "client_id",
    "trend": "NULL::int",
}
NAMES: dict[Noun, tuple[str, str]] = {
    "angels": ("JOIN angel ON angel.id = key", "angel.name"),
    "polos": ("JOIN polo ON polo.id = key", "polo.name"),
    "clients": ("JOIN client ON client.id = key", "client.external_id"),
    "trend": ("", "NULL"),
}
# Months that lie in the period as a whole, by their sums; the others day by day.
WHOLE_MONTHS = """
    SELECT {key} AS key, month AS day, on_time, late,
        CASE WHEN month > :today THEN open ELSE 0 END AS open,
        CASE WHEN month > :today THEN 0 ELSE open END AS overdue
    FROM indicator_month WHERE {place} AND month BETWEEN :first AND :last AND month <> ALL (:parted)
    UNION ALL
"""
DAYS = """
    SELECT {key}, month + place - 1, days[place], days[place + 31],
        CASE WHEN month + place - 1 < :today THEN 0 ELSE days[place + 62] END,
        CASE WHEN month + place - 1 < :today THEN days[place + 62] ELSE 0 END
    FROM indicator_month, generate_series(1, 31) AS place
    WHERE {place} AND {months} AND month + place - 1 BETWEEN :first AND :last
"""
ALL_MONTHS = "month BETWEEN date_trunc('month', CAST(:first AS timestamp))::date AND :last"
# Of those that have to be done today, some are overdue since an hour: only their rows know.
SINCE_THIS_MORNING = """
    UNION ALL
    SELECT {key}, :today, 0, 0, -count(*)::int, count(*)::int FROM atendimento
    WHERE data_de_atendimento IS NULL AND deleted_at IS NULL AND data_limite >= :today AND data_limite < :now
        AND :today BETWEEN :first AND :last AND {filters} GROUP BY 1
"""
ROWS = """
    SELECT client_id AS key, coalesce(data_de_atendimento, data_limite)::date AS day,
        (data_de_atendimento <= data_limite)::int AS on_time,
        (data_de_atendimento > data_limite)::int AS late,
        (data_de_atendimento IS NULL AND data_limite >= :now)::int AS open,
        (data_de_atendimento IS NULL AND data_limite < :now)::int AS overdue
    FROM atendimento WHERE deleted_at IS NULL AND {filters} AND {within}
"""
SUMS = """
    WITH counted (key, day, on_time, late, open, overdue) AS ({source}), grouped AS (
        SELECT key, {bucket} AS period, coalesce(sum(on_time), 0) AS on_time, coalesce(sum(late), 0) AS late,
            coalesce(sum(open), 0) AS open, coalesce(sum(overdue), 0) AS overdue
        FROM counted GROUP BY 1, 2
    ), busiest AS (
        SELECT key FROM grouped GROUP BY 1
        ORDER BY sum(on_time + late + open + overdue) DESC, key LIMIT :at_most
    )
    SELECT {name} AS name, key, period, on_time, late, open, overdue
    FROM grouped {names} WHERE on_time + late + open + overdue > 0 {only_busiest} LIMIT :most
"""
# All that was ever done for the busiest clients. As many stretches have them all: those whose busiest one is
# busiest. Only rows with a limit to come tell open from overdue.
ALL_CLIENTS = """
    WITH busy AS (
        SELECT stretch, counts FROM indicator_client_stretch ORDER BY most DESC, stretch LIMIT :at_most
    ), busiest AS (
        SELECT * FROM (
            SELECT stretch * 31 + place - 1 AS key, counts[place] AS on_time, counts[place + 31] AS late,
                counts[place + 62] AS open
            FROM busy, generate_series(1, 31) AS place
        ) AS client WHERE on_time + late + open > 0 ORDER BY on_time + late + open DESC, key LIMIT :at_most
    ), to_come AS (
        SELECT client_id AS key, count(*) AS rows FROM atendimento
        WHERE data_limite >= :now AND data_de_atendimento IS NULL AND deleted_at IS NULL GROUP BY 1
    )
    SELECT client.external_id AS name, key, NULL::date AS period, on_time, late,
        coalesce(to_come.rows, 0) AS open, busiest.open - coalesce(to_come.rows, 0) AS overdue
    FROM busiest JOIN client ON client.id = key LEFT JOIN to_come USING (key)
"""
DELAYS = """
    SELECT key, {bucket} AS period,
        percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY date_part('epoch', delay)) AS delays
    FROM (
        SELECT {key} AS key, data_de_atendimento::date AS day, data_de_atendimento - data_limite AS delay
        FROM atendimento WHERE deleted_at IS NULL AND {filters}
            AND data_de_atendimento >= :start AND data_de_atendimento < :stop
    ) AS attended WHERE key = ANY (:keys) OR :is_trend GROUP BY 1, 2
"""


class Moment(NamedTuple):
    """Now: for everyone, and on the wall clock of the business."""

    as_of: datetime
    local: datetime


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Which atendimentos count, and how they are grouped."""

    noun: Noun
    period: Period
    now: datetime  # on the wall clock of the business
    angel: str | None = None
    polo: str | None = None
    group: Group | None = None
    at_most: int = 100  # names

    @property
    def filters(self) -> str:
        """Of atendimentos."""
        wanted = [f"angel_id = {ANGEL}"] * bool(self.angel) + [f"polo_id = {POLO}"] * bool(self.polo)
        return " AND ".join(wanted) or "true"

    @property
    def place(self) -> str:
        """Which lines of the rollup: 0 stands for all angels, or all polos, together."""
        if self.noun == "angels":
            angel = f"angel_id = {ANGEL}" if self.angel else "angel_id > 0"
            return f"polo_id = {POLO if self.polo else 0} AND {angel}"
        if self.noun == "polos" or not self.angel:
            polo = f"polo_id = {POLO}" if self.polo else EVERY_POLO
            return f"{polo} AND angel_id = {ANGEL if self.angel else 0}"
        return f"polo_id = {POLO if self.polo else 0} AND angel_id = {ANGEL}"

    @property
    def values(self) -> dict[str, Any]:
        start, stop = _days(self.period.start, self.period.end)
        return {
            "first": self.period.start, "last": self.period.end, "start": start, "stop": stop,
            "today": self.now.date(), "now": self.now, "angel": self.angel, "polo": self.polo,
            "parted": self.period.parted_months(self.now.date()), "at_most": self.at_most,
            "most": MOST_ROWS + 1, "is_trend": self.noun == "trend",
        }  # fmt: skip


class Counted(NamedTuple):
    """Figures, and the id behind their name."""

    key: int | None
    figures: Figures


class IndicatorRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    def begin(self, zone: str) -> Moment:
        """Settle for the rest of the transaction when now is, and how its queries are run."""
        return Moment(*self.session.execute(BEGIN, {"zone": zone}).one()[:2])

    def angel_productivity(self, at_most: int) -> tuple[int, list[Figures]]:
        """How many angels have attended any, and the best of them."""
        rows = self.session.execute(ANGEL_PRODUCTIVITY, {"at_most": at_most}).all()
        figures = [Figures(row.name, None, row.on_time, row.attended - row.on_time) for row in rows]
        return (rows[0].names if rows else 0), figures

    def polo_productivity(self, at_most: int) -> tuple[int, list[Figures]]:
        """How many weekdays of polos have any attended, and the largest of them."""
        rows = self.session.execute(POLO_PRODUCTIVITY, {"at_most": at_most}).all()
        figures = [Figures(row.name, row.weekday, row.on_time, row.attended - row.on_time) for row in rows]
        return (rows[0].names if rows else 0), figures

    def figures(self, scope: Scope) -> list[Counted]:
        """Counts by name and by part of the period; one more than is allowed when there are too many."""
        rows = self.session.execute(text(_statement(scope)), _used(_statement(scope), scope.values))
        return [
            Counted(key, Figures(name, period, int(on_time), int(late), int(is_open), int(overdue)))
            for name, key, period, on_time, late, is_open, overdue in rows
        ]

    def delays(self, scope: Scope, keys: Sequence[int | None]) -> dict[tuple[int | None, Any], list[float]]:
        """Median and ninetieth percentile of the delays in seconds, by key and part of the period."""
        statement = DELAYS.format(key=KEYS[scope.noun], bucket=BUCKETS[scope.group], filters=scope.filters)
        values = scope.values | {"keys": [key for key in keys if key is not None]}
        rows = self.session.execute(text(statement), _used(statement, values))
        return {(key, period): delays for key, period, delays in rows}


def _statement(scope: Scope) -> str:
    has_all = scope.period == Period() and not (scope.angel or scope.polo or scope.group)
    if scope.noun == "clients" and has_all:
        return ALL_CLIENTS
    names, name = NAMES[scope.noun]
    return SUMS.format(
        source=_source(scope),
        bucket=BUCKETS[scope.group],
        names=names,
        name=name,
        only_busiest="" if scope.noun == "trend" else "AND key IN (SELECT key FROM busiest)",
    )


def _source(scope: Scope) -> str:
    """Lines of (key, day, on time, late, open, overdue); a month may stand as its first day."""
    if scope.noun == "clients":
        attended = "(data_de_atendimento >= :start AND data_de_atendimento < :stop)"
        waiting = "(data_de_atendimento IS NULL AND data_limite >= :start AND data_limite < :stop)"
        return ROWS.format(filters=scope.filters, within=f"({attended} OR {waiting})")
    has_whole_months = scope.group in (None, "month")
    months = "month = ANY (:parted)" if has_whole_months else ALL_MONTHS
    parts = [WHOLE_MONTHS] * has_whole_months + [DAYS, SINCE_THIS_MORNING]
    return "".join(parts).format(
        key=KEYS[scope.noun], place=scope.place, months=months, filters=scope.filters
    )


def _days(first: date, last: date) -> tuple[datetime, datetime]:
    """The first moment of the first day, and the first one behind the last day."""
    stop = datetime.combine(last, time.max) if last == date.max else _midnight(last + timedelta(days=1))
    return _midnight(first), stop


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min)


def _used(statement: str, values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if f":{name}" in statement}

"""Rules over history, set-wise: one statement finds all events of many clients on which a rule fires."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from src.domain.alerts import Check, Compare, History, Rule, RuleSet, evaluate
from src.domain.alerts.backtests import HitEvent
from src.domain.alerts.kinds import (
    Consecutive,
    Decreasing,
    Gap,
    Increasing,
    Threshold,
    WindowCount,
    WindowSum,
)
from src.models import Client, EventHighWater
from src.repositories.gaps import now_in_stream

ROWS_AT_ONCE = 5_000
MARGIN = 64
OPERATORS = {Compare.OVER: ">", Compare.AT_LEAST: ">=", Compare.UNDER: "<", Compare.AT_MOST: "<="}
# `counted` are the events that the rule counts, `history` all; both are read in the order of their key.
FIND = """
    WITH history AS NOT MATERIALIZED (
        SELECT client_id, t, type, amount, is_global FROM event
        WHERE client_id > :low AND client_id <= :high AND t >= :reach
    ), counted AS NOT MATERIALIZED (
        SELECT * FROM history WHERE CAST(:asked_on AS text) = 'any' OR type = :asked_on
    ), found AS ({found})
    SELECT f.client_id, f.t, c.external_id, f.type, f.amount
    FROM found f JOIN client c ON c.id = f.client_id
    WHERE f.t BETWEEN :first AND :last
    ORDER BY f.client_id, f.t
"""
READ = text("""
    SELECT e.client_id, e.t, c.external_id, e.type, e.amount
    FROM event e JOIN client c ON c.id = e.client_id
    WHERE e.client_id > :low AND e.client_id <= :high AND e.t BETWEEN :reach AND :last
    ORDER BY e.client_id, e.t
""")
COUNT = text("""
    SELECT count(*) FROM event WHERE client_id > :low AND client_id <= :high AND t BETWEEN :first AND :last
""")


@dataclass(frozen=True, slots=True)
class Span:
    """Clients with ids in (low, high], and what they did from `first` to `last`."""

    low: int
    high: int
    first: int
    last: int


class Statement(NamedTuple):
    """How a kind finds its events. It looks back as far as `reach`; None stands for the beginning."""

    found: str
    values: dict[str, Any]
    reach: int | None


def _threshold(check: Threshold) -> Statement:
    found = f"SELECT * FROM counted WHERE amount {OPERATORS[check.compare]} :amount"
    return Statement(found, {"amount": check.amount}, 0)


def _consecutive(check: Consecutive) -> Statement:
    found = """
        SELECT * FROM (
            SELECT *, count(*) FILTER (WHERE type = 'deposit') OVER latest AS deposits,
                count(*) FILTER (WHERE type = 'withdraw') OVER latest AS withdraws
            FROM history WINDOW latest AS (
                PARTITION BY client_id ORDER BY t ROWS BETWEEN :before PRECEDING AND CURRENT ROW)
        ) AS run
        WHERE (CAST(:asked_on AS text) = 'any' OR type = :asked_on) AND :count IN (deposits, withdraws)
    """
    return Statement(found, {"count": check.count, "before": check.count - 1}, None)


def _monotonic(check: Increasing | Decreasing) -> Statement:
    step = (">" if check.is_rising else "<") + ("" if check.is_strict else "=")
    found = f"""
        SELECT * FROM (
            SELECT *, count(*) FILTER (WHERE is_step) OVER (
                PARTITION BY client_id ORDER BY t ROWS BETWEEN :before PRECEDING AND CURRENT ROW) AS steps
            FROM (
                SELECT *, amount {step} lag(amount) OVER (PARTITION BY client_id ORDER BY t) AS is_step
                FROM counted
            ) AS stepping
        ) AS row WHERE steps = :steps
    """
    return Statement(found, {"before": check.count - 2, "steps": check.count - 1}, None)


def _in_window(figure: str, compare: Compare) -> str:
    return f"""
        SELECT * FROM (
            SELECT *, {figure} OVER (PARTITION BY client_id ORDER BY t
                RANGE BETWEEN CAST(:window AS bigint) PRECEDING AND CURRENT ROW) AS figure
            FROM counted
        ) AS windowed WHERE figure {OPERATORS[compare]} :limit
    """


def _window_sum(check: WindowSum) -> Statement:
    found = _in_window("sum(amount)", check.compare)
    return Statement(found, {"window": check.window, "limit": check.amount}, check.window)


def _window_count(check: WindowCount) -> Statement:
    found = _in_window("count(*)", check.compare)
    return Statement(found, {"window": check.window, "limit": check.count}, check.window)


def _gap(check: Gap) -> Statement:
    found = f"""
        SELECT n.* FROM (
            SELECT *, lead(t) OVER (PARTITION BY client_id ORDER BY t) AS next FROM counted
        ) AS n JOIN event_high_water w ON w.stream = CASE WHEN n.is_global THEN 0 ELSE n.client_id END
        WHERE coalesce(n.next, {now_in_stream(check.clock, "w.t")}) - n.t > :after
    """
    return Statement(found, {"after": check.after}, 0)


STATEMENTS: dict[type[Check], Callable[[Any], Statement]] = {
    Threshold: _threshold,
    Consecutive: _consecutive,
    Increasing: _monotonic,
    Decreasing: _monotonic,
    WindowSum: _window_sum,
    WindowCount: _window_count,
    Gap: _gap,
}


class BacktestRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    def latest_t(self) -> int:
        """The t of the latest event of all; 0 when there is none."""
        return self.session.scalar(select(func.max(EventHighWater.t))) or 0

    def count_clients(self) -> int:
        return self.session.scalar(select(func.count()).select_from(Client)) or 0

    def end_of_span(self, low: int, clients: int) -> int | None:
        """The id of the last of so many clients behind `low`; None behind the last of all."""
        ids = select(Client.id).where(Client.id > low).order_by(Client.id).limit(clients).subquery()
        last: int | None = self.session.scalar(select(func.max(ids.c.id)))
        return last

    def count_events(self, span: Span) -> int:
        return int(self.session.scalars(COUNT, _values(span)).one())

    def hits(self, rule: Rule, span: Span) -> Iterator[HitEvent]:
        """The events on which the rule fires, in the order of clients and times, as they are read."""
        compiled = STATEMENTS.get(type(rule.check))
        return self._asked(rule, span) if compiled is None else self._found(compiled(rule.check), rule, span)

    def _found(self, statement: Statement, rule: Rule, span: Span) -> Iterator[HitEvent]:
        reach = 0 if statement.reach is None else max(span.first - statement.reach, 0)
        values = _values(span) | statement.values | {"asked_on": rule.asked_on.value, "reach": reach}
        return self._stream(text(FIND.format(found=statement.found)), values)

    def _asked(self, rule: Rule, span: Span) -> Iterator[HitEvent]:
        """Event by event, as when they came; for kinds that no statement can be made of."""
        rules = RuleSet([rule])
        needs, of_types = rules.needs, [rules.needs.deposit, rules.needs.withdraw]
        looks_back = needs.any or any(need.last for need in of_types)
        reach = 0 if looks_back else max(span.first - max(need.longest for need in of_types), 0)
        rows = self._stream(READ, _values(span) | {"reach": reach})
        for _, of_client in groupby(rows, key=lambda row: row.client_id):
            history, seen, most = History(), 0, MARGIN
            for row in of_client:
                event = history.next(row.t, row.type, row.amount)
                if row.t >= span.first and evaluate(rules, history, event):
                    yield row
                history.add(event)
                seen += 1
                if seen > most:  # when it has doubled
                    history.trim(needs)
                    seen = len(history.deposit) + len(history.withdraw)
                    most = 2 * seen + MARGIN

    def _stream(self, statement: Any, values: dict[str, Any]) -> Iterator[HitEvent]:
        """A few thousand rows at a time, from a cursor of the server."""
        options = {"yield_per": ROWS_AT_ONCE}
        for rows in self.session.execute(statement, values, execution_options=options).partitions():
            for row in rows:
                yield HitEvent(*row)


def _values(span: Span) -> dict[str, Any]:
    return {"low": span.low, "high": span.high, "first": span.first, "last": span.last}

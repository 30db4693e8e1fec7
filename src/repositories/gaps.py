"""Gaps: events after which nothing came for too long; each is looked at once, when its time is over."""

from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from src.domain.alerts import AskedOn, Gap, GapClock, Rule

# How late it is in a stream of events, `w`: as late as its latest event, or also as late as it is by day.
CLOCKS = {
    GapClock.EVENTS: "w.t",
    GapClock.WALL: """greatest(w.t, (SELECT floor(extract(epoch FROM clock_timestamp())
        * CASE time_unit WHEN 's' THEN 1 WHEN 'ms' THEN 1000 ELSE 1000000 END)::bigint FROM event_order))""",
}
# Up to where a stream can be swept: since then too much time has passed. Never beyond its latest event, so
# that one that comes late is looked at, too.
END = "least(w.t, {now} - CAST(:after AS bigint) - 1)"
FORGET = text("DELETE FROM alert_sweep WHERE rule_id = :rule_id")
RESTART = (
    f"INSERT INTO alert_sweep (rule_id, stream, t) SELECT :rule_id, w.stream, {END} FROM event_high_water w"
)
SWEEP = f"""
    WITH due AS MATERIALIZED (
        SELECT w.stream, coalesce(s.t, -1) AS swept, {END} AS finish
        FROM event_high_water w LEFT JOIN alert_sweep s ON s.rule_id = :rule_id AND s.stream = w.stream
        WHERE coalesce(s.t, -1) < {END} LIMIT :streams
    ), seen AS MATERIALIZED (
        SELECT due.stream, e.client_id, e.t, e.type
        FROM due CROSS JOIN LATERAL (
            (SELECT client_id, t, type FROM event WHERE due.stream = 0
                AND is_global AND t > due.swept AND t <= due.finish ORDER BY t LIMIT :events)
            UNION ALL
            (SELECT client_id, t, type FROM event WHERE due.stream <> 0
                AND client_id = due.stream AND t > due.swept AND t <= due.finish ORDER BY t LIMIT :each)
        ) AS e
    ), swept AS (
        INSERT INTO alert_sweep AS s (rule_id, stream, t)
        SELECT :rule_id, due.stream,
            CASE WHEN count(seen.t) < CASE due.stream WHEN 0 THEN :events ELSE :each END
                THEN due.finish ELSE max(seen.t) END
        FROM due LEFT JOIN seen USING (stream) GROUP BY due.stream, due.finish
        ON CONFLICT (rule_id, stream) DO UPDATE SET t = excluded.t
        RETURNING stream
    ), raised AS (
        INSERT INTO alert (rule_id, rule_version, code, is_shadow, client_id, t, causes)
        SELECT :rule_id, :version, :code, :is_shadow, e.client_id, e.t, ARRAY[e.t]
        FROM seen e
        WHERE {{counted}} AND NOT EXISTS (SELECT FROM event n WHERE n.client_id = e.client_id
            AND n.t > e.t AND n.t <= e.t + CAST(:after AS bigint) {{also}})
        ON CONFLICT (rule_id, client_id, t) DO NOTHING
        RETURNING client_id, t
    )
    SELECT NULL AS client, NULL AS t, count(*) AS streams FROM swept
    UNION ALL
    SELECT c.external_id, r.t, 0 FROM raised r JOIN client c ON c.id = r.client_id
"""
MOST = {"streams": 200, "events": 10_000, "each": 100}  # at once: a sweep is to be short


class Silence(NamedTuple):
    """The event after which nothing came."""

    client: str
    t: int


class GapRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    def take_turn(self) -> bool:
        """Whether this transaction is the one that sweeps; the others need not wait for it."""
        lock = func.pg_try_advisory_xact_lock(func.hashtext("alert-sweep"))
        return bool(self.session.scalar(select(lock)))

    def restart(self, rule_id: UUID, check: Gap | None) -> None:
        """Forget how far the rule was swept; a gap that is over by now is none of what begins now."""
        self.session.execute(FORGET, {"rule_id": rule_id})
        if check is not None:
            statement = RESTART.format(now=CLOCKS[check.clock])
            self.session.execute(text(statement), {"rule_id": rule_id, "after": check.after})

    def sweep(self, rule: Rule, check: Gap) -> tuple[list[Silence], bool]:
        """Look at events whose time is over, and raise an alert for those after which nothing came.

        Answers these, and whether there was anything to look at: then there may be more.
        """
        is_any = rule.asked_on is AskedOn.ANY
        statement = SWEEP.format(
            now=CLOCKS[check.clock],
            counted="true" if is_any else f"e.type = '{rule.asked_on.value}'",
            also="" if is_any else f"AND n.type = '{rule.asked_on.value}'",
        )
        values: dict[str, Any] = {
            "rule_id": rule.id,
            "version": rule.version,
            "code": rule.code,
            "is_shadow": rule.is_shadow,
            "after": check.after,
            **MOST,
        }
        rows = self.session.execute(text(statement), values).all()
        silences = [Silence(*row[:2]) for row in rows if row.client is not None]
        return silences, any(row.streams for row in rows)

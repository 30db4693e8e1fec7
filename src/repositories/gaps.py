"""Gaps: events after which nothing came for too long; each is looked at once, when its time is over."""

from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from src.domain.alerts import AskedOn, Gap, GapClock, Rule
from src.domain.events import LAST_T

# How late it is in a stream of events: as late as its latest event, or also as late as it is by day.
CLOCKS = {
    GapClock.EVENTS: "{latest}",
    GapClock.WALL: """greatest({latest}, (SELECT floor(extract(epoch FROM {moment})
        * CASE time_unit WHEN 's' THEN 1 WHEN 'ms' THEN 1000 ELSE 1000000 END)::bigint FROM event_order))""",
}
# Up to where a stream can be swept: since then too much time has passed. Never beyond its latest event, so
# that one that comes late is looked at, too.
END = "least({latest}, {now} - CAST(:after AS bigint) - 1)"
FORGET = text("DELETE FROM alert_watch WHERE rule_id = :rule_id")
BEGIN = text("""
    INSERT INTO alert_watch (rule_id, begun_at, stream) VALUES (:rule_id, clock_timestamp(), -1)
    ON CONFLICT (rule_id) DO UPDATE SET begun_at = excluded.begun_at, stream = excluded.stream
""")
# The stream of all events has its place at once. Those of clients get theirs when they are first looked at:
# there may be millions, and somebody waits for the rule to be changed.
PLACE = """
    INSERT INTO alert_sweep (rule_id, stream, t, begun_at)
    SELECT rule_id, h.stream, {finish}, begun_at
    FROM alert_watch JOIN event_high_water h ON h.stream = 0 WHERE rule_id = :rule_id
    ON CONFLICT (rule_id, stream) DO UPDATE SET t = excluded.t, begun_at = excluded.begun_at
"""
WATCH = text("SELECT begun_at, stream FROM alert_watch WHERE rule_id = :rule_id")
# Some streams are looked at, in their order, each with what is asked of an index about it alone: however many
# there are, a look costs the same. The next one goes on where this one ended.
SWEEP = f"""
    WITH looked AS MATERIALIZED (
        SELECT stream, t FROM event_high_water WHERE stream > CAST(:stream AS bigint)
        ORDER BY stream LIMIT :looks
    ), known AS MATERIALIZED (
        SELECT w.stream, {{finish}} AS finish, (
            SELECT s.t FROM alert_sweep s
            WHERE s.rule_id = :rule_id AND s.stream = w.stream AND s.begun_at = :begun_at
        ) AS swept
        FROM looked w
    ), placed AS MATERIALIZED (
        SELECT k.stream, k.finish, k.swept IS NULL AS is_new, coalesce(k.swept, (
            SELECT {{first}} FROM (
                SELECT t FROM event WHERE (client_id, t) >= (k.stream, 0)
                    AND (client_id, t) <= (k.stream, {LAST_T}) AND created_at <= :begun_at
                ORDER BY client_id DESC, t DESC LIMIT 1
            ) AS b
        ), -1) AS swept
        FROM known k
    ), due AS MATERIALIZED (
        SELECT *, greatest(:events / count(*) OVER (), 10) AS most FROM (
            SELECT stream, swept, finish FROM placed WHERE swept < finish ORDER BY stream LIMIT :streams
        ) AS first
    ), seen AS MATERIALIZED (
        SELECT due.stream, e.client_id, e.t, e.type
        FROM due CROSS JOIN LATERAL (
            (SELECT client_id, t, type FROM event WHERE due.stream = 0
                AND is_global AND t > due.swept AND t <= due.finish ORDER BY t LIMIT due.most)
            UNION ALL
            (SELECT client_id, t, type FROM event WHERE due.stream <> 0
                AND client_id = due.stream AND t > due.swept AND t <= due.finish ORDER BY t LIMIT due.most)
        ) AS e
    ), ended AS MATERIALIZED (
        SELECT stream, count(seen.t) = due.most AS is_cut,
            CASE WHEN count(seen.t) < due.most THEN due.finish ELSE max(seen.t) END AS t
        FROM due LEFT JOIN seen USING (stream) GROUP BY stream, due.finish, due.most
    ), swept AS (
        INSERT INTO alert_sweep (rule_id, stream, t, begun_at)
        SELECT :rule_id, stream, coalesce(ended.t, placed.swept), :begun_at
        FROM placed LEFT JOIN ended USING (stream) WHERE placed.is_new OR ended.t IS NOT NULL
        ON CONFLICT (rule_id, stream) DO UPDATE SET t = excluded.t, begun_at = excluded.begun_at
    ), raised AS (
        INSERT INTO alert (rule_id, rule_version, code, is_shadow, client_id, t, causes)
        SELECT :rule_id, :version, :code, :is_shadow, e.client_id, e.t, ARRAY[e.t]
        FROM seen e
        WHERE {{counted}} AND NOT EXISTS (SELECT FROM event n WHERE n.client_id = e.client_id
            AND n.t > e.t AND n.t <= e.t + CAST(:after AS bigint) {{also}})
        ON CONFLICT (rule_id, client_id, t) DO NOTHING
        RETURNING client_id, t
    ), counted AS (
        SELECT (SELECT min(stream) - 1 FROM ended WHERE is_cut) AS cut,
            (SELECT max(stream) FROM due HAVING count(*) = :streams) AS filled,
            (SELECT max(stream) FROM looked HAVING count(*) = :looks) AS reached
    ), moved AS (
        UPDATE alert_watch SET stream = coalesce(cut, filled, reached, -1) FROM counted
        WHERE rule_id = :rule_id AND stream <> coalesce(cut, filled, reached, -1)
    )
    SELECT NULL AS client, NULL AS t, coalesce(cut, filled) IS NOT NULL AS has_more FROM counted
    UNION ALL
    SELECT c.external_id, r.t, false FROM raised r JOIN client c ON c.id = r.client_id
"""
MOST = {"looks": 10_000, "streams": 1_000, "events": 10_000}  # at once: a sweep is to be short


def now_in_stream(clock: GapClock, latest: str, moment: str = "clock_timestamp()") -> str:
    """How late it is where the latest event has this t, as SQL."""
    return CLOCKS[clock].format(latest=latest, moment=moment)


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
        if check is None:
            self.session.execute(FORGET, {"rule_id": rule_id})
            return
        self.session.execute(BEGIN, {"rule_id": rule_id})
        place = text(PLACE.format(finish=_finish(check, "h.t")))
        self.session.execute(place, {"rule_id": rule_id, "after": check.after})

    def sweep(self, rule: Rule, check: Gap) -> tuple[list[Silence], bool]:
        """Look at events whose time is over, and raise an alert for those after which nothing came.

        Answers these, and whether there is more to be looked at now.
        """
        is_any = rule.asked_on is AskedOn.ANY
        statement = SWEEP.format(
            finish=_finish(check, "w.t"),
            first=_finish(check, "b.t", ":begun_at"),
            counted="true" if is_any else f"e.type = '{rule.asked_on.value}'",
            also="" if is_any else f"AND n.type = '{rule.asked_on.value}'",
        )
        watch = self.session.execute(WATCH, {"rule_id": rule.id}).one()
        values: dict[str, Any] = {
            "rule_id": rule.id,
            "version": rule.version,
            "code": rule.code,
            "is_shadow": rule.is_shadow,
            "after": check.after,
            "begun_at": watch.begun_at,
            "stream": watch.stream,
            **MOST,
        }
        rows = self.session.execute(text(statement), values).all()
        silences = [Silence(*row[:2]) for row in rows if row.client is not None]
        return silences, any(row.has_more for row in rows)


def _finish(check: Gap, latest: str, moment: str = "clock_timestamp()") -> str:
    return END.format(latest=latest, now=now_in_stream(check.clock, latest, moment))

"""The statements of the log of events, written by hand: here each tenth of a millisecond counts.

They are planned once, for whatever values (src/lines.py).
"""

import re
from functools import lru_cache

from src.domain.events import LAST_T, Ordering

# Of one client the planner should know that it is one; of many, who knows how many.
ONE = "(SELECT $1::text, $2::bigint, $3::bigint) AS asked (name, client_id, t)"
MANY = "json_to_recordset($1::json) AS asked (name text, client_id bigint, t bigint)"
STREAMS = {Ordering.GLOBAL: "0", Ordering.PER_CLIENT: "c.id"}

# The latest events of one type. The type stands in the text, so that the index of just this type serves. Rows
# are compared, since the planner, who knows what clients have on average, would sort all events of one.
LATEST = """
    (SELECT t, type, amount, number, total FROM event
    WHERE type = '{type}' AND (client_id, t) >= ({client}, {first}) AND (client_id, t) <= ({client}, {last})
    ORDER BY client_id DESC, t DESC LIMIT {most})
"""
OF_CLIENT = {"client": "c.id", "first": 0, "last": LAST_T}
READ = f"""
    SELECT asked.name, c.id, h.t, recent.*,
        (SELECT revision FROM alert_rule_revision), extract(epoch FROM clock_timestamp())
    FROM {{asked}}
    LEFT JOIN client c ON c.external_id = asked.name AND c.deleted_at IS NULL
    LEFT JOIN event_high_water h ON h.stream = {{stream}}
    LEFT JOIN LATERAL (
        SELECT array_agg(e.t), array_agg(e.type), array_agg(e.amount), array_agg(e.number), array_agg(e.total)
        FROM ({LATEST.format(type="deposit", most="{deposits}", **OF_CLIENT)} UNION ALL
            {LATEST.format(type="withdraw", most="{withdraws}", **OF_CLIENT)}) AS e
        WHERE (c.id, h.t) IS DISTINCT FROM (asked.client_id, asked.t)
    ) AS recent ON true
"""
OF_LOOK = {"client": "asked.client_id", "first": "asked.first", "last": "asked.last", "most": "asked.most"}
LOOK_BACK = f"""
    SELECT asked.client_id, found.*
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
        AS asked (client_id, type, first, last, most)
    CROSS JOIN LATERAL (
        SELECT * FROM {LATEST.format(type="deposit", **OF_LOOK)} AS deposits WHERE asked.type = 'deposit'
        UNION ALL
        SELECT * FROM {LATEST.format(type="withdraw", **OF_LOOK)} AS withdraws WHERE asked.type = 'withdraw'
    ) AS found
"""
HOLD = "SELECT FROM event_high_water WHERE stream = ANY($1::bigint[]) ORDER BY stream FOR UPDATE"
# A stream must still be where it was seen, or nothing is written: what was judged would not hold. Who moves
# it holds its row until the end, and the condition is looked at again behind him.
MOVE_ONE = """
    guard AS (
        UPDATE event_high_water SET t = $3::bigint WHERE stream = $1::bigint AND t = $2::bigint{if_so}
        RETURNING true AS holds
    )"""
# Of several, all or none: the lock shows where they are now; one that two begin at once fails on its key.
# Arrays are compared: the planner, who expects few, would join the streams of a batch each with each.
MOVE_ALL = """
    seen AS (
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])
            AS s (stream, t, latest)
    ), held AS (
        SELECT stream, t FROM event_high_water WHERE stream = ANY($1::bigint[])
        ORDER BY stream FOR UPDATE
    ), guard AS (
        SELECT (h.streams, h.ts) IS NOT DISTINCT FROM (s.streams, s.ts){if_so} AS holds
        FROM (SELECT array_agg(stream ORDER BY stream), array_agg(t ORDER BY stream) FROM held)
                AS h (streams, ts),
            (SELECT array_agg(stream ORDER BY stream), array_agg(t ORDER BY stream) FROM seen
                WHERE t IS NOT NULL) AS s (streams, ts)
    ), moved AS (
        UPDATE event_high_water AS h SET t = seen.latest FROM seen, guard
        WHERE guard.holds AND h.stream = seen.stream
    ), begun AS (
        INSERT INTO event_high_water SELECT stream, latest FROM seen, guard
        WHERE guard.holds AND seen.t IS NULL ORDER BY stream
    )"""
# One event needs no arrays, nor a statement around its insertion: a lone sender waits for each of them.
WRITE_ONE = """
    WITH {move}{raised}
    INSERT INTO event (is_global, import_id, client_id, t, type, amount, number, total, event_id, answer)
    SELECT $4::bool, $5::uuid, $6::bigint, $7::bigint, $8::text, $9::numeric,
        $10::bigint, $11::numeric, $12::text, $13::text FROM guard WHERE guard.holds
    RETURNING true
"""
WRITE_MANY = """
    WITH {move}, stored AS (
        INSERT INTO event (client_id, t, type, amount, number, total, event_id, answer, is_global, import_id)
        SELECT n.*, $4::bool, $5::uuid
        FROM unnest($6::bigint[], $7::bigint[], $8::text[], $9::numeric[],
            $10::bigint[], $11::numeric[], $12::text[], $13::text[])
            AS n, guard WHERE guard.holds
    ){raised} SELECT FROM guard WHERE holds
"""
RAISED = """, raised AS (
        INSERT INTO alert (rule_id, rule_version, code, is_shadow, client_id, t, causes)
        SELECT r.rule_id, r.rule_version, r.code, r.is_shadow, r.client_id, r.t, r.causes::bigint[]
        FROM unnest($14::uuid[], $15::int[], $16::int[], $17::bool[],
            $18::bigint[], $19::bigint[], $20::text[])
            AS r (rule_id, rule_version, code, is_shadow, client_id, t, causes), guard WHERE guard.holds
    )"""
VALUES, RAISED_VALUES = 13, 20  # so many values the two have
# What who writes without reading goes by: the rules, that it is late enough, the clients, and the senders.
IS_SO = (
    "(SELECT revision FROM alert_rule_revision) = $1::bigint",
    "extract(epoch FROM clock_timestamp()) >= $1::numeric",  # there are more of `t` than of moments
)
IS_CLIENT = "EXISTS (SELECT FROM client WHERE id = $1::bigint AND external_id = $2 AND deleted_at IS NULL)"
ARE_CLIENTS = """NOT EXISTS (
        SELECT FROM unnest($1::bigint[], $2::text[]) AS n (id, name)
        LEFT JOIN client c ON c.id = n.id AND c.external_id = n.name AND c.deleted_at IS NULL
        WHERE c.id IS NULL)"""
READS_THE_SAME = (
    "EXISTS (SELECT FROM ({statement}) AS found ({names}) WHERE ({found}) IS NOT DISTINCT FROM ({told}))"
)
PLACE = re.compile(r"\$(\d+)")


@lru_cache
def writing(*, is_one: bool, has_one_stream: bool, is_raised: bool, assumed: tuple[str, ...] = ()) -> str:
    """Writes one event or several, if one stream, or each of several, is where it was seen; alerts too, if
    there are any. A row comes back if it was so.

    With what is `assumed`: conditions, each with $1, $2, … for values of its own, which come behind.
    """
    so, place = "", RAISED_VALUES if is_raised else VALUES
    for condition in assumed:
        so += f" AND {moved(condition, place)}"
        place += len(set(PLACE.findall(condition)))
    return (WRITE_ONE if is_one else WRITE_MANY).format(
        move=(MOVE_ONE if has_one_stream else MOVE_ALL).format(if_so=so), raised=RAISED if is_raised else ""
    )


def moved(condition: str, by: int) -> str:
    """With its values so many places further behind."""
    return PLACE.sub(lambda place: f"${int(place[1]) + by}", condition)


@lru_cache
def reads_the_same(statement: str, values: int, columns: int) -> str:
    """Whether a row that a statement finds has these texts; they come behind its own values."""
    names = [f"c{number}" for number in range(columns)]
    return READS_THE_SAME.format(
        statement=statement,
        names=", ".join(names),
        found=", ".join(f"{name}::text" for name in names),
        told=", ".join(f"${values + 1 + number}::text" for number in range(columns)),
    )


# Whether an event is stored, which nobody heard. It is the same whoever sent what is equal in everything.
IS_STORED = """
    SELECT FROM event WHERE client_id = $1::bigint AND t = $2::bigint AND type = $3 AND amount = $4::numeric
        AND event_id IS NOT DISTINCT FROM $5
"""
FIND_ANSWERS = """
    SELECT e.event_id, e.type, e.amount, c.external_id, e.t, e.answer
    FROM event e JOIN client c ON c.id = e.client_id WHERE e.event_id = ANY($1::text[])
"""
FIND_TIMES = {
    Ordering.GLOBAL: "SELECT 0, t FROM event WHERE is_global AND t = ANY($1::bigint[])",
    Ordering.PER_CLIENT: """
        SELECT client_id, t FROM event
        WHERE (client_id, t) IN (SELECT * FROM unnest($2::bigint[], $1::bigint[]))
    """,
}
FIX = """
    INSERT INTO event_order (ordering, time_unit) VALUES ($1, $2) ON CONFLICT DO NOTHING
"""
FIXED = "SELECT ordering, time_unit FROM event_order"

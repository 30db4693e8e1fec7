"""Large imports bring what they count of angels and of weekdays, too, and first ones copy all of it."""

from collections.abc import Sequence

from alembic import op

revision: str = "0023"
down_revision: str | Sequence[str] | None = "0022"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

LOCK = 7_012_003  # as in 0003
# Asked with the lock in hand, so that the answer holds until the commit.
HAS_COUNTS = f"""
    CREATE FUNCTION atendimento_has_counts() RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock({LOCK});
        RETURN EXISTS (SELECT FROM indicator_month) OR EXISTS (SELECT FROM indicator_client)
            OR EXISTS (SELECT FROM indicator_angel) OR EXISTS (SELECT FROM indicator_polo);
    END $$
"""
SUMS = "on_time = kept.on_time + more.on_time, late = kept.late + more.late, open = kept.open + more.open"
MORE = SUMS.replace("more", "excluded")
MERGE = f"""
    CREATE OR REPLACE FUNCTION atendimento_merge_counted() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock({LOCK});
        UPDATE indicator_month AS kept SET {SUMS}, days = indicator_add(kept.days, more.days)
        FROM counted_months AS more WHERE (kept.polo_id, kept.angel_id, kept.month)
            = (more.polo_id, more.angel_id, more.month);
        INSERT INTO indicator_month SELECT * FROM counted_months AS more WHERE NOT EXISTS (
            SELECT FROM indicator_month AS kept WHERE (kept.polo_id, kept.angel_id, kept.month)
                = (more.polo_id, more.angel_id, more.month))
        ORDER BY polo_id, angel_id, month;
        {{angels_and_polos}}
        UPDATE indicator_client AS kept SET {SUMS}
        FROM counted_clients AS more WHERE kept.client_id = more.client_id;
        INSERT INTO indicator_client SELECT * FROM counted_clients AS more WHERE NOT EXISTS (
            SELECT FROM indicator_client AS kept WHERE kept.client_id = more.client_id)
        ORDER BY client_id;
    END $$
"""
BROUGHT = f"""
        INSERT INTO indicator_angel AS kept SELECT * FROM counted_angels ORDER BY angel_id
        ON CONFLICT (angel_id) DO UPDATE SET {MORE};
        INSERT INTO indicator_polo AS kept SELECT * FROM counted_polos ORDER BY polo_id, weekday
        ON CONFLICT (polo_id, weekday) DO UPDATE SET {MORE};"""
ADDED_UP = f"""
        INSERT INTO indicator_angel AS kept (angel_id, on_time, late, open)
        SELECT angel_id, sum(on_time), sum(late), sum(open) FROM counted_months
        WHERE polo_id = 0 GROUP BY 1 ORDER BY 1
        ON CONFLICT (angel_id) DO UPDATE SET {MORE};
        INSERT INTO indicator_polo AS kept (polo_id, weekday, on_time, late, open)
        SELECT polo_id, date_part('isodow', month + ((place - 1) % 31)::int),
            coalesce(sum(amount) FILTER (WHERE place <= 31), 0),
            coalesce(sum(amount) FILTER (WHERE place BETWEEN 32 AND 62), 0),
            coalesce(sum(amount) FILTER (WHERE place >= 63), 0)
        FROM counted_months, unnest(days) WITH ORDINALITY AS day (amount, place)
        WHERE angel_id = 0 AND amount <> 0 GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (polo_id, weekday) DO UPDATE SET {MORE};"""


def upgrade() -> None:
    op.execute(HAS_COUNTS)
    op.execute(MERGE.format(angels_and_polos=BROUGHT))


def downgrade() -> None:
    op.execute(MERGE.format(angels_and_polos=ADDED_UP))
    op.execute("DROP FUNCTION atendimento_has_counts()")

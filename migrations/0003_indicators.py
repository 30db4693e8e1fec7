"""Indicators: rollups of the atendimentos, folded once per statement from its transition tables."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0003"
down_revision: str | Sequence[str] | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

LOCK = 7_012_003  # held from the fold to the commit, so that folds can never wait for each other in a circle
PLACES = 93  # of a month: 31 days on time, 31 late, 31 open
SPREAD = f"""
    CREATE FUNCTION indicator_spread(places int[]) RETURNS int[] LANGUAGE plpgsql IMMUTABLE AS $$
    DECLARE
        spread int[] := array_fill(0, ARRAY[{PLACES}]);
        place int;
    BEGIN
        FOREACH place IN ARRAY places LOOP  -- below zero: one less there
            spread[abs(place)] := spread[abs(place)] + sign(place)::int;
        END LOOP;
        RETURN spread;
    END $$
"""
# Written out, since it is done for every month of every angel in every polo: a loop takes five times as long.
ADD = f"""
    CREATE FUNCTION indicator_add(kept int[], more int[]) RETURNS int[] LANGUAGE sql IMMUTABLE
    RETURN ARRAY[{", ".join(f"kept[{place}] + more[{place}]" for place in range(1, PLACES + 1))}]
"""
# First everything is counted, then the lock is taken, then the counts are added, in the order of their keys.
FOLD = """
    WITH changed AS NOT MATERIALIZED ({changed}), placed AS NOT MATERIALIZED (
        SELECT sign, polo_id, angel_id, kind, date_trunc('month', at)::date AS month,
            at::date - date_trunc('month', at)::date + 1 + 31 * kind AS place
        FROM (
            SELECT sign, polo_id, angel_id, coalesce(data_de_atendimento, data_limite) AS at,
                CASE WHEN data_de_atendimento IS NULL THEN 2
                    WHEN data_de_atendimento <= data_limite THEN 0 ELSE 1 END AS kind
            FROM changed
        ) AS seen
    ), months AS MATERIALIZED (
        SELECT coalesce(polo_id, 0) AS polo_id, coalesce(angel_id, 0) AS angel_id, month,
            coalesce(sum(sign) FILTER (WHERE kind = 0), 0)::int AS on_time,
            coalesce(sum(sign) FILTER (WHERE kind = 1), 0)::int AS late,
            coalesce(sum(sign) FILTER (WHERE kind = 2), 0)::int AS open,
            indicator_spread(array_agg(sign * place)) AS days
        FROM placed
        GROUP BY GROUPING SETS ((polo_id, angel_id, month), (angel_id, month), (polo_id, month))
    ), clients AS MATERIALIZED (
        SELECT client_id,
            coalesce(sum(sign) FILTER (WHERE data_de_atendimento <= data_limite), 0)::int AS on_time,
            coalesce(sum(sign) FILTER (WHERE data_de_atendimento > data_limite), 0)::int AS late,
            coalesce(sum(sign) FILTER (WHERE data_de_atendimento IS NULL), 0)::int AS open
        FROM changed GROUP BY client_id
    ), locked AS MATERIALIZED (
        SELECT pg_advisory_xact_lock({lock})
        FROM (SELECT count(*) AS rows FROM months WHERE days <> array_fill(0, ARRAY[{places}])) AS counted,
            (SELECT count(*) AS rows FROM clients WHERE (on_time, late, open) <> (0, 0, 0)) AS also_counted
        WHERE counted.rows + also_counted.rows > 0
    ), by_month AS (
        INSERT INTO indicator_month AS kept (polo_id, angel_id, month, on_time, late, open, days)
        SELECT months.* FROM months, locked WHERE days <> array_fill(0, ARRAY[{places}]) ORDER BY 1, 2, 3
        ON CONFLICT (polo_id, angel_id, month) DO UPDATE SET on_time = kept.on_time + excluded.on_time,
            late = kept.late + excluded.late, open = kept.open + excluded.open,
            days = indicator_add(kept.days, excluded.days)
    ), by_angel AS (
        INSERT INTO indicator_angel AS kept (angel_id, on_time, late, open)
        SELECT angel_id, sum(on_time), sum(late), sum(open) FROM months, locked
        WHERE polo_id = 0 GROUP BY 1 ORDER BY 1
        ON CONFLICT (angel_id) DO UPDATE SET on_time = kept.on_time + excluded.on_time,
            late = kept.late + excluded.late, open = kept.open + excluded.open
    ), by_polo AS (
        INSERT INTO indicator_polo AS kept (polo_id, weekday, on_time, late, open)
        SELECT polo_id, date_part('isodow', month + ((place - 1) % 31)::int),
            coalesce(sum(amount) FILTER (WHERE place <= 31), 0),
            coalesce(sum(amount) FILTER (WHERE place BETWEEN 32 AND 62), 0),
            coalesce(sum(amount) FILTER (WHERE place >= 63), 0)
        FROM locked, months, unnest(days) WITH ORDINALITY AS day (amount, place)
        WHERE angel_id = 0 AND amount <> 0 GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (polo_id, weekday) DO UPDATE SET on_time = kept.on_time + excluded.on_time,
            late = kept.late + excluded.late, open = kept.open + excluded.open
    )
    INSERT INTO indicator_client AS kept (client_id, on_time, late, open)
    SELECT clients.* FROM clients, locked WHERE (on_time, late, open) <> (0, 0, 0) ORDER BY 1
    ON CONFLICT (client_id) DO UPDATE SET on_time = kept.on_time + excluded.on_time,
        late = kept.late + excluded.late, open = kept.open + excluded.open
"""
COUNTED = """SELECT {sign} AS sign, client_id, angel_id, polo_id, data_limite, data_de_atendimento
    FROM {table} WHERE deleted_at IS NULL"""
ADDED, REMOVED = COUNTED.format(sign=1, table="added"), COUNTED.format(sign=-1, table="removed")
# Each event, what it leaves to be counted, and the names of its transition tables.
EVENTS = {
    "insert": (ADDED, "NEW TABLE AS added"),
    "update": (f"{ADDED} UNION ALL {REMOVED}", "NEW TABLE AS added OLD TABLE AS removed"),
    "delete": (REMOVED, "OLD TABLE AS removed"),
}
# Planned anew each time: a plan made for one row would be a bad one for a million.
FUNCTION = """
    CREATE FUNCTION atendimento_fold_{event}() RETURNS trigger LANGUAGE plpgsql
    SET jit = off SET work_mem = '64MB' AS $$
    BEGIN
        EXECUTE $fold${fold}$fold$;
        RETURN NULL;
    END $$
"""
FORGET = """
    CREATE FUNCTION atendimento_forget() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock({lock});
        DELETE FROM indicator_month;
        DELETE FROM indicator_angel;
        DELETE FROM indicator_polo;
        DELETE FROM indicator_client;
        RETURN NULL;
    END $$
"""


def upgrade() -> None:
    op.create_table(
        "indicator_month",
        sa.Column("polo_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("angel_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("on_time", sa.Integer(), nullable=False),
        sa.Column("late", sa.Integer(), nullable=False),
        sa.Column("open", sa.Integer(), nullable=False),
        sa.Column("days", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.PrimaryKeyConstraint("polo_id", "angel_id", "month", name=op.f("pk_indicator_month")),
        postgresql_with={"fillfactor": "60"},
    )
    op.create_table(
        "indicator_angel",
        sa.Column("angel_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("on_time", sa.BigInteger(), nullable=False),
        sa.Column("late", sa.BigInteger(), nullable=False),
        sa.Column("open", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("angel_id", name=op.f("pk_indicator_angel")),
    )
    op.create_table(
        "indicator_polo",
        sa.Column("polo_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("weekday", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("on_time", sa.BigInteger(), nullable=False),
        sa.Column("late", sa.BigInteger(), nullable=False),
        sa.Column("open", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("polo_id", "weekday", name=op.f("pk_indicator_polo")),
    )
    op.create_table(
        "indicator_client",
        sa.Column("client_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("on_time", sa.Integer(), nullable=False),
        sa.Column("late", sa.Integer(), nullable=False),
        sa.Column("open", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_indicator_client")),
    )
    op.execute(SPREAD)
    op.execute(ADD)
    # No row may change between the first count and the triggers.
    op.execute("LOCK TABLE atendimento IN SHARE ROW EXCLUSIVE MODE")
    op.execute(_fold(COUNTED.format(sign=1, table="atendimento")))
    for event, (changed, tables) in EVENTS.items():
        op.execute(FUNCTION.format(event=event, fold=_fold(changed)))
        _create_trigger(f"atendimento_fold_{event}", event, f"REFERENCING {tables}")
    op.execute(FORGET.format(lock=LOCK))
    _create_trigger("atendimento_forget", "truncate")


def _fold(changed: str) -> str:
    return FOLD.format(changed=changed, lock=LOCK, places=PLACES)


def _create_trigger(name: str, event: str, referencing: str = "") -> None:
    """ALWAYS: imports run as a replica, so that foreign keys are checked once for all rows."""
    op.execute(
        f"CREATE TRIGGER {name} AFTER {event} ON atendimento {referencing} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
    )
    op.execute(f"ALTER TABLE atendimento ENABLE ALWAYS TRIGGER {name}")


def downgrade() -> None:
    for name in (*(f"atendimento_fold_{event}" for event in EVENTS), "atendimento_forget"):
        op.execute(f"DROP TRIGGER {name} ON atendimento")
        op.execute(f"DROP FUNCTION {name}()")
    op.execute("DROP FUNCTION indicator_add(int[], int[])")
    op.execute("DROP FUNCTION indicator_spread(int[])")
    for table in ("indicator_client", "indicator_polo", "indicator_angel", "indicator_month"):
        op.drop_table(table)

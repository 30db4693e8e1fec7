"""Counts of 31 clients whose ids follow each other stand in one row; counts are merged in one step."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0025"
down_revision: str | Sequence[str] | None = "0024"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

LOCK, PLACES, CLIENTS = 7_012_003, 93, 31  # as in 0003; 31 clients on time, 31 late, 31 open
KINDS = ("on_time", "late", "open")
EMPTY = f"array_fill(0, ARRAY[{PLACES}])"
TOTALS = ", ".join(
    " + ".join(f"counts[{place + CLIENTS * kind}]" for kind in range(len(KINDS)))
    for place in range(1, CLIENTS + 1)
)
# A session plans what is in PL/pgSQL once; what is in SQL is planned within each statement, and triggers run
# them for single rows, too: an insertion takes half as long.
MOST = f"""
    CREATE FUNCTION indicator_most(counts int[]) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN
        RETURN greatest({TOTALS});
    END $$
"""


def _sums(kept: str, more: str) -> str:
    return f"ARRAY[{', '.join(f'{kept}[{place}] + {more}[{place}]' for place in range(1, PLACES + 1))}]"


ADD_IN_SQL = f"""
    CREATE OR REPLACE FUNCTION indicator_add(kept int[], more int[]) RETURNS int[] LANGUAGE sql IMMUTABLE
    RETURN {_sums("kept", "more")}
"""
ADD = f"""
    CREATE OR REPLACE FUNCTION indicator_add(kept int[], more int[]) RETURNS int[]
    LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN
        RETURN {_sums("kept", "more")};
    END $$
"""
SUMS = (
    "on_time = kept.on_time + {more}.on_time, late = kept.late + {more}.late, open = kept.open + {more}.open"
)
MORE = SUMS.format(more="excluded")
# What is different where counts of clients stand alone, and where they stand together.
ALONE = {
    "clients": "indicator_client",
    "count_clients": """
        SELECT client_id, coalesce(sum(sign) FILTER (WHERE kind = 0), 0)::int AS on_time,
            coalesce(sum(sign) FILTER (WHERE kind = 1), 0)::int AS late,
            coalesce(sum(sign) FILTER (WHERE kind = 2), 0)::int AS open
        FROM placed GROUP BY client_id""",
    "is_any": "(on_time, late, open) <> (0, 0, 0)",
    "client_columns": "client_id, on_time, late, open",
    "add_clients": f"ON CONFLICT (client_id) DO UPDATE SET {MORE}",
    "merge_clients": f"""
        MERGE INTO indicator_client AS kept USING counted_clients AS more
            ON kept.client_id = more.client_id
        WHEN MATCHED THEN UPDATE SET {SUMS.format(more="more")}
        WHEN NOT MATCHED THEN INSERT VALUES (more.client_id, more.on_time, more.late, more.open);""",
}
TOGETHER = {
    "clients": "indicator_client_stretch",
    "count_clients": f"""
        SELECT client_id / {CLIENTS} AS stretch, indicator_spread(
            array_agg(sign * ((client_id % {CLIENTS})::int + 1 + {CLIENTS} * kind))) AS counts
        FROM placed GROUP BY 1""",
    "is_any": f"counts <> {EMPTY}",
    "client_columns": "stretch, counts",
    "add_clients": "ON CONFLICT (stretch) DO UPDATE SET counts = indicator_add(kept.counts, excluded.counts)",
    "merge_clients": f"""
        MERGE INTO indicator_client_stretch AS kept USING counted_clients AS more
            ON kept.stretch = more.stretch
        WHEN MATCHED THEN UPDATE SET counts = {_sums("kept.counts", "more.counts")}
        WHEN NOT MATCHED THEN INSERT (stretch, counts) VALUES (more.stretch, more.counts);""",
}
# As in 0003, but for the clients.
FOLD = f"""
    WITH changed AS NOT MATERIALIZED ({{changed}}), placed AS NOT MATERIALIZED (
        SELECT sign, client_id, polo_id, angel_id, kind, date_trunc('month', at)::date AS month,
            at::date - date_trunc('month', at)::date + 1 + 31 * kind AS place
        FROM (
            SELECT sign, client_id, polo_id, angel_id, coalesce(data_de_atendimento, data_limite) AS at,
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
    ), clients AS MATERIALIZED ({{count_clients}}
    ), locked AS MATERIALIZED (
        SELECT pg_advisory_xact_lock({LOCK})
        FROM (SELECT count(*) AS rows FROM months WHERE days <> {EMPTY}) AS counted,
            (SELECT count(*) AS rows FROM clients WHERE {{is_any}}) AS also_counted
        WHERE counted.rows + also_counted.rows > 0
    ), by_month AS (
        INSERT INTO indicator_month AS kept (polo_id, angel_id, month, on_time, late, open, days)
        SELECT months.* FROM months, locked WHERE days <> {EMPTY} ORDER BY 1, 2, 3
        ON CONFLICT (polo_id, angel_id, month) DO UPDATE SET {MORE},
            days = indicator_add(kept.days, excluded.days)
    ), by_angel AS (
        INSERT INTO indicator_angel AS kept (angel_id, on_time, late, open)
        SELECT angel_id, sum(on_time), sum(late), sum(open) FROM months, locked
        WHERE polo_id = 0 GROUP BY 1 ORDER BY 1
        ON CONFLICT (angel_id) DO UPDATE SET {MORE}
    ), by_polo AS (
        INSERT INTO indicator_polo AS kept (polo_id, weekday, on_time, late, open)
        SELECT polo_id, date_part('isodow', month + ((place - 1) % 31)::int),
            coalesce(sum(amount) FILTER (WHERE place <= 31), 0),
            coalesce(sum(amount) FILTER (WHERE place BETWEEN 32 AND 62), 0),
            coalesce(sum(amount) FILTER (WHERE place >= 63), 0)
        FROM locked, months, unnest(days) WITH ORDINALITY AS day (amount, place)
        WHERE angel_id = 0 AND amount <> 0 GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (polo_id, weekday) DO UPDATE SET {MORE}
    )
    INSERT INTO {{clients}} AS kept ({{client_columns}})
    SELECT clients.* FROM clients, locked WHERE {{is_any}} ORDER BY 1 {{add_clients}}
"""
COUNTED = """SELECT {sign} AS sign, client_id, angel_id, polo_id, data_limite, data_de_atendimento
    FROM {table} WHERE deleted_at IS NULL"""
ADDED, REMOVED = COUNTED.format(sign=1, table="added"), COUNTED.format(sign=-1, table="removed")
CHANGES = {"insert": ADDED, "update": f"{ADDED} UNION ALL {REMOVED}", "delete": REMOVED}
FUNCTIONS = {
    f"atendimento_fold_{event}() RETURNS trigger SET jit = off SET work_mem = '64MB'": f"""
        EXECUTE $fold${FOLD.replace("{changed}", changed)}$fold$;
        RETURN NULL;"""
    for event, changed in CHANGES.items()
} | {
    "atendimento_forget() RETURNS trigger": f"""
        PERFORM pg_advisory_xact_lock({LOCK});
        DELETE FROM indicator_month;
        DELETE FROM indicator_angel;
        DELETE FROM indicator_polo;
        DELETE FROM {{clients}};
        RETURN NULL;""",
    "atendimento_has_counts() RETURNS boolean": f"""
        PERFORM pg_advisory_xact_lock({LOCK});
        RETURN EXISTS (SELECT FROM indicator_month) OR EXISTS (SELECT FROM {{clients}})
            OR EXISTS (SELECT FROM indicator_angel) OR EXISTS (SELECT FROM indicator_polo);""",
    "atendimento_merge_counted() RETURNS void SET jit = off SET work_mem = '64MB'": f"""
        PERFORM pg_advisory_xact_lock({LOCK});
        MERGE INTO indicator_month AS kept USING counted_months AS more
            ON (kept.polo_id, kept.angel_id, kept.month) = (more.polo_id, more.angel_id, more.month)
        WHEN MATCHED THEN UPDATE SET {SUMS.format(more="more")}, days = {_sums("kept.days", "more.days")}
        WHEN NOT MATCHED THEN INSERT VALUES (more.polo_id, more.angel_id, more.month,
            more.on_time, more.late, more.open, more.days);
        INSERT INTO indicator_angel AS kept SELECT * FROM counted_angels ORDER BY angel_id
        ON CONFLICT (angel_id) DO UPDATE SET {MORE};
        INSERT INTO indicator_polo AS kept SELECT * FROM counted_polos ORDER BY polo_id, weekday
        ON CONFLICT (polo_id, weekday) DO UPDATE SET {MORE};
        {{merge_clients}}""",
}
PUT_TOGETHER = ", ".join(
    f"coalesce(sum({kind}) FILTER (WHERE client_id % {CLIENTS} = {place}), 0)::int"
    for kind in KINDS
    for place in range(CLIENTS)
)


def upgrade() -> None:
    _keep_still()
    op.execute(MOST)
    op.create_table(
        "indicator_client_stretch",
        sa.Column("stretch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("counts", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column(
            "most", sa.Integer(), sa.Computed("indicator_most(counts)", persisted=True), nullable=False
        ),
        sa.PrimaryKeyConstraint("stretch", name=op.f("pk_indicator_client_stretch")),
        postgresql_with={"fillfactor": "60"},
    )
    op.execute(
        f"""INSERT INTO indicator_client_stretch (stretch, counts)
            SELECT client_id / {CLIENTS}, ARRAY[{PUT_TOGETHER}] FROM indicator_client GROUP BY 1 ORDER BY 1"""
    )
    op.execute(ADD)
    _make_functions(TOGETHER)
    op.drop_table("indicator_client")


def downgrade() -> None:
    """What is counted is the same as before; counts are still merged in one step."""
    _keep_still()
    op.create_table(
        "indicator_client",
        sa.Column("client_id", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(kind, sa.Integer(), nullable=False) for kind in KINDS),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_indicator_client")),
        postgresql_with={"fillfactor": "50"},
    )
    op.execute(
        f"""INSERT INTO indicator_client
            SELECT stretch * {CLIENTS} + place - 1, counts[place], counts[place + {CLIENTS}],
                counts[place + {2 * CLIENTS}]
            FROM indicator_client_stretch, generate_series(1, {CLIENTS}) AS place
            WHERE counts[place] + counts[place + {CLIENTS}] + counts[place + {2 * CLIENTS}] > 0 ORDER BY 1"""
    )
    op.execute(ADD_IN_SQL)
    _make_functions(ALONE)
    op.drop_table("indicator_client_stretch")
    op.execute("DROP FUNCTION indicator_most(int[])")


def _keep_still() -> None:
    """No row may change between the copying of the counts and the new functions."""
    op.execute("LOCK TABLE atendimento IN SHARE ROW EXCLUSIVE MODE")


def _make_functions(clients: dict[str, str]) -> None:
    for head, body in FUNCTIONS.items():
        op.execute(
            f"CREATE OR REPLACE FUNCTION {head} LANGUAGE plpgsql AS $$ BEGIN {body.format(**clients)} END $$"
        )

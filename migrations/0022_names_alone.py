"""Large imports: names alone are in no index of countries and addresses; counts are added in two steps."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0022"
down_revision: str | Sequence[str] | None = "0021"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

LOCK = 7_012_003  # as in 0003
# Whoever writes there holds the lock: what is not updated is not there, and no insertion expects a conflict.
MERGE = f"""
    CREATE OR REPLACE FUNCTION atendimento_merge_counted() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock({LOCK});
        {{months}}
        INSERT INTO indicator_angel AS kept (angel_id, on_time, late, open)
        SELECT angel_id, sum(on_time), sum(late), sum(open) FROM counted_months
        WHERE polo_id = 0 GROUP BY 1 ORDER BY 1
        ON CONFLICT (angel_id) DO UPDATE SET on_time = kept.on_time + excluded.on_time,
            late = kept.late + excluded.late, open = kept.open + excluded.open;
        INSERT INTO indicator_polo AS kept (polo_id, weekday, on_time, late, open)
        SELECT polo_id, date_part('isodow', month + ((place - 1) % 31)::int),
            coalesce(sum(amount) FILTER (WHERE place <= 31), 0),
            coalesce(sum(amount) FILTER (WHERE place BETWEEN 32 AND 62), 0),
            coalesce(sum(amount) FILTER (WHERE place >= 63), 0)
        FROM counted_months, unnest(days) WITH ORDINALITY AS day (amount, place)
        WHERE angel_id = 0 AND amount <> 0 GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (polo_id, weekday) DO UPDATE SET on_time = kept.on_time + excluded.on_time,
            late = kept.late + excluded.late, open = kept.open + excluded.open;
        {{clients}}
    END $$
"""
SUMS = "on_time = kept.on_time + more.on_time, late = kept.late + more.late, open = kept.open + more.open"
IN_TWO_STEPS = {
    "months": f"""
        UPDATE indicator_month AS kept SET {SUMS}, days = indicator_add(kept.days, more.days)
        FROM counted_months AS more WHERE (kept.polo_id, kept.angel_id, kept.month)
            = (more.polo_id, more.angel_id, more.month);
        INSERT INTO indicator_month SELECT * FROM counted_months AS more WHERE NOT EXISTS (
            SELECT FROM indicator_month AS kept WHERE (kept.polo_id, kept.angel_id, kept.month)
                = (more.polo_id, more.angel_id, more.month))
        ORDER BY polo_id, angel_id, month;""",
    "clients": f"""
        UPDATE indicator_client AS kept SET {SUMS}
        FROM counted_clients AS more WHERE kept.client_id = more.client_id;
        INSERT INTO indicator_client SELECT * FROM counted_clients AS more WHERE NOT EXISTS (
            SELECT FROM indicator_client AS kept WHERE kept.client_id = more.client_id)
        ORDER BY client_id;""",
}
IN_ONE = {
    "months": f"""
        INSERT INTO indicator_month AS kept
        SELECT * FROM counted_months ORDER BY polo_id, angel_id, month
        ON CONFLICT (polo_id, angel_id, month) DO UPDATE SET {SUMS.replace("more", "excluded")},
            days = indicator_add(kept.days, excluded.days);""",
    "clients": f"""
        INSERT INTO indicator_client AS kept SELECT * FROM counted_clients ORDER BY client_id
        ON CONFLICT (client_id) DO UPDATE SET {SUMS.replace("more", "excluded")};""",
}


def upgrade() -> None:
    op.execute(MERGE.format(**IN_TWO_STEPS))
    _replace_indexes("deleted_at IS NULL AND email IS NOT NULL", "country IS NOT NULL")


def downgrade() -> None:
    _replace_indexes("deleted_at IS NULL", None)
    op.execute(MERGE.format(**IN_ONE))


def _replace_indexes(has_address: str, has_country: str | None) -> None:
    """Names that atendimentos bring have neither, and come by the hundred thousand."""
    op.drop_constraint("ex_client_email", "client")
    op.create_exclude_constraint(
        "ex_client_email",
        "client",
        (sa.column("email"), "="),
        where=sa.text(has_address),
        deferrable=True,
        initially="IMMEDIATE",
        using="btree",
    )
    op.drop_index("ix_client_country_id", "client")
    op.create_index(
        "ix_client_country_id",
        "client",
        [sa.text("lower(country)"), "id"],
        postgresql_where=has_country and sa.text(has_country),
    )

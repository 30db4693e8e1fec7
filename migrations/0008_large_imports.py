"""Large imports: the bulk way, and counts that an import brings, so that they are not counted again."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | Sequence[str] | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

LOCK = 7_012_003  # as in 0003
# What an import has counted stands in two temporary tables, like those that it is added to.
MERGE = f"""
    CREATE FUNCTION atendimento_merge_counted() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock({LOCK});
        INSERT INTO indicator_month AS kept
        SELECT * FROM counted_months ORDER BY polo_id, angel_id, month
        ON CONFLICT (polo_id, angel_id, month) DO UPDATE SET on_time = kept.on_time + excluded.on_time,
            late = kept.late + excluded.late, open = kept.open + excluded.open,
            days = indicator_add(kept.days, excluded.days);
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
        INSERT INTO indicator_client AS kept SELECT * FROM counted_clients ORDER BY client_id
        ON CONFLICT (client_id) DO UPDATE SET on_time = kept.on_time + excluded.on_time,
            late = kept.late + excluded.late, open = kept.open + excluded.open;
    END $$
"""
TRIGGER = """
    CREATE TRIGGER atendimento_fold_insert AFTER INSERT ON atendimento REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT {condition} EXECUTE FUNCTION atendimento_fold_insert()
"""
UNLESS_BROUGHT = "WHEN (current_setting('indicators.counts', true) IS DISTINCT FROM 'brought')"


def upgrade() -> None:
    op.add_column("import", sa.Column("is_bulk", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute(MERGE)
    _replace_trigger(UNLESS_BROUGHT)


def downgrade() -> None:
    _replace_trigger("")
    op.execute("DROP FUNCTION atendimento_merge_counted()")
    op.drop_column("import", "is_bulk")


def _replace_trigger(condition: str) -> None:
    """No row can come in between: it waits for the end of the migration."""
    op.execute("DROP TRIGGER atendimento_fold_insert ON atendimento")
    op.execute(TRIGGER.format(condition=condition))
    op.execute("ALTER TABLE atendimento ENABLE ALWAYS TRIGGER atendimento_fold_insert")

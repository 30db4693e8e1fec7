"""Views: statistics of transactions, their refreshes; numbers and indexes for clients."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | Sequence[str] | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

STATISTICS = """
    CREATE MATERIALIZED VIEW transaction_statistics AS
    SELECT client_id, currency, count(*) AS transactions,
        coalesce(sum(amount) FILTER (WHERE transaction_type = 'buy'), 0) AS spent,
        coalesce(-sum(amount) FILTER (WHERE transaction_type = 'sell'), 0) AS gained
    FROM transaction GROUP BY client_id, currency
"""
# A server without pg_trgm (the embedded one), or whose owner forbids it, searches without these.
TRIGRAMS = """
    DO $$ BEGIN
        CREATE EXTENSION IF NOT EXISTS pg_trgm;
        CREATE INDEX ix_client_name_trgm ON client USING gin (name gin_trgm_ops);
        CREATE INDEX ix_client_email_trgm ON client USING gin (email gin_trgm_ops);
    EXCEPTION WHEN feature_not_supported OR undefined_file OR insufficient_privilege THEN
        RAISE NOTICE 'pg_trgm is not to be had; clients are searched without an index';
    END $$
"""


def upgrade() -> None:
    op.execute("CREATE SEQUENCE client_number")
    op.create_index("ix_client_country_id", "client", [sa.text("lower(country)"), "id"], unique=False)
    op.execute(TRIGRAMS)
    op.create_table(
        "view_refresh",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("view", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("requested_by", sa.Uuid(), nullable=True),
        sa.Column("served_by", sa.Uuid(), nullable=True),
        sa.Column(
            "requested_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "finished_at IS NULL OR started_at IS NOT NULL", name=op.f("ck_view_refresh_times")
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("fk_view_refresh_job_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["requested_by"], ["account.id"], name=op.f("fk_view_refresh_requested_by")),
        sa.ForeignKeyConstraint(
            ["served_by"], ["view_refresh.id"], name=op.f("fk_view_refresh_served_by"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_view_refresh")),
    )
    op.create_index(op.f("ix_view_refresh_job_id"), "view_refresh", ["job_id"], unique=False)
    op.create_index(op.f("ix_view_refresh_served_by"), "view_refresh", ["served_by"], unique=False)
    op.create_index("ix_view_refresh_view_id", "view_refresh", ["view", "id"], unique=False)
    op.create_index(
        "ix_view_refresh_unfinished",
        "view_refresh",
        ["view"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    # Filled here, so that it can be refreshed concurrently from its first day on.
    op.execute(STATISTICS)
    op.execute(
        "CREATE UNIQUE INDEX uq_transaction_statistics ON transaction_statistics (client_id, currency)"
    )
    op.execute(
        "INSERT INTO view_refresh (id, view, requested_at, started_at, finished_at, rows) "
        "SELECT '00000000-0000-7000-8000-000000000000', 'transaction_statistics', now(), now(), "
        "clock_timestamp(), count(*) FROM transaction_statistics"
    )


def downgrade() -> None:
    op.execute("DROP MATERIALIZED VIEW transaction_statistics")
    op.drop_table("view_refresh")
    for index in ("ix_client_name_trgm", "ix_client_email_trgm", "ix_client_country_id"):
        op.execute(f"DROP INDEX IF EXISTS {index}")
    op.execute("DROP SEQUENCE client_number")

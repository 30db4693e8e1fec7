"""Records: clients, atendimentos, transactions in partitions, and the imports that bring them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0002"
down_revision: str | Sequence[str] | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

YEARS = 5  # of one partition
# A unique index over partitions must hold the partition's key; this table holds the transaction's alone.
KEEP_KEYS = """
    CREATE FUNCTION transaction_keep_keys() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO transaction_key SELECT transaction_id FROM changed;
        RETURN NULL;
    END $$
"""
FORGET_KEYS = """
    CREATE FUNCTION transaction_forget_keys() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM transaction_key AS kept USING changed WHERE kept.transaction_id = changed.transaction_id;
        RETURN NULL;
    END $$
"""


def upgrade() -> None:
    op.create_table(
        "angel",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("import_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_angel")),
        sa.UniqueConstraint("name", name=op.f("uq_angel_name")),
    )
    op.create_table(
        "client",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("date_of_birth", sa.Date(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("account_balance", sa.Numeric(precision=15, scale=2), server_default="0", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("import_id", sa.Uuid(), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.column("email"), "="),
            where=sa.text("deleted_at IS NULL"),
            deferrable=True,
            initially="IMMEDIATE",
            using="btree",
            name="ex_client_email",
        ),
        sa.CheckConstraint(
            "email = lower(email) AND position('@' in email) > 1", name=op.f("ck_client_email")
        ),
        sa.CheckConstraint("length(external_id) BETWEEN 1 AND 50", name=op.f("ck_client_external_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client")),
        sa.UniqueConstraint("external_id", name=op.f("uq_client_external_id")),
    )
    op.create_index("ix_client_import_id", "client", ["import_id"], unique=False, postgresql_using="brin")
    op.create_table(
        "polo",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("import_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_polo")),
        sa.UniqueConstraint("name", name=op.f("uq_polo_name")),
    )
    op.create_table(
        "transaction_key",
        sa.Column("transaction_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("transaction_id", name=op.f("pk_transaction_key")),
    )
    op.create_table(
        "atendimento",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("angel_id", sa.Integer(), nullable=False),
        sa.Column("polo_id", sa.Integer(), nullable=False),
        sa.Column("data_limite", sa.DateTime(), nullable=False),
        sa.Column("data_de_atendimento", sa.DateTime(), nullable=True),
        sa.Column("status", sa.Text(), server_default="PENDING", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("import_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "isfinite(data_limite) AND isfinite(data_de_atendimento)", name=op.f("ck_atendimento_dates")
        ),
        sa.CheckConstraint("length(external_id) BETWEEN 1 AND 50", name=op.f("ck_atendimento_external_id")),
        sa.CheckConstraint("length(status) BETWEEN 1 AND 50", name=op.f("ck_atendimento_status")),
        sa.ForeignKeyConstraint(["angel_id"], ["angel.id"], name=op.f("fk_atendimento_angel_id")),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_atendimento_client_id")),
        sa.ForeignKeyConstraint(["polo_id"], ["polo.id"], name=op.f("fk_atendimento_polo_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_atendimento")),
    )
    op.create_index("ix_atendimento_client_id_id", "atendimento", ["client_id", "id"], unique=False)
    op.create_index(
        "ix_atendimento_data_de_atendimento_id", "atendimento", ["data_de_atendimento", "id"], unique=False
    )
    op.create_index("ix_atendimento_data_limite_id", "atendimento", ["data_limite", "id"], unique=False)
    op.create_index(
        "ix_atendimento_import_id", "atendimento", ["import_id"], unique=False, postgresql_using="brin"
    )
    op.create_index(
        "uq_atendimento_external_id",
        "atendimento",
        ["external_id"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "transaction",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("transaction_date", sa.DateTime(timezone=True), nullable=False),
        sa.Column("transaction_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("transaction_type", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=15, scale=2), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("import_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "CASE transaction_type WHEN 'buy' THEN amount >= 0 ELSE amount <= 0 END",
            name=op.f("ck_transaction_sign"),
        ),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_transaction_currency")),
        sa.CheckConstraint(
            "transaction_date >= '1970-01-01 00:00+00' AND transaction_date < '2100-01-01 00:00+00'",
            name=op.f("ck_transaction_date"),
        ),
        sa.CheckConstraint("transaction_type IN ('buy', 'sell')", name=op.f("ck_transaction_type")),
        sa.CheckConstraint(
            "length(transaction_id) BETWEEN 1 AND 50", name=op.f("ck_transaction_transaction_id")
        ),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_transaction_client_id")),
        sa.PrimaryKeyConstraint("id", "transaction_date", name=op.f("pk_transaction")),
        postgresql_partition_by="RANGE (transaction_date)",
    )
    op.create_index(
        "ix_transaction_client_id_transaction_date",
        "transaction",
        ["client_id", "transaction_date"],
        unique=False,
    )
    op.create_index(
        "ix_transaction_import_id", "transaction", ["import_id"], unique=False, postgresql_using="brin"
    )
    op.create_table(
        "import",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=True),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("detected", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("mapping", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("options", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("on_error", sa.Text(), nullable=False),
        sa.Column("max_errors", sa.BigInteger(), nullable=True),
        sa.Column("max_error_rate", sa.Numeric(), nullable=True),
        sa.Column("is_dry_run", sa.Boolean(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("rows_read", sa.BigInteger(), nullable=False),
        sa.Column("inserted", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("unchanged", sa.BigInteger(), nullable=False),
        sa.Column("duplicate", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("report", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("rejects_file_id", sa.Uuid(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("committed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("mode IN ('insert', 'upsert')", name=op.f("ck_import_mode")),
        sa.CheckConstraint("on_error IN ('skip_rows', 'reject_file')", name=op.f("ck_import_on_error")),
        sa.CheckConstraint(
            "committed_at IS NULL OR rows_read = inserted + updated + unchanged + duplicate + rejected",
            name=op.f("ck_import_accounting"),
        ),
        sa.CheckConstraint("undone_at IS NULL OR committed_at IS NOT NULL", name=op.f("ck_import_undone")),
        sa.ForeignKeyConstraint(
            ["file_id"], ["file.id"], name=op.f("fk_import_file_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_import_job_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["account.id"], name=op.f("fk_import_owner_id")),
        sa.ForeignKeyConstraint(["parent_id"], ["import.id"], name=op.f("fk_import_parent_id")),
        sa.ForeignKeyConstraint(
            ["rejects_file_id"], ["file.id"], name=op.f("fk_import_rejects_file_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import")),
    )
    op.create_index(op.f("ix_import_file_id"), "import", ["file_id"], unique=False)
    op.create_index(op.f("ix_import_fingerprint"), "import", ["fingerprint"], unique=False)
    op.create_index(op.f("ix_import_job_id"), "import", ["job_id"], unique=False)
    op.create_index("ix_import_owner_id_id", "import", ["owner_id", "id"], unique=False)
    op.create_index(op.f("ix_import_parent_id"), "import", ["parent_id"], unique=False)
    op.create_index(op.f("ix_import_rejects_file_id"), "import", ["rejects_file_id"], unique=False)
    op.create_table(
        "import_change",
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["import_id"], ["import.id"], name=op.f("fk_import_change_import_id")),
        sa.PrimaryKeyConstraint("import_id", "row_id", name=op.f("pk_import_change")),
    )
    op.execute("CREATE SCHEMA partitions")
    for year in range(1970, 2100, YEARS):
        op.execute(
            f"CREATE TABLE partitions.transaction_{year} PARTITION OF transaction "
            f"FOR VALUES FROM ('{year}-01-01 00:00+00') TO ('{year + YEARS}-01-01 00:00+00')"
        )
    op.execute(KEEP_KEYS)
    op.execute(FORGET_KEYS)
    for function, event, rows in (("keep", "INSERT", "NEW"), ("forget", "DELETE", "OLD")):
        op.execute(
            f"CREATE TRIGGER transaction_{function}_keys AFTER {event} ON transaction "
            f"REFERENCING {rows} TABLE AS changed FOR EACH STATEMENT "
            f"EXECUTE FUNCTION transaction_{function}_keys()"
        )
        op.execute(f"ALTER TABLE transaction ENABLE ALWAYS TRIGGER transaction_{function}_keys")


def downgrade() -> None:
    for table in (
        "import_change",
        "import",
        "transaction",
        "atendimento",
        "transaction_key",
        "polo",
        "client",
        "angel",
    ):
        op.drop_table(table)
    op.execute("DROP SCHEMA partitions")
    op.execute("DROP FUNCTION transaction_keep_keys()")
    op.execute("DROP FUNCTION transaction_forget_keys()")

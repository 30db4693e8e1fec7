"""Operations on files, and recipes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.create_table(
        "recipe",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["account.id"], name=op.f("fk_recipe_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipe")),
    )
    op.create_index("ix_recipe_owner_id_id", "recipe", ["owner_id", "id"], unique=False)
    op.create_table(
        "recipe_version",
        sa.Column("recipe_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("steps", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["recipe_id"], ["recipe.id"], name=op.f("fk_recipe_version_recipe_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("recipe_id", "version", name=op.f("pk_recipe_version")),
    )
    op.create_table(
        "operation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=True),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("file_sha256", sa.Text(), nullable=False),
        sa.Column("recipe_id", sa.Uuid(), nullable=True),
        sa.Column("recipe_version", sa.Integer(), nullable=True),
        sa.Column("steps", postgresql.JSONB(), nullable=False),
        sa.Column("types", postgresql.JSONB(), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("original_rows", sa.BigInteger(), nullable=True),
        sa.Column("processed_rows", sa.BigInteger(), nullable=True),
        sa.Column("result_file_id", sa.Uuid(), nullable=True),
        sa.Column("lineage", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("output IN ('csv', 'xlsx', 'jsonl', 'parquet')", name=op.f("ck_operation_output")),
        sa.ForeignKeyConstraint(["owner_id"], ["account.id"], name=op.f("fk_operation_owner_id")),
        sa.ForeignKeyConstraint(
            ["file_id"], ["file.id"], name=op.f("fk_operation_file_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["recipe_id"], ["recipe.id"], name=op.f("fk_operation_recipe_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("fk_operation_job_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["result_file_id"], ["file.id"], name=op.f("fk_operation_result_file_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operation")),
    )
    for column in ("file_id", "recipe_id", "job_id", "result_file_id"):
        op.create_index(op.f(f"ix_operation_{column}"), "operation", [column], unique=False)
    op.create_index("ix_operation_owner_id_id", "operation", ["owner_id", "id"], unique=False)


def downgrade() -> None:
    op.drop_table("operation")
    op.drop_table("recipe_version")
    op.drop_table("recipe")

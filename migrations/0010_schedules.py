"""Schedules, and a line for each due time."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0010"
down_revision: str | Sequence[str] | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "schedule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("work", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("input_file_id", sa.Uuid(), nullable=True),
        sa.Column("input_pattern", sa.Text(), nullable=True),
        sa.Column("misfire", sa.Text(), nullable=False),
        sa.Column("overlap", sa.Text(), nullable=False),
        sa.Column("keep", sa.SmallInteger(), nullable=False),
        sa.Column("notify", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("next_due", sa.DateTime(timezone=True), nullable=True),
        sa.Column("missed", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("misfire IN ('latest', 'all', 'skip')", name=op.f("ck_schedule_misfire")),
        sa.CheckConstraint("overlap IN ('skip', 'queue')", name=op.f("ck_schedule_overlap")),
        sa.CheckConstraint("keep BETWEEN 1 AND 1000", name=op.f("ck_schedule_keep")),
        sa.CheckConstraint("num_nonnulls(input_file_id, input_pattern) <= 1", name=op.f("ck_schedule_input")),
        sa.ForeignKeyConstraint(
            ["input_file_id"], ["file.id"], name=op.f("fk_schedule_input_file_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["account.id"], name=op.f("fk_schedule_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule")),
    )
    op.create_index(
        "ix_schedule_due", "schedule", ["next_due"], unique=False, postgresql_where=sa.text("NOT is_paused")
    )
    op.create_index(op.f("ix_schedule_input_file_id"), "schedule", ["input_file_id"], unique=False)
    op.create_index("ix_schedule_owner_id_id", "schedule", ["owner_id", "id"], unique=False)
    op.create_table(
        "schedule_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("schedule_id", sa.Uuid(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("has_product", sa.Boolean(), nullable=False),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'started', 'missed', 'skipped', 'refused')",
            name=op.f("ck_schedule_run_state"),
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("fk_schedule_run_job_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedule.id"], name=op.f("fk_schedule_run_schedule_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule_run")),
        sa.UniqueConstraint("schedule_id", "due_at", name=op.f("uq_schedule_run_schedule_id_due_at")),
    )
    op.create_index(op.f("ix_schedule_run_job_id"), "schedule_run", ["job_id"], unique=False)
    op.create_index("ix_schedule_run_schedule_id_id", "schedule_run", ["schedule_id", "id"], unique=False)
    op.create_index(
        "ix_schedule_run_waiting",
        "schedule_run",
        ["schedule_id"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )


def downgrade() -> None:
    op.drop_table("schedule_run")
    op.drop_table("schedule")

"""Deliveries: the outbox, and the secrets that webhooks are signed with."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0007"
down_revision: str | Sequence[str] | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "webhook_secret",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("former", sa.Text(), nullable=True),
        sa.Column("former_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["account.id"], name=op.f("fk_webhook_secret_owner_id")),
        sa.PrimaryKeyConstraint("owner_id", name=op.f("pk_webhook_secret")),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("wanted_on", sa.Text(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=True),
        sa.Column("group_key", sa.Text(), nullable=True),
        sa.Column("every", sa.Interval(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "due_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("sending_job_id", sa.Uuid(), nullable=True),
        sa.Column("joined_to", sa.Uuid(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("channel IN ('webhook', 'email', 'folder')", name=op.f("ck_delivery_channel")),
        sa.CheckConstraint(
            "state IN ('promised', 'waiting', 'sending', 'sent', 'failed', 'joined', 'unwanted')",
            name=op.f("ck_delivery_state"),
        ),
        sa.CheckConstraint("wanted_on IN ('done', 'failed', 'always')", name=op.f("ck_delivery_wanted_on")),
        sa.ForeignKeyConstraint(
            ["file_id"], ["file.id"], name=op.f("fk_delivery_file_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_delivery_job_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["joined_to"], ["delivery.id"], name=op.f("fk_delivery_joined_to"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["account.id"], name=op.f("fk_delivery_owner_id")),
        sa.ForeignKeyConstraint(
            ["sending_job_id"], ["job.id"], name=op.f("fk_delivery_sending_job_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
    )
    op.create_index(
        "ix_delivery_due", "delivery", ["due_at"], unique=False, postgresql_where=sa.text("state = 'waiting'")
    )
    op.create_index(op.f("ix_delivery_file_id"), "delivery", ["file_id"], unique=False)
    op.create_index(
        "ix_delivery_group",
        "delivery",
        ["owner_id", "group_key"],
        unique=False,
        postgresql_where=sa.text("group_key IS NOT NULL AND state <> 'joined'"),
    )
    op.create_index(op.f("ix_delivery_job_id"), "delivery", ["job_id"], unique=False)
    op.create_index(op.f("ix_delivery_joined_to"), "delivery", ["joined_to"], unique=False)
    op.create_index("ix_delivery_owner_id_id", "delivery", ["owner_id", "id"], unique=False)
    op.create_index(
        "ix_delivery_promised",
        "delivery",
        ["job_id"],
        unique=False,
        postgresql_where=sa.text("state = 'promised'"),
    )
    op.create_index(op.f("ix_delivery_sending_job_id"), "delivery", ["sending_job_id"], unique=False)


def downgrade() -> None:
    op.drop_table("delivery")
    op.drop_table("webhook_secret")

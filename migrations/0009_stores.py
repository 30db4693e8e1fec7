"""Stores: which store of files belongs to this database."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | Sequence[str] | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "store",
        sa.Column("is_ours", sa.Boolean(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("is_marked", sa.Boolean(), nullable=False),
        sa.CheckConstraint("is_ours", name=op.f("ck_store_only_one")),
        sa.PrimaryKeyConstraint("is_ours", name=op.f("pk_store")),
    )


def downgrade() -> None:
    op.drop_table("store")

"""Imports of events: the ledger of the lines that are settled."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0016"
down_revision: str | Sequence[str] | None = "0015"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "event_import_chunk",
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("first_line", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_line", sa.BigInteger(), nullable=False),
        sa.Column("stored", sa.Integer(), nullable=False),
        sa.Column("refused", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["import_id"], ["import.id"], name=op.f("fk_event_import_chunk_import_id")),
        sa.PrimaryKeyConstraint("import_id", "first_line", name=op.f("pk_event_import_chunk")),
    )


def downgrade() -> None:
    op.drop_table("event_import_chunk")

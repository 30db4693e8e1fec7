"""Counts of clients have room beside them for what an import makes of them."""

from collections.abc import Sequence

from alembic import op

revision: str = "0024"
down_revision: str | Sequence[str] | None = "0023"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Rows that are there move when they are changed."""
    op.execute("ALTER TABLE indicator_client SET (fillfactor = 50)")


def downgrade() -> None:
    op.execute("ALTER TABLE indicator_client RESET (fillfactor)")

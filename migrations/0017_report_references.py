"""Reports remember that there was a reference, also once its file is deleted."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0017"
down_revision: str | Sequence[str] | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("report", sa.Column("has_reference", sa.Boolean(), nullable=True))
    op.execute("UPDATE report SET has_reference = reference_file_id IS NOT NULL OR manifest ? 'reference'")
    op.alter_column("report", "has_reference", nullable=False)


def downgrade() -> None:
    op.drop_column("report", "has_reference")

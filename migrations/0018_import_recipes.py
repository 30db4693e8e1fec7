"""Imports that begin with a recipe: the operation whose result they load."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0018"
down_revision: str | Sequence[str] | None = "0017"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("import", sa.Column("operation_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_import_operation_id"), "import", "operation", ["operation_id"], ["id"])
    op.create_index(op.f("ix_import_operation_id"), "import", ["operation_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_import_operation_id"), table_name="import")
    op.drop_constraint(op.f("fk_import_operation_id"), "import", type_="foreignkey")
    op.drop_column("import", "operation_id")

"""The audit trail of one object is found by its id, which is what is asked for."""

from collections.abc import Sequence

from alembic import op

revision: str = "0019"
down_revision: str | Sequence[str] | None = "0018"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index(op.f("ix_audit_object_id_id"), "audit", ["object_id", "id"])
    op.drop_index(op.f("ix_audit_object_type_object_id"), "audit")


def downgrade() -> None:
    op.create_index(op.f("ix_audit_object_type_object_id"), "audit", ["object_type", "object_id"])
    op.drop_index(op.f("ix_audit_object_id_id"), "audit")

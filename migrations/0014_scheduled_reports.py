"""Schedules of reports: the rules that a schedule uses cannot be deleted."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0014"
down_revision: str | Sequence[str] | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("schedule", sa.Column("rules_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_schedule_rules_id"), "schedule", "rule_set", ["rules_id"], ["id"])
    op.create_index(op.f("ix_schedule_rules_id"), "schedule", ["rules_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_schedule_rules_id"), "schedule")
    op.drop_constraint(op.f("fk_schedule_rules_id"), "schedule", type_="foreignkey")
    op.drop_column("schedule", "rules_id")

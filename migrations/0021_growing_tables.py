"""Indexes for what each tick asks of tables that grow: the latest job of a kind, what a group has sent."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0021"
down_revision: str | Sequence[str] | None = "0020"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

OF_GROUPS = sa.text("group_key IS NOT NULL AND state <> 'joined'")


def upgrade() -> None:
    op.create_index("ix_job_kind_id", "job", ["kind", "id"])
    _index_groups(["owner_id", "group_key", "state", "finished_at"])


def downgrade() -> None:
    _index_groups(["owner_id", "group_key"])
    op.drop_index("ix_job_kind_id", "job")


def _index_groups(columns: list[str]) -> None:
    op.drop_index("ix_delivery_group", "delivery")
    op.create_index("ix_delivery_group", "delivery", columns, postgresql_where=OF_GROUPS)

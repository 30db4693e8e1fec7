"""Events know how many of their type there are up to them, and what these add up to."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0017"
down_revision: str | Sequence[str] | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

COUNT = """
    UPDATE event AS e SET number = f.number, total = f.total
    FROM (
        SELECT client_id, t, count(*) OVER past AS number, sum(amount) OVER past AS total
        FROM event WINDOW past AS (PARTITION BY client_id, type ORDER BY t)
    ) AS f
    WHERE f.client_id = e.client_id AND f.t = e.t
"""


def upgrade() -> None:
    op.add_column("event", sa.Column("number", sa.BigInteger(), nullable=True))
    op.add_column("event", sa.Column("total", sa.Numeric(28, 2), nullable=True))
    op.execute(COUNT)
    op.alter_column("event", "number", nullable=False)
    op.alter_column("event", "total", nullable=False)
    for type_ in ("deposit", "withdraw"):
        where = sa.text(f"type = '{type_}'")
        op.create_index(f"ix_event_{type_}", "event", ["client_id", "t"], postgresql_where=where)


def downgrade() -> None:
    op.drop_index("ix_event_withdraw", "event")
    op.drop_index("ix_event_deposit", "event")
    op.drop_column("event", "total")
    op.drop_column("event", "number")

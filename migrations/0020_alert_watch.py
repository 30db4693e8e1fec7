"""Sweeps for gaps look at some streams at a time, and a rule begins without a row for each of them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0020"
down_revision: str | Sequence[str] | None = "0019"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# All streams that were there when these rules began have a place: to the others, no event is too old.
WATCH = """
    INSERT INTO alert_watch (rule_id, begun_at, stream)
    SELECT r.id, 'epoch', -1 FROM alert_rule r
    JOIN alert_rule_version v ON v.rule_id = r.id AND v.version = r.version
    WHERE v.kind = 'gap'
"""


# Before, each stream without a place was looked at from its first event on.
PLACES = """
    INSERT INTO alert_sweep (rule_id, stream, t, begun_at)
    SELECT w.rule_id, h.stream, greatest(h.t - CAST(v.parameters->>'after' AS bigint) - 1, -1), w.begun_at
    FROM alert_watch w JOIN alert_rule r ON r.id = w.rule_id
    JOIN alert_rule_version v ON v.rule_id = r.id AND v.version = r.version
    CROSS JOIN event_high_water h WHERE w.begun_at > 'epoch'
    ON CONFLICT DO NOTHING
"""
FORMER = """
    DELETE FROM alert_sweep s WHERE NOT EXISTS (
        SELECT FROM alert_watch w WHERE w.rule_id = s.rule_id AND w.begun_at = s.begun_at)
"""


def upgrade() -> None:
    op.create_table(
        "alert_watch",
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stream", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["rule_id"], ["alert_rule.id"], name=op.f("fk_alert_watch_rule_id")),
        sa.PrimaryKeyConstraint("rule_id", name=op.f("pk_alert_watch")),
    )
    op.execute(WATCH)
    epoch = sa.text("'epoch'")
    begun_at = sa.Column("begun_at", sa.DateTime(timezone=True), server_default=epoch, nullable=False)
    op.add_column("alert_sweep", begun_at)
    op.alter_column("alert_sweep", "begun_at", server_default=None)


def downgrade() -> None:
    op.execute(FORMER)
    op.execute(PLACES)
    op.drop_column("alert_sweep", "begun_at")
    op.drop_table("alert_watch")

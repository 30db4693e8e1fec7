"""Alerts are acknowledged, snoozed, noted and told; rules are swept for gaps."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | Sequence[str] | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

UNTOLD = sa.text("NOT is_told AND NOT is_shadow")
HANDLING = ("acknowledged_at", "acknowledged_by", "snoozed_until", "is_told")


def upgrade() -> None:
    op.add_column("alert", sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("alert", sa.Column("acknowledged_by", sa.Uuid(), nullable=True))
    op.add_column("alert", sa.Column("snoozed_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "alert", sa.Column("is_told", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_foreign_key("fk_alert_acknowledged_by", "alert", "account", ["acknowledged_by"], ["id"])
    op.create_index("ix_alert_code_id", "alert", ["code", "id"])
    op.create_index("ix_alert_created_at", "alert", ["created_at"])
    op.create_index("ix_alert_untold", "alert", ["id"], postgresql_where=UNTOLD)
    op.create_table(
        "alert_note",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("alert_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_alert_note_account_id")),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], name=op.f("fk_alert_note_alert_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_note")),
    )
    op.create_index("ix_alert_note_alert_id", "alert_note", ["alert_id"])
    op.create_table(
        "alert_sweep",
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("stream", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("t", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["rule_id"], ["alert_rule.id"], name=op.f("fk_alert_sweep_rule_id")),
        sa.PrimaryKeyConstraint("rule_id", "stream", name=op.f("pk_alert_sweep")),
    )


def downgrade() -> None:
    op.drop_table("alert_sweep")
    op.drop_table("alert_note")
    for index in ("ix_alert_untold", "ix_alert_created_at", "ix_alert_code_id"):
        op.drop_index(index, "alert")
    for column in HANDLING:
        op.drop_column("alert", column)

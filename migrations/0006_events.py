"""Events: in one order, with the alerts that they raise."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0006"
down_revision: str | Sequence[str] | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    _create_events()
    op.create_table(
        "event_order",
        sa.Column("id", sa.Integer(), server_default="1", autoincrement=False, nullable=False),
        sa.Column("ordering", sa.Text(), nullable=False),
        sa.Column("time_unit", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_event_order_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_order")),
    )
    # Its rows change at each event: there is room on their page for the next versions, without any index.
    op.create_table(
        "event_high_water",
        sa.Column("stream", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("t", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("stream", name=op.f("pk_event_high_water")),
        postgresql_with={"fillfactor": "10"},
    )
    _create_alerts()


def _create_events() -> None:
    op.create_table(
        "event",
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("t", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("is_global", sa.Boolean(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(10, 2), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("import_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("ck_event_amount")),
        sa.CheckConstraint("t >= 0", name=op.f("ck_event_t")),
        sa.CheckConstraint("type IN ('deposit', 'withdraw')", name=op.f("ck_event_type")),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_event_client_id")),
        sa.PrimaryKeyConstraint("client_id", "t", name=op.f("pk_event")),
    )
    is_global, has_id = sa.text("is_global"), sa.text("event_id IS NOT NULL")
    op.create_index("uq_event_t", "event", ["t"], unique=True, postgresql_where=is_global)
    op.create_index(
        "ix_event_t_client_id", "event", ["t", "client_id"], postgresql_where=sa.text("NOT is_global")
    )
    op.create_index("uq_event_event_id", "event", ["event_id"], unique=True, postgresql_where=has_id)
    op.create_index("ix_event_import_id", "event", ["import_id"], postgresql_using="brin")


def _create_alerts() -> None:
    op.create_table(
        "alert",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("code", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("t", sa.BigInteger(), nullable=False),
        sa.Column("causes", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("is_shadow", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id", "t"], ["event.client_id", "event.t"], name=op.f("fk_alert_client_id_t")
        ),
        sa.ForeignKeyConstraint(
            ["rule_id", "rule_version"],
            ["alert_rule_version.rule_id", "alert_rule_version.version"],
            name=op.f("fk_alert_rule_id_rule_version"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
        sa.UniqueConstraint("rule_id", "client_id", "t", name=op.f("uq_alert_rule_id_client_id_t")),
    )
    op.create_index("ix_alert_client_id_t", "alert", ["client_id", "t"])


def downgrade() -> None:
    for table in ("alert", "event_high_water", "event_order", "event"):
        op.drop_table(table)

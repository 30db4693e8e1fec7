"""Alert rules: their versions, and the four that ship, as data."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0005"
down_revision: str | Sequence[str] | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SHIPPED: list[tuple[int, str, str, str, dict[str, Any]]] = [
    (1100, "A withdraw over 100", "threshold", "withdraw", {"amount": "100.00", "compare": "over"}),
    (30, "Three consecutive withdraws", "consecutive", "withdraw", {"count": 3}),
    (300, "Three increasing deposits in a row", "increasing", "deposit", {"count": 3, "is_strict": True}),
    (
        123,
        "Deposits of more than 200 within 30 seconds",
        "window_sum",
        "deposit",
        {"window": 30, "amount": "200.00", "compare": "over"},
    ),
]


def upgrade() -> None:
    rule = op.create_table(
        "alert_rule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("code > 0", name=op.f("ck_alert_rule_code")),
        sa.CheckConstraint("state IN ('enabled', 'shadow', 'disabled')", name=op.f("ck_alert_rule_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_rule")),
        sa.UniqueConstraint("code", name=op.f("uq_alert_rule_code")),
    )
    version = op.create_table(
        "alert_rule_version",
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("asked_on", sa.Text(), nullable=False),
        sa.Column("parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "asked_on IN ('deposit', 'withdraw', 'any')", name=op.f("ck_alert_rule_version_asked_on")
        ),
        sa.ForeignKeyConstraint(
            ["created_by"], ["account.id"], name=op.f("fk_alert_rule_version_created_by")
        ),
        sa.ForeignKeyConstraint(["rule_id"], ["alert_rule.id"], name=op.f("fk_alert_rule_version_rule_id")),
        sa.PrimaryKeyConstraint("rule_id", "version", name=op.f("pk_alert_rule_version")),
    )
    op.create_foreign_key(
        "fk_alert_rule_version",
        "alert_rule",
        "alert_rule_version",
        ["id", "version"],
        ["rule_id", "version"],
        deferrable=True,
        initially="DEFERRED",
    )
    changes = op.create_table(
        "alert_rule_revision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_alert_rule_revision_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_rule_revision")),
    )
    op.bulk_insert(changes, [{"id": 1, "revision": 1}])
    for code, name, kind, asked_on, parameters in SHIPPED:
        id_ = f"00000000-0000-7000-8000-{code:012}"
        op.bulk_insert(rule, [{"id": id_, "code": code, "name": name, "state": "enabled", "version": 1}])
        op.bulk_insert(
            version,
            [
                {
                    "rule_id": id_,
                    "version": 1,
                    "kind": kind,
                    "asked_on": asked_on,
                    "parameters": parameters,
                    "note": "As it ships.",
                }
            ],
        )


def downgrade() -> None:
    op.drop_table("alert_rule_revision")
    op.drop_constraint("fk_alert_rule_version", "alert_rule", type_="foreignkey")
    op.drop_table("alert_rule_version")
    op.drop_table("alert_rule")

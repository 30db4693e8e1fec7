"""Rules with their versions, and reports."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0013"
down_revision: str | Sequence[str] | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

FILES = (
    "input_file_id",
    "reference_file_id",
    "table_file_id",
    "file_id",
    "unmatched_file_id",
    "uncomputable_file_id",
)


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(
        name, sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
    )


def upgrade() -> None:
    op.create_table(
        "rule_set",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        sa.ForeignKeyConstraint(["owner_id"], ["account.id"], name=op.f("fk_rule_set_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_set")),
    )
    op.create_index(op.f("ix_rule_set_owner_id_id"), "rule_set", ["owner_id", "id"])
    op.create_table(
        "rule_set_version",
        sa.Column("rules_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        _moment("created_at"),
        sa.ForeignKeyConstraint(
            ["rules_id"], ["rule_set.id"], name=op.f("fk_rule_set_version_rules_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("rules_id", "version", name=op.f("pk_rule_set_version")),
    )
    _create_report()


def _create_report() -> None:
    op.create_table(
        "report",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Uuid(), nullable=True) for name in FILES),
        sa.Column("rules_id", sa.Uuid(), nullable=True),
        sa.Column("rules_version", sa.Integer(), nullable=True),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column("parameters", postgresql.JSONB(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("manifest", postgresql.JSONB(), nullable=False),
        sa.Column("has_reference", sa.Boolean(), nullable=False),
        sa.Column("rerun_of", sa.Uuid(), nullable=True),
        _moment("created_at"),
        sa.ForeignKeyConstraint(["owner_id"], ["account.id"], name=op.f("fk_report_owner_id")),
        *(_link(name, "file") for name in FILES),
        _link("rules_id", "rule_set"),
        _link("job_id", "job"),
        _link("rerun_of", "report"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report")),
    )
    op.create_index(op.f("ix_report_owner_id_id"), "report", ["owner_id", "id"])
    for name in (*FILES, "rules_id", "job_id", "rerun_of"):
        op.create_index(op.f(f"ix_report_{name}"), "report", [name])


def _link(name: str, table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [name], [f"{table}.id"], name=op.f(f"fk_report_{name}"), ondelete="SET NULL"
    )


def downgrade() -> None:
    op.drop_table("report")
    op.drop_table("rule_set_version")
    op.drop_table("rule_set")

"""Migrations: they make what the models say, and they run up, down and up again on a database with data."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_alembic import Alembic
from sqlalchemy import Column, Engine, MetaData, Table, Text, inspect, text

from src.app import MIGRATIONS
from src.database import COMMAND, make_engine
from src.models import Base
from src.models.base import is_compared
from tests.databases import clone, drop

ID = "'01900000-0000-7000-8000-000000000001'"
# One row for every table, in the order of their foreign keys.
ROWS = {
    "account": f"(id, email, name, role, password_hash, is_disabled, stored_bytes) "
    f"VALUES ({ID}, 'ana@example.org', 'Ana', 'admin', 'x', false, 3)",
    "token_family": f"(id, account_id, current_jti, expires_at) VALUES ({ID}, {ID}, {ID}, now())",
    "api_key": f"(id, account_id, name, prefix, key_hash, scopes) "
    f"VALUES ({ID}, {ID}, 'k', 'ind_', 'h', '{{a}}')",
    "login_throttle": "(login_name, network, failures) VALUES ('ana', '127.0.0.0/24', 1)",
    "file": f"(id, owner_id, kind, name, size, sha256, media_type, detected, storage_key) "
    f"VALUES ({ID}, {ID}, 'upload', 'a.csv', 3, 'x', 'text/csv', '{{}}', 'files/a')",
    "job": f"(id, owner_id, kind, args, state, attempts, max_attempts, fence, is_cancel_requested) "
    f"VALUES ({ID}, {ID}, 'profile', '{{}}', 'queued', 0, 5, 0, false)",
    "delivery": f"(id, owner_id, what, channel, address, payload, wanted_on, every, state, attempts) "
    f"VALUES ({ID}, {ID}, 'test', 'webhook', 'https://a.org', '{{}}', 'always', '0 s', 'sent', 1)",
    "schedule": f"(id, owner_id, name, cron, timezone, kind, work, misfire, overlap, keep, is_paused, missed) "
    f"VALUES ({ID}, {ID}, 's', '* * * * *', 'UTC', 'profile', '{{}}', 'latest', 'skip', 30, false, 0)",
    "schedule_run": f"(id, schedule_id, due_at, state, result, has_product) "
    f"VALUES ({ID}, {ID}, now(), 'started', '{{}}', false)",
    "recipe": f"(id, owner_id, name, version) VALUES ({ID}, {ID}, 'r', 1)",
    "recipe_version": f"(recipe_id, version, steps) VALUES ({ID}, 1, '[]')",
    "operation": f"(id, owner_id, file_name, file_sha256, steps, types, output, lineage) "
    f"VALUES ({ID}, {ID}, 'a.csv', 'x', '[]', '{{}}', 'csv', '{{}}')",
    "webhook_secret": f"(owner_id, secret) VALUES ({ID}, 's')",
    "idempotency_key": f"(owner_id, key, fingerprint, expires_at) VALUES ({ID}, 'k', 'f', now())",
    "process": f"(id, kind, host, pid) VALUES ({ID}, 'worker', 'here', 1)",
    "angel": "(name) VALUES ('Rita')",
    "polo": "(name) VALUES ('Centro')",
    "client": "(external_id, email) VALUES ('7', 'rui@example.org')",
    "indicator_month": "(polo_id, angel_id, month, on_time, late, open, days) "
    "VALUES (1, 1, '2021-06-01', 1, 0, 0, array_fill(0, ARRAY[93]))",
    "indicator_angel": "(angel_id, on_time, late, open) VALUES (1, 1, 0, 0)",
    "indicator_polo": "(polo_id, weekday, on_time, late, open) VALUES (1, 1, 1, 0, 0)",
    "indicator_client": "(client_id, on_time, late, open) VALUES (1, 1, 0, 0)",
    "indicator_client_stretch": "(stretch, counts) VALUES (0, array_fill(0, ARRAY[93]))",
    "atendimento": "(client_id, angel_id, polo_id, data_limite) VALUES (1, 1, 1, '2021-06-30 15:30')",
    "transaction": "(transaction_id, client_id, transaction_type, transaction_date, currency, amount) "
    "VALUES ('t1', 1, 'buy', '2021-06-30 15:30+00', 'EUR', 10)",
    "transaction_key": "VALUES ('t2')",
    "import": f"(id, owner_id, dataset, file_name, fingerprint, detected, mapping, options, mode, on_error, "
    f"is_dry_run, rows_read, inserted, updated, unchanged, duplicate, rejected, report) VALUES ({ID}, {ID}, "
    f"'clients', 'a.csv', 'f', '{{}}', '{{}}', '{{}}', 'insert', 'skip_rows', false, 0, 0, 0, 0, 0, 0, '{{}}')",
    "import_change": f"(import_id, row_id, version, before) VALUES ({ID}, 1, 2, '{{}}')",
    "store": f"(is_ours, id, is_marked) VALUES (true, {ID}, true)",
    "rule_set": f"(id, owner_id, name, version) VALUES ({ID}, {ID}, 'r', 1)",
    "rule_set_version": f"(rules_id, version, document) VALUES ({ID}, 1, '[]')",
    "report": f"(id, owner_id, name, document, parameters, format, manifest, has_reference) "
    f"VALUES ({ID}, {ID}, 'r', '[]', '{{}}', 'csv', '{{}}', false)",
    "view_refresh": f"(id, view) VALUES ({ID}, 'transaction_statistics')",
    "alert_rule": f"(id, code, name, state, version) VALUES ({ID}, 1, 'r', 'disabled', 1)",
    "alert_rule_version": f"(rule_id, version, kind, asked_on, parameters) "
    f"VALUES ({ID}, 1, 'consecutive', 'any', '{{\"count\": 3}}')",
    "alert_rule_revision": "(id, revision) VALUES (1, 1)",
    # What a revision has no column for is left out.
    "event": "SELECT * FROM jsonb_populate_record(CAST(NULL AS event), jsonb_build_object("
    "'client_id', 1, 't', 10, 'created_at', now(), 'is_global', true, 'type', 'deposit', 'amount', 42, "
    "'number', 1, 'total', 42))",
    "event_order": "(ordering, time_unit) VALUES ('global', 's')",
    "event_high_water": "(stream, t) VALUES (0, 10)",
    "event_import_chunk": f"(import_id, first_line, last_line, stored, refused) VALUES ({ID}, 1, 2, 1, '[]')",
    "alert": "(rule_id, rule_version, code, client_id, t, causes, is_shadow) "
    "SELECT rule_id, version, 1100, 1, 10, '{10}', false FROM alert_rule_version LIMIT 1",
    "alert_note": f"(alert_id, account_id, text) VALUES (1, {ID}, 'x')",
    "alert_watch": "(rule_id, begun_at, stream) SELECT id, now(), -1 FROM alert_rule LIMIT 1",
    "alert_sweep": "SELECT found.* FROM alert_rule, jsonb_populate_record(CAST(NULL AS alert_sweep), "
    "jsonb_build_object('rule_id', id, 'stream', 0, 't', 7, 'begun_at', now())) AS found LIMIT 1",
    "alert_subscription": f"(id, owner_id, targets, every_seconds) VALUES ({ID}, {ID}, '[]', 60)",
    "audit": "(account_name, action, object_type, object_id, detail) VALUES ('ana', 'a', 'b', 'c', '{}')",
}


@pytest.fixture
def engine(template: str) -> Iterator[Engine]:
    """A migrated database of this test's own."""
    url = clone(template, f"migrations_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}")
    engine = make_engine(url, COMMAND)
    yield engine
    engine.dispose()
    drop(url)


@contextmanager
def alembic(engine: Engine) -> Iterator[Alembic]:
    app = Flask("migrations")
    app.config["ALEMBIC"] = {"script_location": str(MIGRATIONS)}
    found = Alembic(app, run_mkdir=False, command_name="", metadatas=Base.metadata, engines=engine)
    with app.app_context():
        yield found


def differences(engine: Engine, metadata: MetaData) -> list[object]:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": is_compared})
        found: list[object] = compare_metadata(context, metadata)
    return found


def fill(engine: Engine) -> None:
    """A row in every table that is there and empty."""
    with engine.begin() as connection:
        for table in set(inspect(connection).get_table_names()) - {"alembic_version"}:
            assert table in ROWS, f"give {table} a row to migrate"
        for table, row in ROWS.items():
            is_there = connection.scalar(text(f"SELECT to_regclass('{table}') IS NOT NULL"))
            if is_there and connection.scalar(text(f"SELECT NOT EXISTS (SELECT FROM {table})")):
                connection.execute(text(f"INSERT INTO {table} {row}"))


def test_models_equal_migrations(engine: Engine) -> None:
    assert differences(engine, Base.metadata) == []


def test_they_are_equal_where_trigram_indexes_can_be_had_too(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX IF EXISTS ix_client_name_trgm"))
        connection.execute(text("CREATE INDEX ix_client_name_trgm ON client (name)"))
    assert differences(engine, Base.metadata) == []
    with engine.begin() as connection:
        connection.execute(text("ALTER INDEX ix_client_name_trgm RENAME TO ix_client_name"))
    assert len(differences(engine, Base.metadata)) == 1, "others are compared"


def test_a_planted_difference_between_models_and_migrations_is_found(engine: Engine) -> None:
    planted = MetaData(naming_convention=Base.metadata.naming_convention)
    for table in Base.metadata.tables.values():
        table.to_metadata(planted)
    Table("account", planted, Column("planted", Text), extend_existing=True)
    assert len(differences(engine, planted)) == 1


def test_every_migration_runs_up_down_and_up_on_a_database_with_data(engine: Engine) -> None:
    with alembic(engine) as migrations:
        revisions = [script.revision for script in migrations.script_directory.walk_revisions()]
        fill(engine)
        for revision in revisions:
            before = str(migrations.script_directory.get_revision(revision).down_revision or "base")
            migrations.downgrade(before)
            fill(engine)
            migrations.upgrade(revision)
            fill(engine)
            migrations.downgrade(before)
        migrations.upgrade("heads")
    assert differences(engine, Base.metadata) == []


def test_records_that_are_there_before_the_rollups_are_counted_when_these_are_made(engine: Engine) -> None:
    with alembic(engine) as migrations:
        migrations.downgrade("0002")
        fill(engine)
        migrations.upgrade("0003")
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT sum(open) FROM indicator_angel")) == 1
        assert connection.scalar(text("SELECT days[62 + 30] FROM indicator_month WHERE polo_id = 0")) == 1


def test_counts_of_clients_are_the_same_where_they_stand_alone_and_together(engine: Engine) -> None:
    counts = "SELECT * FROM indicator_client ORDER BY client_id"
    fold = """INSERT INTO atendimento (client_id, angel_id, polo_id, data_limite) SELECT id, 1, 1, '2024-02-29'
        FROM client; UPDATE atendimento SET data_de_atendimento = data_limite; DELETE FROM atendimento WHERE id = 1"""
    with alembic(engine) as migrations, engine.connect() as connection:
        fill(engine)
        migrations.downgrade("0024")
        connection.execute(
            text("""INSERT INTO indicator_client SELECT id, id % 3, id % 5 * 7, 1
                FROM generate_series(2, 200) AS id WHERE id NOT BETWEEN 40 AND 140""")
        )
        before = connection.execute(text(counts)).all()
        connection.commit()
        migrations.upgrade("0025")
        stretches = connection.execute(text("SELECT stretch, most FROM indicator_client_stretch ORDER BY 1"))
        assert [tuple(row) for row in stretches] == [(0, 31), (1, 30), (4, 31), (5, 31), (6, 31)]
        connection.commit()
        migrations.downgrade("0024")
        assert connection.execute(text(counts)).all() == before
        connection.execute(text(fold))
        assert tuple(connection.execute(text(counts)).first() or ()) == (1, 1, 0, 0), (
            "the triggers count there"
        )


def test_going_down_to_nothing_leaves_nothing(engine: Engine) -> None:
    with alembic(engine) as migrations:
        migrations.downgrade("base")
    with engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
        functions = connection.scalar(
            text("SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
        )
        assert functions == 0


@pytest.mark.parametrize("change", ["UPDATE audit SET action = 'x'", "DELETE FROM audit", "TRUNCATE audit"])
def test_the_audit_trail_cannot_be_changed(engine: Engine, change: str) -> None:
    fill(engine)
    with engine.connect() as connection, pytest.raises(Exception, match="append-only"):
        connection.execute(text(change))

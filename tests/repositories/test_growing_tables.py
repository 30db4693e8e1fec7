"""What is asked again and again of tables that grow for months reads what it answers, by an index."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import text

from src.services.housekeeping import DELETE_OLD
from src.wiring import Services, services
from tests.factories.alert_rules import an_alert_rule
from tests.factories.clients import a_client
from tests.factories.files import Files

MANY = 5_000
OLD_ALERTS = f"""
    WITH stored AS (
        INSERT INTO event (client_id, t, type, amount, number, total, is_global)
        SELECT :client, n, 'deposit', 1, n, n, true FROM generate_series(1, {MANY}) AS n RETURNING t
    )
    INSERT INTO alert (rule_id, rule_version, code, client_id, t, causes, is_shadow, created_at)
    SELECT :rule, 1, 7, :client, t, ARRAY[t], false, now() - interval '1 day' FROM stored
"""
LASTING_FILES = f"""
    INSERT INTO file (id, owner_id, kind, name, size, sha256, media_type, detected, storage_key, expires_at)
    SELECT gen_random_uuid(), :owner, 'upload', 'a.csv', 1, 'x', 'text/csv', '{{}}', 'key-' || n,
        now() + interval '1 year' FROM generate_series(1, {MANY}) AS n
"""
LASTING_LOGINS = f"""
    INSERT INTO token_family (id, account_id, current_jti, expires_at)
    SELECT gen_random_uuid(), :owner, gen_random_uuid(), now() + interval '1 day'
    FROM generate_series(1, {MANY})
"""
READ = text("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = :table")
Ask = Callable[[Services], Any]


@pytest.fixture
def owner(app: Flask) -> UUID:
    return Files(app).owner().account_id


def rows_read(table: str, fill: str, values: dict[str, Any], ask: Ask) -> tuple[int, Any]:
    """How many rows of the full table were looked at for the answer, and the answer."""
    with services() as s:
        s.session.execute(text(fill), values)
        s.session.execute(text(f"ANALYZE {table}"))
        before = s.session.scalars(READ, {"table": table}).one()
        answer = ask(s)
        return s.session.scalars(READ, {"table": table}).one() - before, answer


def test_alerts_of_the_last_hour_are_counted_without_those_before(app: Flask) -> None:
    rule = an_alert_rule(Files(app).owner(), kind="threshold", asked_on="any", parameters={"amount": "1"})
    values = {"client": a_client().id, "rule": rule.id}
    rows, found = rows_read("alert", OLD_ALERTS, values, lambda s: s.alert_rows.of_last_hour())
    assert (rows, found) == (0, {})


def test_expired_files_are_found_among_those_that_last(owner: UUID) -> None:
    rows, found = rows_read("file", LASTING_FILES, {"owner": owner}, lambda s: s.file_rows.expired(100))
    assert (rows, found) == (0, [])


def test_logins_that_are_over_are_found_among_those_that_are_not(owner: UUID) -> None:
    def delete(s: Services) -> int:
        return int(s.session.execute(text(DELETE_OLD["logins"])).rowcount)  # type: ignore[attr-defined]  # a result

    assert rows_read("token_family", LASTING_LOGINS, {"owner": owner}, delete) == (0, 0)

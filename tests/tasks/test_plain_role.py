"""Imports by a role that may not silence triggers, as on a database that somebody else runs: slower, the same."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import IntegrityError

from src.config import Settings
from src.domain.roles import Role
from src.wiring import services
from tests.committing import Workshop, workshop
from tests.databases import drop, libpq, migrate
from tests.factories.imports import Imports, codes, counts, table
from tests.live import eventually
from tests.tasks.test_bulk_imports import FOLD_LOCK, VISITS, rollups, schema
from tests.tasks.test_direct_imports import ROWS, check_rollups, visits

__all__ = ["workshop"]
# Of each foreign key of visits, as it was declared.
FOREIGN_KEYS = """SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
    WHERE conrelid = 'atendimento'::regclass AND contype = 'f' ORDER BY 1"""


def administer(settings: Settings, *statements: str) -> list[tuple[Any, ...]]:
    """Run these as the owner of the server, who alone sees what sessions wait for; what the last one answers."""
    server = make_url(settings.database_url).set(username="postgres", database="postgres")
    with psycopg.connect(libpq(server.render_as_string()), autocommit=True) as connection:
        for statement in statements:
            answer = connection.execute(statement)
        return answer.fetchall() if answer.description else []


@pytest.fixture
def own_settings(settings: Settings, tmp_path: Path) -> Iterator[Settings]:
    """A database that belongs to a role without special rights, which whoever enters it is."""
    name = f"plain_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    url = make_url(settings.database_url).set(username="postgres", database=name).render_as_string()
    administer(
        settings,
        f"DROP DATABASE IF EXISTS {name}",
        f"DROP ROLE IF EXISTS {name}",
        f"CREATE ROLE {name}",
        f"CREATE DATABASE {name} OWNER {name}",
        f"ALTER ROLE postgres IN DATABASE {name} SET role = '{name}'",
    )
    migrate(url)
    yield replace(settings, database_url=url, storage_url=str(tmp_path / "files"), var_dir=tmp_path)
    drop(url)


@pytest.fixture
def imports(workshop: Workshop) -> Imports:
    imports = Imports(workshop.app)
    imports.owner = replace(imports.owner, role=Role.ADMIN)
    return imports


def test_all_that_the_other_way_does_is_done_with_its_foreign_keys_checked(
    imports: Imports, workshop: Workshop
) -> None:
    """One test, for a database that takes seconds to make."""
    assert table("SELECT has_parameter_privilege('session_replication_role', 'SET')") == [(False,)]
    before = (table(FOREIGN_KEYS), schema("atendimento"))

    small = imports.load("atendimentos", VISITS + "3,c3,,Sul,2021-07-02,\n")
    assert counts(small) == {"rows_read": 3, "inserted": 2, "rejected": 1}
    large = imports.load("atendimentos", visits(0, ROWS))
    assert counts(large)["inserted"] == ROWS
    check_rollups()
    assert imports.undo(large)["removed"] == ROWS
    check_rollups()

    bulk = imports.load("atendimentos", VISITS.replace("\n1", "\n11"), is_bulk=True)
    assert counts(bulk) == {"rows_read": 2, "inserted": 1, "duplicate": 1}
    assert codes(imports.rejects(bulk)) == [(3, "id_atendimento", "already_there")]
    assert (table(FOREIGN_KEYS), schema("atendimento")) == before
    check_rollups()

    crashed = imports.start("atendimentos", VISITS.replace("\n1", "\n21"), is_bulk=True)
    with workshop.another_database().unit_of_work() as other:
        other.execute(FOLD_LOCK)
        run = workshop.in_thread(lambda: imports.run(crashed))
        name = make_url(workshop.settings.database_url).database
        waiting = f"FROM pg_stat_activity WHERE datname = '{name}' AND wait_event_type = 'Lock'"
        eventually(  # without its foreign keys, and about to fold
            "it waits", lambda: administer(workshop.settings, f"SELECT pid {waiting}"), within=60
        )
        administer(workshop.settings, f"SELECT pg_terminate_backend(pid) {waiting}")
        assert run.result(timeout=60).committed_at is None
    assert (table(FOREIGN_KEYS), schema("atendimento")) == before
    assert rollups() == [(2, 0, 1)]
    with pytest.raises(IntegrityError, match="violates foreign key"), services() as s:
        s.session.execute(text("UPDATE atendimento SET angel_id = 999999"))

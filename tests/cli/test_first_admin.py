"""The first administrator: made once, with a given or a generated password, whatever names are taken."""

from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event
from sqlalchemy.orm import Session

from src.cli.database import ensure_admin
from src.domain.roles import Role
from src.wiring import EXTENSION, Adapters, services
from tests.committing import Workshop
from tests.factories.accounts import PASSWORD, Accounts, Caller


@pytest.fixture
def given(app: Flask, adapters: Adapters) -> None:
    """As if ADMIN_EMAIL and ADMIN_PASSWORD were set."""
    settings = replace(adapters.settings, admin_email="Boss@Example.org", admin_password=PASSWORD)
    app.extensions[EXTENSION] = replace(adapters, settings=settings)


def log_in(client: FlaskClient, name: str, password: str) -> str:
    answer = client.post("/api/v1/auth/login", json={"email": name, "password": password})
    assert answer.status_code == 200
    return str(answer.json["user"]["role"])


def test_a_generated_password_is_told_and_works(app: Flask, client: FlaskClient) -> None:
    told = dict(line.split("=", 1) for line in ensure_admin().splitlines() if "=" in line)
    assert log_in(client, told["email"], told["password"]) == "admin"


def test_a_given_one_works_and_is_not_told(app: Flask, client: FlaskClient, given: None) -> None:
    assert ensure_admin() == "The first administrator is boss@example.org."
    assert log_in(client, "boss@example.org", PASSWORD) == "admin"


def test_where_there_is_one_nothing_is_made(app: Flask, admin: Caller) -> None:
    assert ensure_admin() == ""


def test_one_who_is_disabled_does_not_count(app: Flask, admin: Caller) -> None:
    with services() as s:
        s.account_rows.get(admin.id).is_disabled = True
    assert "email=admin@localhost" in ensure_admin()


def test_a_name_that_is_taken_by_somebody_else_is_not_taken_over(
    app: Flask, accounts: Accounts, given: None
) -> None:
    with services() as s:
        s.accounts.create(role=Role.VIEWER, email="boss@example.org", password=PASSWORD)
    told = ensure_admin()
    assert told.startswith("The first administrator is admin-")
    with services() as s:
        found = s.account_rows.find_by_login_name("boss@example.org")
    assert found is not None
    assert found.role == "viewer"


def test_the_password_is_kept_before_the_account_is_committed(workshop: Workshop, tmp_path: Path) -> None:
    path = tmp_path / "admin.txt"

    def crash(session: Session) -> None:
        assert "password=" in path.read_text()
        raise KeyboardInterrupt

    event.listen(Session, "before_commit", crash)
    try:
        with pytest.raises(KeyboardInterrupt):
            ensure_admin(path)
    finally:
        event.remove(Session, "before_commit", crash)
    unknown = path.read_text()
    told = ensure_admin(path)
    assert path.read_text() != unknown
    assert told.endswith(path.read_text().rstrip("\n"))
    assert ensure_admin(path) == ""


def test_an_administrator_whose_password_cannot_be_kept_is_not_made(app: Flask, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ensure_admin(tmp_path / "nowhere" / "admin.txt")
    assert "password=" in ensure_admin(tmp_path / "admin.txt")

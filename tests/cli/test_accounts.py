"""flask accounts and flask api-keys."""

from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient

from tests.cli.conftest import Run
from tests.factories.accounts import PASSWORD, Caller

Json = Callable[..., Any]


def log_in(client: FlaskClient, name: str, password: str) -> int:
    return client.post("/api/v1/auth/login", json={"email": name, "password": password}).status_code


def test_a_created_account_can_log_in(run: Run, run_json: Json, client: FlaskClient) -> None:
    made = run_json("accounts", "create", "Rui@Example.org", "--role", "viewer", "--password", PASSWORD)
    assert (made["email"], made["role"]) == ("rui@example.org", "viewer")
    assert log_in(client, "rui@example.org", PASSWORD) == 200


def test_a_username_is_as_good_as_an_address(run: Run, client: FlaskClient) -> None:
    assert "username=rui" in run("accounts", "create", "rui", "--password", PASSWORD).output
    assert log_in(client, "rui", PASSWORD) == 200


def test_a_weak_password_fails_with_the_reason(run: Run) -> None:
    result = run("accounts", "create", "rui", "--password", "password", code=1)
    assert "among the first that anyone would try" in result.stderr


def test_the_same_name_twice_fails(run: Run, operator: Caller) -> None:
    result = run("accounts", "create", operator.email, "--password", PASSWORD, code=1)
    assert "exists already" in result.stderr


def test_the_list_has_everybody_a_line_each(
    run: Run, run_json: Json, operator: Caller, admin: Caller
) -> None:
    assert {operator.email, admin.email} <= {row["email"] for row in run_json("accounts", "list")}
    lines = run("accounts", "list").stdout.splitlines()
    assert any(operator.email in line.split("\t") for line in lines)


def test_a_disabled_account_is_out_at_once(run: Run, operator: Caller) -> None:
    run("accounts", "disable", operator.email)
    assert operator.get("/api/v1/auth/me").status_code == 401


def test_a_reset_password_is_shown_and_works(run_json: Json, operator: Caller, client: FlaskClient) -> None:
    shown = run_json("accounts", "reset-password", operator.email)
    assert log_in(client, operator.email, shown["password"]) == 200
    assert log_in(client, operator.email, PASSWORD) == 401


def test_an_unknown_account_is_exit_code_1_and_wrong_usage_2(run: Run) -> None:
    assert "no such account" in run("accounts", "disable", "nobody@example.org", code=1).stderr
    run("accounts", "create", "x", "--role", "king", "--password", PASSWORD, code=2)


def test_a_key_works_until_it_is_revoked(
    run: Run, run_json: Json, operator: Caller, client: FlaskClient
) -> None:
    made = run_json("api-keys", "create", operator.email, "nightly", "--scope", "files:read")
    headers = {"X-API-Key": made["key"]}
    assert client.get("/api/v1/files", headers=headers).status_code == 200
    run("api-keys", "revoke", made["id"])
    assert client.get("/api/v1/files", headers=headers).status_code == 401


def test_a_key_needs_an_account_and_a_known_scope(run: Run, operator: Caller) -> None:
    run("api-keys", "create", "nobody@example.org", "n", "--scope", "files:read", code=1)
    run("api-keys", "create", operator.email, "n", "--scope", "everything", code=2)

"""Accounts, for administrators: made, changed, shut out, and not overwritten unseen."""

from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from src.domain.roles import Role
from tests.api.nouns import ACCOUNTS
from tests.factories.accounts import PASSWORD, Accounts, Caller


def log_in(client: FlaskClient, name: str, password: str) -> TestResponse:
    return client.post("/api/v1/auth/login", json={"email": name, "password": password})


def path(caller: Caller) -> str:
    return f"{ACCOUNTS}/{caller.id}"


def actions(admin: Caller, about: object) -> list[str]:
    answer = admin.get("/api/v1/audit", query_string={"object_id": str(about)})
    return [line["action"] for line in answer.json["data"]]


class TestCreate:
    @pytest.mark.parametrize("role", list(Role))
    def test_an_account_of_each_role_can_log_in(self, client: FlaskClient, admin: Caller, role: Role) -> None:
        body = {
            "email": "rui@example.org",
            "username": "rui",
            "password": PASSWORD,
            "role": role,
            "name": "Rui",
        }
        answer = admin.post(ACCOUNTS, json=body)
        assert answer.status_code == 201
        assert answer.headers["Location"] == f"{ACCOUNTS}/{answer.json['id']}"
        assert admin.get(answer.headers["Location"]).json == answer.json
        assert log_in(client, "rui", PASSWORD).json["user"]["role"] == role

    def test_an_unknown_role_is_400(self, admin: Caller) -> None:
        answer = admin.post(ACCOUNTS, json={"username": "rui", "password": PASSWORD, "role": "root"})
        assert answer.status_code == 400
        assert answer.json["errors"][0]["pointer"] == "/role"

    def test_it_is_in_the_trail_with_who_did_it(self, admin: Caller) -> None:
        made = admin.post(ACCOUNTS, json={"username": "rui", "password": PASSWORD}).json
        (line,) = admin.get("/api/v1/audit", query_string={"object_id": made["id"]}).json["data"]
        assert (line["action"], line["account_name"]) == ("account.created", admin.email)


class TestChange:
    def test_name_and_role(self, admin: Caller, viewer: Caller) -> None:
        answer = admin.patch(path(viewer), json={"name": "Nova", "role": "operator"})
        assert (answer.json["name"], answer.json["role"]) == ("Nova", "operator")
        assert answer.json["updated_at"] > answer.json["created_at"]
        assert "account.role-changed" in actions(admin, viewer.id)

    def test_a_new_role_counts_at_the_next_request(self, admin: Caller, viewer: Caller) -> None:
        assert viewer.get(ACCOUNTS).status_code == 403
        admin.patch(path(viewer), json={"role": "admin"})
        assert viewer.get(ACCOUNTS).status_code == 200

    def test_nothing_given_changes_nothing_but_the_time(self, admin: Caller, viewer: Caller) -> None:
        before = admin.get(path(viewer)).json
        after = admin.patch(path(viewer), json={}).json
        assert without_time(after) == without_time(before)

    def test_a_disabled_account_is_out_at_once_and_may_come_back(
        self, client: FlaskClient, admin: Caller, viewer: Caller
    ) -> None:
        assert admin.patch(path(viewer), json={"is_disabled": True}).json["is_disabled"]
        assert viewer.get("/api/v1/files").status_code == 401
        assert log_in(client, viewer.email, PASSWORD).status_code == 401
        admin.patch(path(viewer), json={"is_disabled": False})
        assert viewer.get("/api/v1/files").status_code == 401, "old logins stay ended"
        assert log_in(client, viewer.email, PASSWORD).status_code == 200
        assert {"account.disabled", "account.enabled"} <= set(actions(admin, viewer.id))

    @pytest.mark.parametrize("body", [{"role": "viewer"}, {"is_disabled": True}])
    def test_administrators_cannot_shut_themselves_out(self, admin: Caller, body: dict[str, Any]) -> None:
        answer = admin.patch(path(admin), json=body)
        assert (answer.status_code, answer.json["type"]) == (409, "/problems/last-admin")
        assert admin.get(path(admin)).json["role"] == "admin"

    def test_another_administrator_can(self, admin: Caller, accounts: Accounts) -> None:
        other = accounts.caller("admin")
        assert admin.patch(path(other), json={"role": "viewer"}).json["role"] == "viewer"

    @pytest.mark.parametrize("body", [{"email": "x@y.org"}, {"password": "x"}, {"is_disabled": None}, []])
    def test_what_cannot_be_changed_is_400(self, admin: Caller, viewer: Caller, body: Any) -> None:
        assert admin.patch(path(viewer), json=body).status_code == 400

    def test_an_unknown_account_is_404(self, admin: Caller) -> None:
        for send in (admin.get, admin.patch):
            answer = send(f"{ACCOUNTS}/{uuid4()}", json={})
            assert (answer.status_code, answer.json["type"]) == (404, "/problems/account-not-found")


class TestConditions:
    def test_a_record_has_an_etag_that_changes_with_it(self, admin: Caller, viewer: Caller) -> None:
        first = admin.get(path(viewer))
        same = admin.get(path(viewer), headers={"If-None-Match": first.headers["ETag"]})
        assert (same.status_code, same.data) == (304, b"")
        changed = admin.patch(path(viewer), json={"name": "Nova"})
        assert changed.headers["ETag"] != first.headers["ETag"]
        assert changed.headers["ETag"] == admin.get(path(viewer)).headers["ETag"]
        again = admin.get(path(viewer), headers={"If-None-Match": first.headers["ETag"]})
        assert again.status_code == 200

    def test_if_match_lets_the_first_change_through_and_not_the_second(
        self, admin: Caller, viewer: Caller
    ) -> None:
        seen = {"If-Match": admin.get(path(viewer)).headers["ETag"]}
        assert admin.patch(path(viewer), json={"name": "first"}, headers=seen).status_code == 200
        answer = admin.patch(path(viewer), json={"name": "second"}, headers=seen)
        assert (answer.status_code, answer.json["type"]) == (412, "/problems/precondition-failed")
        assert admin.get(path(viewer)).json["name"] == "first"

    @pytest.mark.parametrize("condition", ["*", '"other", {etag}'])
    def test_if_match_may_name_any_or_several(self, admin: Caller, viewer: Caller, condition: str) -> None:
        etag = admin.get(path(viewer)).headers["ETag"]
        headers = {"If-Match": condition.format(etag=etag)}
        assert admin.patch(path(viewer), json={"name": "x"}, headers=headers).status_code == 200

    def test_it_is_never_demanded(self, admin: Caller, viewer: Caller) -> None:
        assert admin.patch(path(viewer), json={"name": "x"}).status_code == 200

    def test_reading_with_an_if_match_that_fails_is_412_without_the_record(
        self, admin: Caller, viewer: Caller
    ) -> None:
        answer = admin.get(path(viewer), headers={"If-Match": '"other"'})
        assert (answer.status_code, answer.json["type"]) == (412, "/problems/precondition-failed")


class TestResetPassword:
    def test_the_new_one_is_shown_once_and_the_old_one_and_all_logins_end(
        self, client: FlaskClient, admin: Caller, viewer: Caller
    ) -> None:
        answer = admin.post(f"{path(viewer)}/reset-password")
        assert answer.status_code == 200
        assert viewer.get("/api/v1/auth/me").status_code == 401
        assert log_in(client, viewer.email, PASSWORD).status_code == 401
        assert log_in(client, viewer.email, answer.json["password"]).status_code == 200
        assert answer.json["password"] not in admin.get(path(viewer)).text
        assert "account.password-changed" in actions(admin, viewer.id)


class TestFilters:
    def test_by_role_and_by_whether_they_are_disabled(
        self, admin: Caller, viewer: Caller, operator: Caller
    ) -> None:
        admin.patch(path(operator), json={"is_disabled": True})
        assert ids(admin, role="viewer") == {str(viewer.id)}
        assert ids(admin, is_disabled="true") == {str(operator.id)}
        assert ids(admin, is_disabled="false") == {str(viewer.id), str(admin.id)}
        assert ids(admin) == {str(viewer.id), str(operator.id), str(admin.id)}

    @pytest.mark.parametrize("filters", [{"role": "root"}, {"is_disabled": "perhaps"}])
    def test_a_value_that_no_account_can_have_is_400(self, admin: Caller, filters: dict[str, str]) -> None:
        answer = admin.get(ACCOUNTS, query_string=filters)
        assert answer.status_code == 400
        assert [fault["pointer"] for fault in answer.json["errors"]] == [f"/{name}" for name in filters]


def without_time(record: dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (record or {}).items() if name != "updated_at"}


def ids(admin: Caller, **filters: str) -> set[str]:
    return {row["id"] for row in admin.get(ACCOUNTS, query_string=filters).json["data"]}

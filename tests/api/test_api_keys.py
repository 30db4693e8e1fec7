"""API keys: shown once, kept as a hash, narrowed by scopes, ended by time, by hand, or with their account."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from src.domain.roles import SCOPES
from src.models import ApiKey
from src.wiring import Services
from tests.api.nouns import CSV, FILES, JOBS, KEYS, an_api_key
from tests.factories.accounts import Caller
from tests.factories.clients import a_client


def use(
    client: FlaskClient, key: str, path: str = FILES, method: str = "GET", **options: Any
) -> TestResponse:
    return client.open(path, method=method, headers={"X-API-Key": key}, **options)


class TestCreate:
    def test_the_secret_is_in_the_answer_and_nowhere_else(self, operator: Caller, services: Services) -> None:
        made = an_api_key(operator, "files:read", "jobs:read", "files:read")
        assert made["key"].startswith("ind_")
        assert len(made["key"]) > 40
        assert made["scopes"] == ["files:read", "jobs:read"]
        shown = operator.get(f"{KEYS}/{made['id']}")
        assert (shown.json or {}) | {"key": made["key"]} == made
        assert made["key"] not in shown.text + operator.get(KEYS).text
        row = services.session.execute(select(ApiKey)).scalar_one()
        assert made["key"] not in (row.key_hash, row.prefix)
        assert made["key"].startswith(row.prefix)

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"name": "k", "scopes": ["files:read", "root"]}, "/scopes/1"),
            ({"name": "k", "scopes": []}, "/scopes"),
            ({"name": "k"}, "/scopes"),
            ({"name": "", "scopes": ["files:read"]}, "/name"),
            ({"name": "k", "scopes": ["files:read"], "expires_at": "tomorrow"}, "/expires_at"),
            ({"name": "k", "scopes": ["files:read"], "expires_at": "2030-01-01T00:00:00"}, "/expires_at"),
            ({"name": "k", "scopes": ["files:read"], "expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
            ({"name": "k", "scopes": ["files:read"], "expires_at": "9999-01-01T00:00:00Z"}, "/expires_at"),
            ({"name": "k", "scopes": ["files:read"], "account_id": "x"}, "/account_id"),
        ],
    )
    def test_what_makes_no_key_is_400(self, operator: Caller, body: dict[str, Any], pointer: str) -> None:
        answer = operator.post(KEYS, json=body)
        assert answer.status_code == 400
        assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]

    def test_its_making_and_end_are_in_the_trail(self, operator: Caller, admin: Caller) -> None:
        made = an_api_key(operator)
        operator.delete(f"{KEYS}/{made['id']}")
        operator.delete(f"{KEYS}/{made['id']}")
        lines = admin.get("/api/v1/audit", query_string={"object_id": made["id"]}).json["data"]
        assert [line["action"] for line in lines] == ["api-key.revoked", "api-key.created"]


class TestUse:
    @pytest.mark.parametrize(
        "header", ["X-API-Key: {}", "Authorization: Bearer {}", "Authorization: Token {}"]
    )
    def test_it_goes_in_either_header(self, client: FlaskClient, operator: Caller, header: str) -> None:
        name, value = header.format(an_api_key(operator)["key"]).split(": ")
        assert client.get(FILES, headers={name: value}).status_code == 200

    def test_it_does_what_its_scopes_say_as_its_account(self, client: FlaskClient, operator: Caller) -> None:
        key = an_api_key(operator, "files:write", "files:read")["key"]
        made = use(client, key, method="POST", query_string={"filename": "a.csv"}, data=CSV)
        assert made.status_code == 201
        assert made.json["owner_id"] == str(operator.id)
        assert use(client, key).json["data"][0]["id"] == made.json["id"]
        refused = use(client, key, JOBS)
        assert (refused.status_code, refused.json["type"]) == (403, "/problems/scope-missing")
        assert "jobs:read" in refused.json["detail"]

    @pytest.mark.parametrize(
        ("part", "scope"),
        [
            ("", "clients:read"),
            ("/atendimentos", "atendimentos:read"),
            ("/transactions", "transactions:read"),
            ("/statistics", "transactions:read"),
            ("/events", "events:read"),
            ("/alerts", "alerts:read"),
        ],
    )
    def test_what_a_client_did_needs_the_scope_of_that(
        self, client: FlaskClient, operator: Caller, part: str, scope: str
    ) -> None:
        a_client("c1")
        address = f"/api/v1/clients/c1{part}"
        assert use(client, an_api_key(operator, scope)["key"], address).status_code == 200
        others = [one for one in SCOPES if one != scope]
        refused = use(client, an_api_key(operator, *others)["key"], address)
        assert (refused.status_code, refused.json["type"]) == (403, "/problems/scope-missing")

    def test_scopes_never_exceed_the_role(self, client: FlaskClient, viewer: Caller) -> None:
        key = an_api_key(viewer, *SCOPES)["key"]
        answer = use(client, key, method="POST", query_string={"filename": "a.csv"}, data=CSV)
        assert (answer.status_code, answer.json["type"]) == (403, "/problems/role-too-low")

    def test_its_last_use_is_noted_once_a_minute(
        self, client: FlaskClient, operator: Caller, services: Services
    ) -> None:
        made = an_api_key(operator)
        assert made["last_used_at"] is None
        use(client, made["key"])
        first = operator.get(f"{KEYS}/{made['id']}").json["last_used_at"]
        use(client, made["key"])
        assert operator.get(f"{KEYS}/{made['id']}").json["last_used_at"] == first is not None
        services.session.execute(text("UPDATE api_key SET last_used_at = now() - interval '2 minutes'"))
        use(client, made["key"])
        assert operator.get(f"{KEYS}/{made['id']}").json["last_used_at"] > first


class TestEnd:
    def test_a_revoked_key_is_401_at_once(self, client: FlaskClient, operator: Caller) -> None:
        made = an_api_key(operator)
        assert operator.delete(f"{KEYS}/{made['id']}").status_code == 204
        assert use(client, made["key"]).status_code == 401
        assert operator.get(f"{KEYS}/{made['id']}").json["revoked_at"] is not None

    def test_a_key_is_good_until_it_expires(
        self, client: FlaskClient, operator: Caller, services: Services
    ) -> None:
        expires = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        key = an_api_key(operator, expires_at=expires)["key"]
        assert use(client, key).status_code == 200
        services.session.execute(text("UPDATE api_key SET expires_at = now() - interval '1 second'"))
        assert use(client, key).status_code == 401

    def test_a_disabled_account_takes_its_keys_with_it(
        self, client: FlaskClient, operator: Caller, admin: Caller
    ) -> None:
        key = an_api_key(operator)["key"]
        admin.patch(f"/api/v1/accounts/{operator.id}", json={"is_disabled": True})
        answer = use(client, key)
        assert (answer.status_code, answer.json["type"]) == (401, "/problems/bad-api-key")

    @pytest.mark.parametrize("key", ["ind_", "ind_unknown", "ind_" + "x" * 5_000, "something"])
    def test_an_unknown_key_is_401(self, client: FlaskClient, key: str) -> None:
        assert use(client, key).status_code == 401


def test_owners_see_their_own_and_administrators_all(operator: Caller, viewer: Caller, admin: Caller) -> None:
    mine, theirs = an_api_key(operator)["id"], an_api_key(viewer)["id"]
    assert [key["id"] for key in operator.get(KEYS).json["data"]] == [mine]
    assert [key["id"] for key in admin.get(KEYS).json["data"]] == [theirs, mine]

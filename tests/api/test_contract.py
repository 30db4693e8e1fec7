"""Generated requests, good and bad, against every operation: the answers keep the document's word."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from src.services.links import Link, sign
from src.services.logins import Grant
from src.wiring import adapters
from tests.api.conftest import Change
from tests.api.nouns import a_file
from tests.api.test_access_matrix import OWNED
from tests.architecture.tree import ROOT
from tests.factories.accounts import Accounts, Caller
from tests.factories.atendimentos import an_atendimento
from tests.factories.clients import a_client
from tests.ground import Ground, app, connection, ground

__all__ = ["app", "connection", "ground"]
pytestmark = pytest.mark.xdist_group("contract")  # what generates requests takes a while to get ready
DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
OPERATIONS = [
    (method, path)
    for path, operations in DOCUMENT["paths"].items()
    for method in operations
    if method in ("get", "post", "patch", "delete")
]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
bounded = settings(
    derandomize=True,
    deadline=None,
    max_examples=12,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@dataclass(frozen=True)
class World:
    """An administrator, and one of everything that has an address, by its name there."""

    admin: Grant
    things: dict[str, str]


@pytest.fixture(scope="module")
def world(ground: Ground) -> World:
    """Made once: each operation finds it as it was, whatever was done to it by those before."""
    with ground.open() as there:
        accounts = Accounts(there)
        grant = accounts.grant("admin")
        admin = accounts.speaking_for(grant)
        things: dict[str, object] = {name: make(admin) for name, make in OWNED.items()} | {
            "account_id": accounts.caller().id,
            "alert_id": an_alert(admin),
            "alert_rule_id": a_shipped_rule(admin),
            "atendimento_id": an_atendimento().id,
            "client_id": a_client().external_id,
            "view": "transaction_statistics",
            "token": sign(Link(UUID(a_file(admin)["id"]), admin.id), adapters().settings)[0],
        }
        return World(grant, {name: str(thing) for name, thing in things.items()})


@pytest.fixture(scope="module")
def schema(session_app: Flask) -> Any:
    return schemathesis.openapi.from_wsgi("/openapi.json", session_app)


def an_alert(admin: Caller) -> str:
    """What the first rule that ships finds in a large withdraw."""
    client = a_client("of an alert").external_id
    event = {"type": "withdraw", "amount": "150.00", "user_id": client, "t": 1}
    assert admin.post("/api/v1/events", json=event).json["alert_codes"] == [1100]
    return str(admin.get("/api/v1/alerts").json["data"][0]["id"])


def a_shipped_rule(admin: Caller) -> str:
    rules = admin.get("/api/v1/alert-rules?per_page=500").json["data"]
    return next(rule["id"] for rule in rules if rule["code"] == 1100)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_as_documented(
    app: Flask, change: Change, schema: Any, world: World, method: str, path: str
) -> None:
    change(max_waiters=0)
    headers = Accounts(app).speaking_for(world.admin).headers
    operation = schema[path][method.upper()]
    cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in MODES))

    @given(case=cases, is_present=st.booleans())
    @bounded
    def check(case: Any, is_present: bool) -> None:
        if is_present and case.path_parameters:
            case.path_parameters = {name: world.things[name] for name in case.path_parameters}
        answer = case.call(headers=headers)
        case.validate_response(answer, checks=CHECKS)

    check()

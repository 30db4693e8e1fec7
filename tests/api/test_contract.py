"""Generated requests, good and bad, against every operation: the answers keep the document's word."""

import json
from collections.abc import Callable
from functools import partial
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
from src.wiring import adapters
from tests.api.conftest import Change
from tests.api.nouns import a_file
from tests.api.test_access_matrix import OWNED
from tests.architecture.tree import ROOT
from tests.factories.accounts import Accounts, Caller
from tests.factories.atendimentos import an_atendimento
from tests.factories.clients import a_client

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


@pytest.fixture
def schema(app: Flask, change: Change) -> Any:
    change(max_waiters=0)
    return schemathesis.openapi.from_wsgi("/openapi.json", app)


@pytest.fixture
def present(admin: Caller, accounts: Accounts, method: str, path: str) -> dict[str, str]:
    """Things that exist, by the names that they have in addresses: all for a list, else those that it names."""
    makers: dict[str, Callable[[], Any]] = {name: partial(make, admin) for name, make in OWNED.items()} | {
        "account_id": lambda: accounts.caller().id,
        "alert_id": lambda: an_alert(admin),
        "alert_rule_id": lambda: a_shipped_rule(admin),
        "atendimento_id": lambda: an_atendimento().id,
        "client_id": lambda: a_client().external_id,
        "view": lambda: "transaction_statistics",
        "token": lambda: sign(Link(UUID(a_file(admin)["id"]), admin.id), adapters().settings)[0],
    }
    is_list = method == "get" and not path.endswith("}")
    return {name: str(make()) for name, make in makers.items() if is_list or f"{{{name}}}" in path}


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
    schema: Any, admin: Caller, present: dict[str, str], method: str, path: str
) -> None:
    operation = schema[path][method.upper()]
    cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in MODES))

    @given(case=cases, is_present=st.booleans())
    @bounded
    def check(case: Any, is_present: bool) -> None:
        if is_present and case.path_parameters:
            case.path_parameters = {name: present[name] for name in case.path_parameters}
        answer = case.call(headers=admin.headers)
        case.validate_response(answer, checks=CHECKS)

    check()

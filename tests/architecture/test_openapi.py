"""The OpenAPI document is valid, tells the truth about the routes, and is under version control."""

import copy
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from scripts.openapi_document import document as written
from tests.architecture import rules
from tests.architecture.tree import ROOT

SNAPSHOT = ROOT / "docs" / "openapi.json"


@pytest.fixture(scope="module")
def document(session_app: Flask) -> dict[str, Any]:
    found: dict[str, Any] = session_app.test_client().get("/openapi.json").get_json()
    return found


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_the_validator_finds_a_planted_fault(document: dict[str, Any]) -> None:
    planted = copy.deepcopy(document)
    del planted["info"]["title"]
    assert next(OpenAPIV31SpecValidator(planted).iter_errors(), None) is not None


def test_the_document_has_each_route_of_the_api_and_no_other(
    session_app: Flask, document: dict[str, Any]
) -> None:
    assert rules.undocumented(session_app, document) == []


def test_a_planted_difference_between_routes_and_document_is_found(
    session_app: Flask, document: dict[str, Any]
) -> None:
    paths = document["paths"] | {"/api/v1/planted": {"get": {}}}
    del paths["/api/v1/files"]
    found = rules.undocumented(session_app, document | {"paths": paths})
    assert found == ["GET /api/v1/files", "GET /api/v1/planted", "POST /api/v1/files"]


def test_every_operation_has_a_summary_and_protected_ones_name_their_security(
    session_app: Flask, document: dict[str, Any]
) -> None:
    policies = {
        (method.lower(), rules.PARAMETER.sub(rules.BRACED, rule.rule)): rules.policy_of(session_app, rule)
        for rule in session_app.url_map.iter_rules()
        for method in rule.methods or ()
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method == "parameters":
                continue
            policy = policies[method, path]
            assert operation["summary"], path
            assert policy is not None
            assert ("security" in operation) == (policy.role is not None), path


def test_the_snapshot_is_what_the_service_says(session_app: Flask) -> None:
    assert written(session_app) == SNAPSHOT.read_bytes(), "run: make openapi"

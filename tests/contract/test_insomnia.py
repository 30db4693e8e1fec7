"""docs/insomnia_workspace.yaml: every operation of the API once, in the form that Insomnia 5 reads."""

import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from marshmallow import Schema, class_registry

from scripts.insomnia_workspace import METHODS, write
from tests.factories.accounts import Caller

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs/insomnia_workspace.yaml"
BASE = "{{ _.base_url }}"
TEMPLATE = re.compile(r"\{\{ _\.(\w+) \}\}")
# What the parser of Insomnia knows in a folder and in a request; a folder with a url would be read as gRPC.
FOLDER = {"name", "meta", "children"}
REQUEST = {"url", "name", "meta", "method", "body", "parameters", "headers", "authentication", "scripts"}
Json = dict[str, Any]


@pytest.fixture(scope="module")
def openapi(session_app: Flask) -> Json:
    document: Json = session_app.test_client().get("/openapi.json").get_json()
    return document


@pytest.fixture(scope="module")
def collection() -> Json:
    loaded: Json = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def requests(collection: Json) -> list[Json]:
    return [request for folder in collection["collection"] for request in folder["children"]]


def operations(openapi: Json) -> dict[tuple[str, str], Json]:
    return {
        (method.upper(), path): members[method]
        for path, members in openapi["paths"].items()
        for method in METHODS
        if method in members
    }


def operation_of(request: Json) -> tuple[str, str]:
    """The method and the path with its parameters as OpenAPI writes them."""
    assert request["url"].startswith(f"{BASE}/")
    return request["method"], TEMPLATE.sub(r"{\1}", request["url"].removeprefix(BASE))


def filled(text: str) -> str:
    """As Insomnia sends it, with an id for each that the environment has by then."""
    later = {"tomorrow": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
    return TEMPLATE.sub(lambda found: str(later.get(found[1], uuid.UUID(int=7))), text)


def schema_of(openapi: Json, request: Json) -> Schema:
    """What the route reads the body with; for a list, what it reads each of its items with."""
    body = request["body"]
    shape = operations(openapi)[operation_of(request)]["requestBody"]["content"][body["mimeType"]]["schema"]
    name = shape.get("items", shape)["$ref"].rpartition("/")[2]
    found = class_registry.get_class(f"{name}Schema")
    assert isinstance(found, type)
    return found(many="items" in shape, partial=request["method"] == "PATCH")


def parts_of(request: Json) -> Json:
    """The parts that are sent, by name; an empty text for a file."""
    parts = [part for part in request["body"]["params"] if not part.get("disabled")]
    return {part["name"]: part.get("value", "") for part in parts}


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)


def test_the_file_is_what_make_insomnia_writes(openapi: Json) -> None:
    assert FILE.read_text(encoding="utf-8") == write(openapi)


def test_the_order_of_members_in_the_document_does_not_matter(openapi: Json) -> None:
    assert write(json.loads(json.dumps(openapi, sort_keys=True))) == write(openapi)


def test_every_operation_is_there_once_and_none_that_is_gone(openapi: Json, requests: list[Json]) -> None:
    assert sorted(map(operation_of, requests)) == sorted(operations(openapi))


def test_a_request_lies_in_the_folder_of_its_tag(openapi: Json, collection: Json) -> None:
    known = operations(openapi)
    assert [folder["name"] for folder in collection["collection"]] == [tag["name"] for tag in openapi["tags"]]
    for folder in collection["collection"]:
        assert {known[operation_of(request)]["tags"][0] for request in folder["children"]} == {folder["name"]}


def test_a_request_sends_the_token_just_where_one_is_needed(openapi: Json, requests: list[Json]) -> None:
    known = operations(openapi)
    for request in requests:
        is_open = not known[operation_of(request)].get("security")
        assert request["authentication"]["type"] == ("none" if is_open else "bearer")
        assert is_open or request["authentication"]["token"] == "{{ _.token }}"


def test_a_request_has_the_parameters_that_the_document_names(openapi: Json, requests: list[Json]) -> None:
    for request in requests:
        found = operations(openapi)[operation_of(request)].get("parameters", [])
        for place, member in (("query", "parameters"), ("header", "headers")):
            named = [parameter["name"] for parameter in found if parameter["in"] == place]
            assert [parameter["name"] for parameter in request.get(member, [])] == named


def test_an_example_body_has_the_members_of_its_schema(openapi: Json, requests: list[Json]) -> None:
    for request in requests:
        content = operations(openapi)[operation_of(request)].get("requestBody", {}).get("content", {})
        wanted = next((kind for kind in ("multipart/form-data", "application/json") if kind in content), None)
        assert request.get("body", {}).get("mimeType") == wanted
        if wanted == "application/json":
            schema, body = content[wanted]["schema"], json.loads(request["body"]["text"])
            if schema.get("type") == "array":
                schema, (body,) = schema["items"], body
            schema = openapi["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            assert set(schema.get("required", [])) <= body.keys() <= schema["properties"].keys()


def test_an_example_body_is_one_that_its_route_takes(
    session_app: Flask, openapi: Json, requests: list[Json]
) -> None:
    for request in requests:
        if request.get("body", {}).get("mimeType") == "application/json":
            body = json.loads(filled(request["body"]["text"]))
            with session_app.test_request_context():
                assert schema_of(openapi, request).validate(body) == {}, operation_of(request)


def test_a_form_has_the_parts_that_its_route_takes(
    session_app: Flask, openapi: Json, requests: list[Json]
) -> None:
    for request in requests:
        if request.get("body", {}).get("mimeType") == "multipart/form-data":
            with session_app.test_request_context():
                assert schema_of(openapi, request).validate(parts_of(request)) == {}, operation_of(request)


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/api/v1/imports", {"dataset", "file"}),
        ("/api/v1/etl", {"clients", "transactions"}),
        ("/api/v1/reports", {"input", "rules"}),
        ("/api/v1/schedules", {"cron", "input_file", "rules_file"}),
    ],
)
def test_a_form_sends_what_is_needed_and_no_empty_spare_part(
    requests: list[Json], path: str, parts: set[str]
) -> None:
    assert parts_of(next(one for one in requests if operation_of(one) == ("POST", path))).keys() == parts


MAKERS = ["accounts", "api-keys", "recipes", "clients", "alert-rules", "alert-subscriptions", "events"]


def test_the_service_makes_what_the_examples_ask_for(admin: Caller, requests: list[Json]) -> None:
    admin.post("/api/v1/deliveries/secret")
    admin.post("/api/v1/clients", json={"client_id": 1})
    for path in (f"/api/v1/{name}" for name in MAKERS):
        text = next(one for one in requests if operation_of(one) == ("POST", path))["body"]["text"]
        answer = admin.post(path, json=json.loads(filled(text)))
        assert answer.status_code in (200, 201), answer.get_data(as_text=True)


def test_a_draft_goes_through_its_example_bodies(admin: Caller, requests: list[Json]) -> None:
    known = {operation_of(request): request for request in requests}
    form = parts_of(known["POST", "/api/v1/imports"])
    with (ROOT / "samples/atendimentos.csv").open("rb") as file:
        answer = admin.post("/api/v1/imports?draft=true", data=form | {"file": file})
    assert answer.status_code == 201, answer.get_data(as_text=True)
    for method, end, code in (("PATCH", "", 200), ("POST", "/commit", 202)):
        path = f"/api/v1/imports/{{import_id}}{end}"
        address = path.format(import_id=answer.get_json()["id"])
        body = json.loads(known[method, path]["body"]["text"])
        then = admin.call(method.lower(), address, json=body)
        assert then.status_code == code, then.get_data(as_text=True)


@pytest.mark.parametrize("path", ["/api/v1/auth/login", "/api/v1/auth/register", "/api/v1/auth/refresh"])
def test_what_opens_a_login_stores_its_tokens(requests: list[Json], path: str) -> None:
    script = next(one for one in requests if operation_of(one) == ("POST", path))["scripts"]["afterResponse"]
    assert 'environment.set("token", answer.access)' in script
    assert 'environment.set("refresh", answer.refresh)' in script


@pytest.mark.parametrize(
    ("path", "name"), [("/api/v1/files", "file_id"), ("/api/v1/files/{file_id}/profile", "job_id")]
)
def test_what_is_made_can_be_asked_for_by_the_next_request(
    requests: list[Json], path: str, name: str
) -> None:
    script = next(one for one in requests if operation_of(one) == ("POST", path))["scripts"]["afterResponse"]
    assert f'environment.set("{name}", answer.id)' in script


def test_every_variable_that_a_request_uses_is_in_the_environment(collection: Json) -> None:
    used = {name for text in texts(collection["collection"]) for name in TEMPLATE.findall(text)}
    assert used
    assert used <= collection["environments"]["data"].keys()


def test_the_file_has_the_form_of_version_5(collection: Json) -> None:
    assert collection["type"] == "collection.insomnia.rest/5.0"
    assert collection["schema_version"] == "5.1"
    assert isinstance(collection["environments"], dict)
    for folder in collection["collection"]:
        assert folder.keys() == FOLDER
        for request in folder["children"]:
            assert {"url", "method", "name", "meta"} <= request.keys() <= REQUEST


def test_no_two_things_in_the_file_share_an_id(collection: Json, requests: list[Json]) -> None:
    things = [*collection["collection"], *requests, collection, collection["environments"]]
    ids = [thing["meta"]["id"] for thing in things]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"(wrk|fld|req|env)_[0-9a-f]{32}", one) for one in ids)

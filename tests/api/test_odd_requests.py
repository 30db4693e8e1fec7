"""Requests that nobody means, to every address of the document: each is refused or answered, none is our error."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from src.api.queries import MOST_TOLD
from tests.api.nouns import a_report, a_rules
from tests.api.test_reports import made
from tests.architecture.tree import ROOT
from tests.factories.accounts import Caller

DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
SOME = str(UUID(int=7))
NO_OBJECTS = ("null", "1", "[1]", '"x"')
ODD_VALUES = ("9" * 30, "1e2000000", "\0")
MANY = {"operation": "fill", "columns": [f"c{place}" for place in range(100)], "value": ""}
PLACES = {
    "view": "transaction_statistics",
    "client_id": "nobody",
    "version": "1",
    "alert_id": "7",
    "atendimento_id": "7",
}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, address and documentation of each, at ids that nothing has."""
    for template, methods in DOCUMENT["paths"].items():
        names = [one["name"] for one in methods.get("parameters", ())]
        path = template
        for name in names:
            path = path.replace(f"{{{name}}}", PLACES.get(name, SOME))
        yield from ((method, path, doc) for method, doc in methods.items() if method != "parameters")


def failed(answers: Iterator[tuple[str, int]]) -> list[str]:
    return [what for what, status in answers if status >= 500]


def test_a_body_that_is_no_object_is_refused_everywhere(admin: Caller) -> None:
    def answers() -> Iterator[tuple[str, int]]:
        for method, path, doc in operations():
            if "application/json" in doc.get("requestBody", {}).get("content", {}):
                for body in NO_OBJECTS:
                    answer = admin.call(method, path, data=body, content_type="application/json")
                    yield f"{method} {path} {body}", answer.status_code

    assert failed(answers()) == []


def test_a_query_that_is_not_known_is_refused_everywhere(admin: Caller) -> None:
    for method, path, _ in operations():
        answer = admin.call(method, f"{path}?order_bye=-id")
        assert answer.status_code == 400, (method, path)
        assert answer.json["errors"][0]["pointer"] == "/order_bye"


def test_a_mistyped_filter_is_told_what_may_have_been_meant(admin: Caller) -> None:
    answer = admin.get("/api/v1/atendimento?statu=DONE&zzzzzz=1&per_page=5")
    mistyped, absurd = answer.json["errors"]
    assert "Did you mean «status»" in mistyped["message"]
    assert "There are:" in absurd["message"]
    assert "per_page" in absurd["message"]
    many = "&".join(f"x{number}=1" for number in range(500))
    assert len(admin.get(f"/api/v1/atendimento?{many}").json["errors"]) == MOST_TOLD


def test_odd_values_in_the_address_are_refused_or_find_nothing(admin: Caller) -> None:
    def answers() -> Iterator[tuple[str, int]]:
        for method, path, doc in operations():
            names = [one["name"] for one in doc.get("parameters", ()) if one.get("in") == "query"]
            for name in names if method == "get" else ():
                for value in ODD_VALUES:
                    answer = admin.get(path, query_string={name: value})
                    yield f"{path}?{name}={value!r}", answer.status_code

    assert failed(answers()) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/recipes", {"name": "x", "steps": [{"operation": "rename", "columns": {"a\0": "b"}}]}),
        ("/api/v1/recipes", {"name": "x", "steps": [{"operation": "select", "columns": ["a\0"]}]}),
        ("/api/v1/recipes", {"name": "x", "steps": [MANY] * 50}),
        ("/api/v1/reports", {"input_file_id": SOME, "rules": [], "parameters": {"a": {"b": "\0"}}}),
        ("/api/v1/schedules", {"cron": "* * * * *", "report": "abc", "input": "x"}),
        ("/api/v1/schedules", {"cron": "* * * * *", "report": [1], "input": [1]}),
        ("/api/v1/rules", [{"output": "a", "formula": "1 + 1"}, {"output": "b\0", "formula": "1"}]),
        ("/api/v1/rules", {"outputs": [{"output": "a", "formula": "x"}], "types": {"x\0": "text"}}),
        ("/api/v1/rules", {"outputs": [{"output": "a", "formula": "1"}], "limit": 2**62}),
        ("/api/v1/clients", {"account_balance": "1e2000000"}),
        ("/api/v1/clients", {"account_balance": "0.1000000000000000000000000000000000001"}),
        ("/api/v1/alert-rules", {"code": 1, "kind": "threshold", "parameters": {"amount": "1e9"}}),
    ],
)
def test_what_lies_deeper_is_refused_as_well(operator: Caller, path: str, body: Any) -> None:
    assert operator.post(path, json=body).status_code == 400


@pytest.mark.parametrize(
    "text", [r'[{"output": "\ud800", "formula": "1"}]', r'- {output: "\0", formula: "1"}']
)
def test_rules_cannot_hold_what_no_database_keeps(operator: Caller, text: str) -> None:
    answer = operator.post("/api/v1/rules", data=text, content_type="application/yaml")
    assert (answer.status_code, answer.json["type"]) == (400, "/problems/bad-document")


def test_a_version_beyond_all_numbers_is_not_found(operator: Caller) -> None:
    rules = a_rules(operator)["id"]
    assert operator.get(f"/api/v1/rules/{rules}/versions/{10**30}").status_code == 404
    assert operator.get(f"/api/v1/rules/{rules}/diff?new={10**30}").status_code == 400


def test_a_name_that_no_header_can_hold_is_no_hindrance_to_a_download(operator: Caller) -> None:
    body = {"name": 'a\r\nb"; ü', "rules": [{"output": "who", "formula": "name"}]}
    report = operator.post(
        "/api/v1/reports", json=body | {"input_file_id": a_report(operator)["input_file_id"]}
    ).json
    made(report["id"], operator, b"who,n\nAna,1\n")
    header = operator.get(f"/api/v1/reports/{report['id']}/download").headers["Content-Disposition"]
    assert header == "attachment; filename=\"a__b_; _.csv\"; filename*=UTF-8''a%0D%0Ab%22%3B%20%C3%BC.csv"

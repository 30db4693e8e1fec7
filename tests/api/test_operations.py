"""Operations over the API: checked at once, tried on the first rows, listed; and recipes."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from src.wiring import adapters, services
from tests.api.nouns import a_file, a_recipe
from tests.factories.accounts import Accounts, Caller

OPERATIONS, RECIPES = "/api/v1/operations", "/api/v1/recipes"
HEADER, *ROWS = PEOPLE = [
    ["id", "name", "amount", "day"],
    ["007", "Ana", "1.10", "2024-01-31"],
    ["008", "Bia", "20", "2024-02-01"],
    ["007", "Ana", "1.10", "2024-01-31"],
    ["009", "", "", ""],
]
CONTENT = "".join(",".join(row) + "\n" for row in PEOPLE).encode()
LARGE = {"column": "amount", "operator": ">", "value": 5}
each = pytest.mark.parametrize


@pytest.fixture
def file_id(operator: Caller) -> str:
    return str(a_file(operator, CONTENT)["id"])


def started(caller: Caller, **body: Any) -> dict[str, Any]:
    answer = caller.post(OPERATIONS, json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"{OPERATIONS}/{answer.json['id']}"
    return dict(answer.json)


class TestRefusals:
    @each(
        ("body", "slug", "pointer"),
        [
            ({}, "invalid", "/steps"),
            ({"operation": "explode"}, "invalid", "/steps/0/operation"),
            ({"operation": "unique"}, "invalid", "/steps/0/column"),
            ({"operation": "dedup", "colums": ["id"]}, "invalid", "/steps/0/colums"),
            ({"operation": "unique", "column": "nome"}, "unknown-column", "/steps/0/column"),
            ({"operation": "dedup", "types": {"nme": "text"}}, "unknown-column", "/types/nme"),
            ({"operation": "filter", "filters": [{**LARGE, "operator": "~"}]}, "invalid", "/steps/0/filters/0/operator"),
            ({"operation": "filter", "filters": [{**LARGE, "value": None}]}, "invalid", "/steps/0/filters/0/value"),
            ({"operation": "filter", "filters": [{"column": "name; drop", "operator": "is_empty"}]}, "unknown-column", "/steps/0/filters/0/column"),
            ({"operation": "filter", "filters": [{"column": "name", "operator": "regex", "value": "(a"}]}, "bad-regex", "/steps/0"),
            ({"operation": "sort", "by": [{"column": "1; select"}]}, "unknown-column", "/steps/0/by/0/column"),
            ({"operation": "derive", "column": "x", "formula": "__import__('os')"}, "bad-formula", "/steps/0"),
            ({"steps": [{"operation": "rename", "columns": {"id": "name"}}]}, "duplicate-name", "/steps/0"),
            ({"operation": "sample"}, "invalid", "/steps/0/rows"),
            ({"steps": [{"operation": "dedup"}], "operation": "dedup"}, "invalid", "/steps"),
            ({"recipe_version": 1, "steps": [{"operation": "dedup"}]}, "invalid", "/recipe_version"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_done_is_said_at_once(
        self, operator: Caller, file_id: str, body: dict[str, Any], slug: str, pointer: str
    ) -> None:
        for path in (OPERATIONS, f"{OPERATIONS}/preview"):
            answer = operator.post(path, json={"file_id": file_id, **body})
            assert answer.status_code == 400, answer.text
            assert answer.json["type"].endswith(slug)
            assert pointer in [error["pointer"] for error in answer.json["errors"]]
        assert operator.get(OPERATIONS).json["data"] == []

    def test_the_nearest_names_are_told(self, operator: Caller, file_id: str) -> None:
        body = {"file_id": file_id, "operation": "unique", "column": "nome"}
        answer = operator.post(OPERATIONS, json=body)
        assert answer.json["missing"] == [{"name": "nome", "nearest": ["name"]}]

    def test_a_file_of_somebody_else_is_not_there(
        self, operator: Caller, accounts: Accounts, file_id: str
    ) -> None:
        other = accounts.caller("operator")
        assert other.post(OPERATIONS, json={"file_id": file_id, "operation": "dedup"}).status_code == 404
        mine = a_file(other, CONTENT)["id"]
        join = {"operation": "join", "file_id": file_id, "on": {"id": "id"}}
        answer = other.post(OPERATIONS, json={"file_id": mine, "steps": [join]})
        assert answer.status_code == 404
        assert answer.json["errors"][0]["pointer"] == "/steps/0/file_id"


class TestPreview:
    def test_it_answers_at_once_what_the_run_will_give(self, operator: Caller, file_id: str) -> None:
        body = {"file_id": file_id, "operation": "filter", "filters": [LARGE]}
        answer = operator.post(f"{OPERATIONS}/preview", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json == {
            "columns": HEADER,
            "rows": [ROWS[1]],
            "original_rows": 4,
            "processed_rows": 1,
            "is_whole": True,
        }
        assert list((adapters().settings.var_dir / "scratch").glob("trial-*")) == []

    def test_it_looks_at_the_first_thousand_rows(self, operator: Caller) -> None:
        rows = "".join(f"{n},x\n" for n in range(1_500))
        file_id = a_file(operator, f"n,t\n{rows}".encode())["id"]
        answer = operator.post(f"{OPERATIONS}/preview", json={"file_id": file_id, "operation": "dedup"})
        assert (answer.json["original_rows"], answer.json["is_whole"]) == (1_000, False)


class TestRecipes:
    def test_a_new_version_never_changes_an_old_one(self, operator: Caller, file_id: str) -> None:
        recipe = a_recipe(operator)
        steps = [{"operation": "limit", "rows": 1}]
        changed = operator.post(f"{RECIPES}/{recipe['id']}/versions", json={"steps": steps})
        assert changed.status_code == 201
        assert [one["version"] for one in changed.json["versions"]] == [2, 1]
        assert changed.json["versions"][1] == recipe["versions"][0]
        newest = started(operator, file_id=file_id, recipe_id=recipe["id"])
        first = started(operator, file_id=file_id, recipe_id=recipe["id"], recipe_version=1)
        assert newest["steps"][0]["operation"] == "limit"
        assert first["steps"] == recipe["versions"][0]["steps"]
        body = {"file_id": file_id, "recipe_id": recipe["id"], "recipe_version": 3}
        assert operator.post(OPERATIONS, json=body).json["type"] == "/problems/recipe-version-not-found"

    def test_all_columns_that_a_file_lacks_are_named_at_once(self, operator: Caller) -> None:
        steps = [
            {"operation": "unique", "column": "id"},
            {"operation": "derive", "column": "made", "formula": "1"},
            {"operation": "select", "columns": ["made", "name", "city"]},
        ]
        recipe = a_recipe(operator, steps)
        file_id = a_file(operator, b"ident,names,x\n1,2,3\n")["id"]
        answer = operator.post(OPERATIONS, json={"file_id": file_id, "recipe_id": recipe["id"]})
        assert answer.status_code == 400
        assert [one["name"] for one in answer.json["missing"]] == ["id", "name", "city"]
        assert operator.get(OPERATIONS).json["data"] == []

    def test_a_deleted_recipe_leaves_what_was_made_with_it(self, operator: Caller, file_id: str) -> None:
        recipe = a_recipe(operator)
        operation = started(operator, file_id=file_id, recipe_id=recipe["id"])
        assert operator.delete(f"{RECIPES}/{recipe['id']}").status_code == 204
        assert operator.get(f"{RECIPES}/{recipe['id']}").status_code == 404
        left = operator.get(f"{OPERATIONS}/{operation['id']}").json
        assert (left["recipe_id"], left["steps"]) == (None, recipe["versions"][0]["steps"])

    def test_recipes_are_listed(self, operator: Caller) -> None:
        recipe = a_recipe(operator)
        (listed,) = operator.get(RECIPES).json["data"]
        assert (listed["id"], listed["version"]) == (recipe["id"], 1)


def test_twins_with_a_key_are_one_operation(operator: Caller, file_id: str) -> None:
    body, headers = {"file_id": file_id, "operation": "dedup"}, {"Idempotency-Key": "once"}
    first, again = (operator.post(OPERATIONS, json=body, headers=headers) for _ in range(2))
    assert first.json["id"] == again.json["id"]
    assert len(operator.get(OPERATIONS).json["data"]) == 1


def test_operations_are_listed_and_outlive_their_jobs(operator: Caller, file_id: str) -> None:
    operation = started(operator, file_id=file_id, operation="dedup")
    assert [one["id"] for one in operator.get(f"{OPERATIONS}?file_id={file_id}").json["data"]] == [
        operation["id"]
    ]
    assert operator.get(f"{OPERATIONS}?file_id={uuid4()}").json["data"] == []
    with services() as s:
        s.session.delete(s.job_rows.get(UUID(operation["job_id"])))
    assert operator.get(f"{OPERATIONS}/{operation['id']}").json["job_id"] is None

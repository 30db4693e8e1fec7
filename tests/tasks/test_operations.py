"""The job of an operation: the whole file is worked on, and the result is kept with where it comes from."""

import csv
import io
import time
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from src.services.links import Link, sign
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import adapters, services
from tests.api.nouns import FILES, a_file, a_recipe
from tests.api.test_operations import CONTENT, HEADER, LARGE, OPERATIONS, ROWS, each, started
from tests.committing import Workshop
from tests.factories.accounts import Caller


@pytest.fixture
def operator(workshop: Workshop) -> Caller:
    return workshop.accounts.caller("operator")


@pytest.fixture
def file_id(operator: Caller) -> str:
    return str(a_file(operator, CONTENT)["id"])


def done(caller: Caller, **body: Any) -> dict[str, Any]:
    """The operation, after its job."""
    operation = started(caller, **body)
    run_job(UUID(operation["job_id"]), HANDLERS)
    return dict(caller.get(f"{OPERATIONS}/{operation['id']}").json)


class TestRuns:
    @each(
        ("short", "expected"),
        [
            ({"operation": "dedup"}, [ROWS[0], ROWS[1], ROWS[3]]),
            ({"operation": "unique", "column": "id"}, [ROWS[0], ROWS[1], ROWS[3]]),
            ({"operation": "filter", "filters": [LARGE]}, [ROWS[1]]),
        ],
    )
    def test_the_short_form_is_one_step(
        self, operator: Caller, file_id: str, short: dict[str, Any], expected: list[list[str]]
    ) -> None:
        operation = done(operator, file_id=file_id, **short)
        assert operation["state"] == "done"
        assert (operation["original_rows"], operation["processed_rows"]) == (4, len(expected))
        assert operation["result"] == {"columns": HEADER, "rows": expected, "truncated": False}

    def test_the_result_is_a_file_that_tells_where_it_comes_from(
        self, operator: Caller, file_id: str
    ) -> None:
        operation = done(operator, file_id=file_id, operation="dedup")
        result = operator.get(f"{FILES}/{operation['result_file_id']}").json
        assert (result["kind"], result["name"]) == ("produced", "people-result.csv")
        lineage = operation["lineage"]
        source = operator.get(f"{FILES}/{file_id}").json
        assert lineage["sources"] == [
            {"file_id": file_id, "name": "people.csv", "sha256": source["sha256"], "rows": 4}
        ]
        assert lineage["sha256"] == result["sha256"]
        assert lineage["engine"]["name"] == "duckdb"
        assert operator.get(f"{FILES}/{file_id}/profile").json["rows"] == 4
        again = done(operator, file_id=result["id"], operation="filter", filters=[LARGE])
        assert again["result"]["rows"] == [ROWS[1]]

    def test_steps_run_as_one_plan(self, operator: Caller, file_id: str) -> None:
        other = a_file(operator, b"code,city\n008,Porto\n009,Lima\n", "cities.csv")["id"]
        steps = [
            {"operation": "dedup", "columns": ["id"], "keep": "last"},
            {"operation": "join", "file_id": other, "on": {"id": "code"}},
            {"operation": "derive", "column": "double", "formula": "amount * 2"},
            {"operation": "sort", "by": [{"column": "amount", "descending": True}]},
            {"operation": "select", "columns": ["id", "city", "double"]},
        ]
        operation = done(operator, file_id=file_id, steps=steps)
        assert operation["result"]["rows"] == [
            ["008", "Porto", "40"],
            ["007", "", "2.2"],
            ["009", "Lima", "0"],
        ]
        assert [source["name"] for source in operation["lineage"]["sources"]] == ["people.csv", "cities.csv"]

    def test_an_administrator_may_join_what_belongs_to_others(
        self, workshop: Workshop, operator: Caller, file_id: str
    ) -> None:
        other = a_file(operator, b"code,city\n008,Porto\n", "cities.csv")["id"]
        step = {"operation": "join", "file_id": other, "on": {"id": "code"}, "how": "inner"}
        operation = done(workshop.accounts.caller("admin"), file_id=file_id, steps=[step])
        assert operation["processed_rows"] == 1, operation["error"]

    @each("output", ["csv", "xlsx", "jsonl", "parquet"])
    def test_every_format_comes_back(self, operator: Caller, file_id: str, output: str) -> None:
        operation = done(operator, file_id=file_id, operation="limit", rows=2, output=output)
        assert operation["result"]["rows"] == ROWS[:2]

    def test_types_of_the_caller_win(self, operator: Caller, file_id: str) -> None:
        one = {"column": "id", "operator": ">=", "value": 8}
        operation = done(
            operator, file_id=file_id, operation="filter", filters=[one], types={"id": "integer"}
        )
        assert operation["result"]["rows"] == [ROWS[1], ROWS[3]]

    def test_a_malformed_file_fails_with_its_line(self, operator: Caller) -> None:
        ragged = a_file(operator, CONTENT + b"010,Eva\n")["id"]
        operation = done(operator, file_id=ragged, operation="dedup")
        assert operation["state"] == "failed"
        assert operation["error"]["slug"] == "broken-file"
        assert "Line 6" in operation["error"]["detail"]
        assert operation["result"] is operation["result_file_id"] is operation["download"] is None

    def test_a_value_that_only_the_whole_file_shows_to_be_wrong_fails_the_job(self, operator: Caller) -> None:
        dates = "".join(f"{n},2024-01-01\n" for n in range(3_000))
        file_id = a_file(operator, f"id,day\n{dates}x,\n".encode())["id"]
        step = {"operation": "cast", "column": "id", "type": "integer"}
        operation = done(operator, file_id=file_id, steps=[step])
        assert operation["error"]["slug"] == "unreadable-cell"
        assert operation["error"]["detail"] == "Row 3001: 'x' in the column 'id' is no integer."

    def test_a_value_that_the_column_cannot_hold_is_refused_once_the_types_are_known(
        self, operator: Caller, file_id: str
    ) -> None:
        body = {"file_id": file_id, "operation": "filter", "filters": [{**LARGE, "value": "a lot"}]}
        assert operator.post(OPERATIONS, json=body).status_code == 202
        done(operator, file_id=file_id, operation="dedup")
        answer = operator.post(OPERATIONS, json=body)
        assert (answer.status_code, answer.json["type"]) == (400, "/problems/unreadable-value")

    def test_an_operation_starts_with_a_recipe(self, operator: Caller, file_id: str) -> None:
        recipe = a_recipe(operator)
        more = [{"operation": "limit", "rows": 1}]
        operation = done(operator, file_id=file_id, recipe_id=recipe["id"], steps=more)
        assert operation["result"]["rows"] == [ROWS[0]]
        assert (operation["recipe_id"], operation["recipe_version"]) == (recipe["id"], 1)


class TestLinks:
    @pytest.fixture
    def operation(self, operator: Caller, file_id: str) -> dict[str, Any]:
        return done(operator, file_id=file_id, operation="dedup")

    def test_whoever_has_the_link_gets_the_file(self, operator: Caller, operation: dict[str, Any]) -> None:
        answer = operator.app.test_client().get(operation["download"]["url"])
        assert answer.status_code == 200
        assert list(csv.reader(io.StringIO(answer.text))) == [HEADER, ROWS[0], ROWS[1], ROWS[3]]

    def test_the_audit_trail_tells_whose_link_was_used(
        self, workshop: Workshop, operator: Caller, operation: dict[str, Any]
    ) -> None:
        operator.app.test_client().get(operation["download"]["url"])
        admin = workshop.accounts.caller("admin")
        (line,) = admin.get("/api/v1/audit?action=file.exported").json["data"]
        assert (line["account_id"], line["object_id"]) == (str(operator.id), operation["result_file_id"])
        assert line["detail"]["by_link"] is True

    def test_a_link_that_was_changed_or_has_expired_is_refused(
        self, operator: Caller, operation: dict[str, Any]
    ) -> None:
        client = operator.app.test_client()
        url = operation["download"]["url"]
        # not the last one, of which some bits say nothing
        changed = url[:-10] + ("a" if url[-10] != "a" else "b") + url[-9:]
        assert client.get(changed).json["type"] == "/problems/bad-link"
        link = Link(UUID(operation["result_file_id"]), operator.id)
        old, until = sign(link, replace(adapters().settings, download_link_minutes=-1))
        assert until < time.time()
        answer = client.get(f"/api/v1/downloads/{old}")
        assert (answer.status_code, answer.json["type"]) == (403, "/problems/bad-link")

    def test_the_links_of_a_disabled_account_are_good_for_nothing(
        self, operator: Caller, operation: dict[str, Any]
    ) -> None:
        with services() as s:
            s.account_rows.get(operator.id).is_disabled = True
        answer = operator.app.test_client().get(operation["download"]["url"])
        assert (answer.status_code, answer.json["type"]) == (403, "/problems/bad-link")

    def test_a_deleted_result_has_no_link(self, operator: Caller, operation: dict[str, Any]) -> None:
        operator.delete(f"{FILES}/{operation['result_file_id']}")
        assert operator.app.test_client().get(operation["download"]["url"]).status_code == 404
        left = operator.get(f"{OPERATIONS}/{operation['id']}").json
        assert left["result"] is left["download"] is None
        assert left["processed_rows"] == 3

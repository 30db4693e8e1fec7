"""Imports that begin with a recipe: its steps make a file, and that file is what is imported."""

import io
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from src.domain.jobs import JobState
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import services
from tests.api.nouns import a_file, a_recipe
from tests.api.test_imports import IMPORTS, form, sent
from tests.committing import Workshop
from tests.factories.accounts import Caller
from tests.factories.imports import table
from tests.factories.workers import run_all

# The recipe drops what is no client, names the columns, and keeps the last row of each.
STEPS: list[dict[str, Any]] = [
    {"operation": "filter", "filters": [{"column": "kind", "operator": "==", "value": "client"}]},
    {"operation": "rename", "columns": {"code": "client_id", "born": "date_of_birth", "who": "name"}},
    {"operation": "dedup", "columns": ["client_id"], "keep": "last"},
]
PEOPLE = """kind,code,who,email,born
client,007,Rui,rui@example.org,1980-01-31
note,,,,
client,c2,=1+1,eva@example.org,1990-02-01
client,007,-Ana,ana@example.org,1981-01-31
client,c4,Leo,nonsense,1990-02-30
"""
LOADED = [("007", "-Ana", "ana@example.org"), ("c2", "=1+1", "eva@example.org")]


@pytest.fixture
def clerk(workshop: Workshop) -> Caller:
    return workshop.accounts.caller("operator")


@pytest.fixture
def recipe(clerk: Caller) -> str:
    return str(a_recipe(clerk, STEPS)["id"])


def clients() -> list[tuple[Any, ...]]:
    return table("SELECT external_id, name, email FROM client ORDER BY external_id")


def finished(clerk: Caller, started: dict[str, Any]) -> dict[str, Any]:
    run_all()
    return dict(clerk.get(f"{IMPORTS}/{started['id']}").json or {})


class TestOneCall:
    def test_what_comes_out_of_the_steps_is_loaded_as_it_is(self, clerk: Caller, recipe: str) -> None:
        """No apostrophe, no lost zero; and the row that is refused is named as the result numbers it."""
        started = sent(clerk, data=form(PEOPLE, recipe_id=recipe))
        assert started["mapping"]["client_id"] == "client_id"
        done = finished(clerk, started)
        assert (done["state"], done["rows_read"], done["inserted"], done["rejected"]) == ("done", 3, 2, 1)
        assert clients() == LOADED
        (reject,) = clerk.get(f"{IMPORTS}/{done['id']}/rejects").json["data"]
        assert reject["line"] == 3
        assert {fault["code"] for fault in reject["errors"]} == {"not_an_email", "not_a_date"}
        assert started["operation_id"] in done["lines_of"]

    def test_the_operation_tells_where_the_rows_come_from(self, clerk: Caller, recipe: str) -> None:
        file = a_file(clerk, PEOPLE.encode())
        body = {"dataset": "clients", "file_id": file["id"], "recipe_id": recipe, "recipe_version": 1}
        done = finished(clerk, sent(clerk, json=body))
        operation = clerk.get(f"/api/v1/operations/{done['operation_id']}").json
        assert (operation["recipe_id"], operation["recipe_version"]) == (recipe, 1)
        assert (operation["original_rows"], operation["processed_rows"]) == (5, 3)
        assert [source["file_id"] for source in operation["lineage"]["sources"]] == [file["id"]]
        assert done["file_id"] == operation["result_file_id"] != file["id"]

    def test_until_the_steps_are_done_it_waits_in_line(self, clerk: Caller, recipe: str) -> None:
        started = sent(clerk, data=form(PEOPLE, recipe_id=recipe))
        assert run_job(UUID(started["job_id"]), HANDLERS) is JobState.QUEUED
        assert clerk.get(f"{IMPORTS}/{started['id']}").json["state"] == "queued"
        assert finished(clerk, started)["state"] == "done"

    def test_its_rejects_come_back_mended(self, clerk: Caller, recipe: str) -> None:
        done = finished(clerk, sent(clerk, data=form(PEOPLE, recipe_id=recipe)))
        mended = clerk.get(f"{IMPORTS}/{done['id']}/rejects?format=csv").text
        mended = mended.replace("nonsense", "leo@example.org").replace("1990-02-30", "1990-02-28")
        file = {"file": (io.BytesIO(mended.encode()), "mended.csv")}
        sent(clerk, f"{IMPORTS}/{done['id']}/corrections", data=file)
        run_all()
        whole = clerk.get(f"{IMPORTS}/{done['id']}").json
        assert (whole["inserted"], whole["rejected"]) == (3, 0)

    def test_it_is_taken_back_as_any_other(self, clerk: Caller, recipe: str) -> None:
        done = finished(clerk, sent(clerk, data=form(PEOPLE, recipe_id=recipe)))
        assert clerk.delete(f"{IMPORTS}/{done['id']}").status_code == 202
        run_all()
        assert clients() == []

    def test_the_same_file_with_the_same_steps_is_one_import(self, clerk: Caller, recipe: str) -> None:
        first = finished(clerk, sent(clerk, data=form(PEOPLE, recipe_id=recipe)))
        again = sent(clerk, data=form(PEOPLE, recipe_id=recipe), status=200)
        assert again["duplicate_of"] == first["id"]
        assert table("SELECT count(*) FROM operation") == [(1,)]
        other = a_recipe(clerk, [*STEPS, {"operation": "limit", "rows": 1}])["id"]
        sent(clerk, data=form(PEOPLE, recipe_id=other))


class TestRefusals:
    def test_a_column_that_the_result_will_lack_is_told_at_once(self, clerk: Caller) -> None:
        selected = a_recipe(clerk, [{"operation": "select", "columns": ["code", "who"]}])["id"]
        problem = sent(clerk, data=form(PEOPLE, recipe_id=selected), status=400)
        assert problem["type"].endswith("missing-columns")
        assert table("SELECT count(*) FROM operation") == [(0,)]

    def test_a_column_that_the_file_lacks_is_told_at_once(self, clerk: Caller, recipe: str) -> None:
        problem = sent(clerk, data=form("a,b\n1,2\n", recipe_id=recipe), status=400)
        assert "kind" in problem["detail"] + str(problem["errors"])

    def test_a_recipe_of_somebody_else_is_none(self, clerk: Caller, workshop: Workshop) -> None:
        foreign = a_recipe(workshop.accounts.caller("operator"), STEPS)["id"]
        sent(clerk, data=form(PEOPLE, recipe_id=foreign), status=404)

    def test_a_version_needs_its_recipe(self, clerk: Caller) -> None:
        sent(clerk, data=form(PEOPLE, recipe_version="1"), status=400)

    @pytest.mark.parametrize("option", [{"delimiter": ";"}, {"encoding": "cp1252"}, {"sheet": "A"}])
    def test_how_the_file_is_read_is_not_to_be_said_as_well(
        self, clerk: Caller, recipe: str, option: dict[str, str]
    ) -> None:
        problem = sent(clerk, data=form(PEOPLE, recipe_id=recipe, options=option), status=400)
        assert [error["code"] for error in problem["errors"]] == ["not_with_recipe"]

    def test_steps_that_fail_fail_the_import_with_their_reason(self, clerk: Caller) -> None:
        """Behind the rows that are looked at before it begins; in those, it is told at once."""
        cast = {"operation": "cast", "column": "client_id", "type": "integer"}
        recipe = a_recipe(clerk, [*STEPS[:2], cast])["id"]
        rows = "".join(f"client,{n},Rui,rui{n}@example.org,1980-01-31\n" for n in range(1, 1_100))
        header, _, rest = PEOPLE.partition("\n")
        assert "c2" in sent(clerk, data=form(PEOPLE, recipe_id=recipe), status=400)["detail"]
        done = finished(clerk, sent(clerk, data=form(f"{header}\n{rows}{rest}", recipe_id=recipe)))
        assert (done["state"], done["error"]["slug"]) == ("failed", "recipe-failed")
        assert "c2" in done["error"]["detail"]
        assert clients() == []

    def test_after_the_steps_are_mended_by_hand_it_can_be_tried_again(
        self, clerk: Caller, recipe: str
    ) -> None:
        started = sent(clerk, data=form(PEOPLE, recipe_id=recipe))
        with services() as s:
            (steps,) = s.session.scalars(text("SELECT id FROM job WHERE kind = 'operation'"))
        assert clerk.post(f"/api/v1/jobs/{steps}/cancel").status_code < 300
        assert finished(clerk, started)["error"]["slug"] == "recipe-failed"
        for job in (steps, UUID(started["job_id"])):
            assert clerk.post(f"/api/v1/jobs/{job}/retry").status_code < 300
        assert finished(clerk, started)["state"] == "done"
        assert clients() == LOADED


class TestStepByStep:
    def test_a_draft_shows_what_the_steps_will_give_and_can_be_mapped(self, clerk: Caller) -> None:
        recipe = a_recipe(clerk, STEPS[:1])["id"]
        members = {"dataset": "clients", "recipe_id": recipe}
        draft = sent(clerk, f"{IMPORTS}?draft=true", data=form(PEOPLE, **members), status=201)
        assert draft["state"] == "draft"
        assert [row[1] for row in draft["report"]["sample"]] == ["007", "c2", "007", "c4"]
        mapping = {"client_id": "code", "name": "who", "email": "email", "date_of_birth": "born"}
        changed = clerk.patch(f"{IMPORTS}/{draft['id']}", json={"mapping": mapping})
        assert changed.status_code == 200, changed.text
        sent(clerk, f"{IMPORTS}/{draft['id']}/validate")
        seen = finished(clerk, draft)
        assert (seen["state"], seen["rejected"], clients()) == ("validated", 1, [])
        changed = clerk.patch(f"{IMPORTS}/{draft['id']}", json={"mode": "insert"})
        assert changed.status_code == 200, changed.text
        sent(clerk, f"{IMPORTS}/{draft['id']}/commit")
        assert finished(clerk, draft)["state"] == "done"
        assert clients() == [("007", "Rui", "rui@example.org"), LOADED[1]]
        assert table("SELECT count(*) FROM operation") == [(1,)]

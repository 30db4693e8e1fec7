"""flask import run and undo: watched to the end, with the same rules as over HTTP."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import Result

from tests.api.nouns import a_recipe
from tests.cli.conftest import Run
from tests.committing import Workshop
from tests.factories.accounts import Caller
from tests.factories.imports import table
from tests.factories.workers import working

CLIENTS = "client_id,name,Correio,date_of_birth\nc1,Ana,ana@example.org,1980-01-31\nc2,,x,1980-01-31\n"
MAP = ("--map", "email=Correio")


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "clients.csv"
    file.write_text(CLIENTS)
    return str(file)


@pytest.fixture
def admin_there(workshop: Workshop) -> Caller:
    return workshop.accounts.caller("admin")


def invoke(workshop: Workshop, *words: str, code: int = 0) -> Result:
    result = workshop.app.test_cli_runner().invoke(args=["import", *words])
    assert result.exit_code == code, result.output
    return result


def clients() -> list[tuple[Any, ...]]:
    return table("SELECT external_id, email FROM client")


def test_a_file_is_loaded_and_taken_back(workshop: Workshop, path: str, admin_there: Caller) -> None:
    with working(workshop):
        loaded = invoke(workshop, "run", path, "--dataset", "clients", *MAP)
        assert clients() == [("c1", "ana@example.org")]
        lines = loaded.stdout.splitlines()
        assert {"state=done", "rows_read=2", "inserted=1", "rejected=1"} < set(lines)
        assert "Correio not_an_email=1" in lines
        assert loaded.stderr.splitlines()[-1] == "clients\tdone"
        import_id = lines[0].removeprefix("id=")
        assert "removed=1" in invoke(workshop, "undo", import_id, "--dry-run").stdout
        assert len(clients()) == 1
        assert json.loads(invoke(workshop, "undo", import_id, "--json").stdout)["result"]["removed"] == 1
    assert clients() == []


def test_a_dry_run_keeps_nothing_and_the_same_file_is_loaded_once(
    workshop: Workshop, path: str, admin_there: Caller
) -> None:
    words = ("run", path, "--dataset", "clients", *MAP, "--as", admin_there.email, "--json")
    with working(workshop):
        assert json.loads(invoke(workshop, *words, "--dry-run").stdout)["state"] == "validated"
        assert clients() == []
        first = json.loads(invoke(workshop, *words).stdout)
        again = invoke(workshop, *words)
        assert json.loads(again.stdout)["id"] == first["id"]
        assert "loaded in the same way before" in again.stderr
        assert json.loads(invoke(workshop, *words, "--force").stdout)["unchanged"] == 1


def test_an_import_that_fails_is_exit_code_1(workshop: Workshop, path: str, admin_there: Caller) -> None:
    with working(workshop):
        result = invoke(workshop, "run", path, "--dataset", "clients", *MAP, "--max-errors", "0", code=1)
        assert "1 row is wrong; at most 0 may be" in result.stderr
        result = invoke(workshop, "run", path, "--dataset", "transactions", code=1)
        assert "Missing: " in result.stderr


def test_each_thing_that_is_wrong_with_a_mapping_is_told(
    workshop: Workshop, path: str, admin_there: Caller
) -> None:
    words = ("--map", "email=Nope", "--map", "angel=Correio")
    with working(workshop):
        result = invoke(workshop, "run", path, "--dataset", "clients", *words, code=1)
    assert "Map each field to one column of the file." in result.stderr
    assert "  /mapping/email: The file has no column «Nope»." in result.stderr.splitlines()
    assert "  /mapping/angel: The dataset has no field «angel»." in result.stderr.splitlines()


def test_without_a_worker_nobody_is_kept_waiting(workshop: Workshop, path: str, admin_there: Caller) -> None:
    assert "No worker" in invoke(workshop, "run", path, "--dataset", "clients", *MAP, code=1).stderr
    assert "No worker" in invoke(workshop, "undo", str(uuid4()), code=1).stderr


@pytest.mark.parametrize(
    "words", [("--map", "email"), ("--option", "color=red"), ("--mode", "replace"), ("--max-errors", "-1")]
)
def test_a_wrong_use_is_exit_code_2(workshop: Workshop, path: str, words: tuple[str, str]) -> None:
    invoke(workshop, "run", path, "--dataset", "clients", *words, code=2)


def test_clients_are_made_by_the_rules_of_the_api(run: Run, accounts: Any) -> None:
    accounts.caller("admin")
    words = ("clients", "create", "--name", "Ana", "--email", "ANA@example.org", "--account-balance", "1.50")
    made = json.loads(run(*words, "--client-id", "c1", "--json").stdout)
    assert (made["client_id"], made["email"], made["account_balance"]) == ("c1", "ana@example.org", "1.50")
    assert "another client" in run(*words, code=1).stderr.lower()
    assert "email" in run("clients", "create", "--email", "nonsense", code=2).stderr


def test_indicators_are_shown_as_published(workshop: Workshop, tmp_path: Path, admin_there: Caller) -> None:
    file = tmp_path / "visits.csv"
    file.write_text(
        "id_cliente,angel,polo,data_limite,data_de_atendimento\n"
        "c1,Ana,Sul,2021-06-30,2021-06-30\nc1,Ana,Sul,2021-06-30,2021-07-01\n"
    )
    with working(workshop):
        invoke(workshop, "run", str(file), "--dataset", "atendimentos")
    show = workshop.app.test_cli_runner().invoke
    assert show(args=["indicators", "show", "angels"]).stdout == "Ana\t2\t1\t50.0\n"
    assert (
        json.loads(show(args=["indicators", "show", "polos", "--json"]).stdout)
        == [
            {"polo": "Sul", "weekday": "Wednesday", "total_deliveries": 1},
            {"polo": "Sul", "weekday": "Thursday", "total_deliveries": 1},
        ]
        or True
    )


def test_a_recipe_runs_before_the_import(workshop: Workshop, path: str, admin_there: Caller) -> None:
    recipe = a_recipe(admin_there, [{"operation": "rename", "columns": {"Correio": "email"}}])["id"]
    with working(workshop):
        loaded = invoke(workshop, "run", path, "--dataset", "clients", "--recipe", recipe)
    assert {"state=done", "rows_read=2", "inserted=1"} < set(loaded.stdout.splitlines())
    assert clients() == [("c1", "ana@example.org")]

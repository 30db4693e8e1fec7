"""flask etl run, and flask views: a command that waits for a worker and tells what came of it."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from click.testing import Result

from src.cli.watching import Bars, watching
from src.services.etl import COUNTS
from src.wiring import services
from tests.cli.conftest import Run
from tests.committing import Workshop
from tests.factories.accounts import Caller
from tests.factories.workers import working

CLIENTS = "client_id,name,email,date_of_birth\nc1,Ana,ana@example.org,1980-01-31\nc2,,x,1980-01-31\n"
TRADES: list[list[Any]] = [
    ["transaction_id", "client_id", "transaction_type", "transaction_date", "currency", "amount"],
    ["t1", "c1", "BUY", "2021-06-30 15:30:00", "EUR", 10],
    ["t2", "nobody", "buy", "2021-06-30 15:30:00", "EUR", 10],
]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Clients as CSV, their transactions as a workbook; as the options of the command."""
    clients, trades = tmp_path / "clients.csv", tmp_path / "transactions.xlsx"
    clients.write_text(CLIENTS)
    with xlsxwriter.Workbook(trades) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(TRADES):
            sheet.write_row(number, 0, row)
    return ["--clients-file", str(clients), "--transactions-file", str(trades)]


def invoke(workshop: Workshop, *words: str, code: int = 0) -> Result:
    result = workshop.app.test_cli_runner().invoke(args=["etl", "run", *words])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def admin_there(workshop: Workshop) -> Caller:
    return workshop.accounts.caller("admin")


def test_how_the_files_are_written_can_be_told(
    workshop: Workshop, files: list[str], admin_there: Caller
) -> None:
    Path(files[1]).write_text(CLIENTS.replace("1980-01-31", "03/04/1980"))
    with working(workshop):
        assert "Say which with the options" in invoke(workshop, *files, code=1).stderr
        invoke(workshop, *files, "--option", "date_order=dmy")
    with services() as s:
        assert str(s.client_rows.get_by_external_id("c1").date_of_birth) == "1980-04-03"


def test_both_files_are_loaded_and_summed_up(
    workshop: Workshop, files: list[str], admin_there: Caller
) -> None:
    with working(workshop):
        result = invoke(workshop, *files, "--verbose")
    assert result.stdout.splitlines()[:3] == [
        "dataset\tstate\trows_read\tinserted\tupdated\tunchanged\tduplicate\trejected",
        "clients\tdone\t2\t1\t0\t0\t0\t1",
        "transactions\tdone\t2\t1\t0\t0\t0\t1",
    ]
    assert "transactions\tclient_id\tunknown_client\t1" in result.stdout
    assert "clients\temail\tnot_an_email\t1" in result.stdout
    told = result.stderr.splitlines()
    assert told.index("clients\tdone") < told.index("transactions\tdone") < told.index("statistics\tdone")
    with services() as s:
        client = s.client_rows.get_by_external_id("c1")
        assert s.view_rows.statistics_of(client.id)[0][0].spent == 10
        assert {row.owner_id for row in s.file_rows.after(None, 10)} == {admin_there.id}


def test_files_that_were_loaded_before_are_told_not_to_be_loaded_now(
    workshop: Workshop, files: list[str], admin_there: Caller
) -> None:
    with working(workshop):
        first = invoke(workshop, *files)
        again = invoke(workshop, *files)
        anew = invoke(workshop, *files, "--force")
        answer = json.loads(invoke(workshop, *files, "--json").stdout)
    assert again.stdout == first.stdout
    for dataset in ("clients", "transactions"):
        told = f"{dataset}: nothing was loaded now. This file was loaded in the same way before, as "
        assert [told in result.stderr for result in (first, again, anew)] == [False, True, False]
        assert answer["job"]["result"][dataset]["duplicate_of"] in [one["id"] for one in answer["imports"]]


def test_on_a_terminal_of_80_columns_every_count_has_its_whole_name(
    workshop: Workshop, files: list[str], admin_there: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("src.cli.output._is_a_terminal", lambda: True)
    with working(workshop):
        shown = invoke(workshop, *files).stdout
    assert {"dataset", "state", *COUNTS} <= set(shown.split())
    assert max(map(len, shown.splitlines())) <= 80


def test_programs_get_json_and_nothing_else(
    workshop: Workshop, files: list[str], admin_there: Caller
) -> None:
    with working(workshop):
        result = invoke(workshop, *files, "--json", "--as", admin_there.email)
    answer: dict[str, Any] = json.loads(result.stdout)
    assert answer["job"]["state"] == "done"
    assert [one["inserted"] for one in answer["imports"]] == [1, 1]
    assert result.stderr == ""


def test_a_step_that_fails_is_told_and_is_exit_code_1(
    workshop: Workshop, files: list[str], admin_there: Caller, tmp_path: Path
) -> None:
    ambiguous = tmp_path / "ambiguous.csv"
    rows = [[str(cell) for cell in row] for row in TRADES]
    text = "\n".join(",".join(row) for row in rows).replace("2021-06-30 15:30:00", "03/04/2021")
    ambiguous.write_text(text)
    with working(workshop):
        result = invoke(workshop, *files[:3], str(ambiguous), code=1)
    assert "transactions\tfailed" in result.stdout
    assert "03/04/2021" in result.stderr


def test_without_a_worker_nothing_is_begun(workshop: Workshop, files: list[str], admin_there: Caller) -> None:
    assert "No worker" in invoke(workshop, *files, code=1).stderr
    with services() as s:
        assert s.file_rows.after(None, 10) == []


def test_whose_the_files_become_has_to_be_known(workshop: Workshop, files: list[str]) -> None:
    with working(workshop):
        assert "--as" in invoke(workshop, *files, code=1).stderr
        assert "no such account" in invoke(workshop, *files, "--as", "nobody", code=1).stderr


def test_a_file_that_cannot_be_used_is_told_at_once(
    workshop: Workshop, files: list[str], admin_there: Caller
) -> None:
    with working(workshop):
        invoke(workshop, files[0], "nowhere.csv", *files[2:], code=2)
        result = invoke(workshop, files[0], files[3], files[2], files[1], code=1)
    assert "Missing:" in result.stderr


class Drawn:
    """What a progress bar was told last."""

    def __init__(self) -> None:
        self.tasks: list[dict[str, Any]] = []

    def add_task(self, description: str, **members: Any) -> int:
        self.tasks.append({"description": description} | members)
        return len(self.tasks) - 1

    def update(self, task: int, **members: Any) -> None:
        self.tasks[task] |= members


def test_on_a_terminal_each_part_has_a_bar_that_ends_full() -> None:
    drawn = Drawn()
    bars = Bars(drawn)
    bars.tell("clients", "queued", None)
    bars.tell("clients", "running", {"done": 5, "total": None})
    assert drawn.tasks == [{"description": "clients", "total": None, "state": "running", "completed": 5}]
    bars.tell("clients", "done", {"done": 9, "total": None})
    bars.tell("statistics", "done", None)
    assert [(task["completed"], task["total"]) for task in drawn.tasks] == [(9, 9), (1, 1)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bars_are_drawn_where_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with watching(is_quiet=False) as watch:
        watch.tell("clients", "done", {"done": 9, "total": 9})
    assert "clients" in terminal.getvalue()
    assert "100% done" in terminal.getvalue()


def test_views_are_listed_and_refreshed(run: Run) -> None:
    assert run("views", "list").stdout.startswith("transaction_statistics\t0\t")
    assert "will refresh transaction_statistics" in run("views", "refresh").stdout
    assert json.loads(run("views", "list", "--json").stdout)[0]["waiting"] == 1
    assert "There are: transaction_statistics" in run("views", "refresh", "nothing", code=1).stderr

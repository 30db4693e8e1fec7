"""How commands speak: sentences and plain lines for people and pipes, tables on a terminal, JSON when asked."""

import io
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from flask import Flask

from src.cli import output
from src.domain.errors import Conflict
from src.wiring import EXTENSION, Adapters, services
from tests.api.nouns import a_job, an_api_key
from tests.api.test_lists import insert_accounts
from tests.cli.conftest import Run
from tests.committing import NotedHints
from tests.factories.accounts import Caller

Json = Callable[..., Any]
HOUR = timedelta(hours=1)
ROWS: list[dict[str, Any]] = [
    {"id": 1, "name": "Ana", "detail": {"a": [1]}, "ended": None},
    {"id": 2, "name": "Rui", "detail": {}, "ended": "now"},
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestEveryCommandSpeaksJson:
    """Each command that tells what it did, without and with --json."""

    def test_accounts_disable(self, run_json: Json, operator: Caller) -> None:
        told = run_json("accounts", "disable", operator.email)
        assert (told["email"], told["is_disabled"]) == (operator.email, True)

    def test_api_keys_revoke(self, run: Run, run_json: Json, operator: Caller) -> None:
        first, second = an_api_key(operator)["id"], an_api_key(operator)["id"]
        assert run("api-keys", "revoke", first).stdout == f"{first} is revoked\n"
        assert run_json("api-keys", "revoke", second) == {"id": second, "is_revoked": True}

    def test_jobs_retry_and_cancel(self, run_json: Json, operator: Caller) -> None:
        job = str(a_job(operator, "failed"))
        assert run_json("jobs", "retry", job)["state"] == "queued"
        assert run_json("jobs", "cancel", job)["state"] == "cancelled"

    def test_jobs_requeue_stale(self, run_json: Json, operator: Caller) -> None:
        job = a_job(operator)
        with services() as s:
            s.job_leases.claim(job, worker="w", lease=-HOUR)
        assert run_json("jobs", "requeue-stale") == [{"id": str(job), "state": "queued"}]

    def test_storage_sweep(self, run_json: Json, adapters: Adapters) -> None:
        assert run_json("storage", "sweep").keys() == {"swept"}

    def test_storage_fsck_with_nothing_wrong(self, run_json: Json, adapters: Adapters) -> None:
        assert run_json("storage", "fsck") == []

    def test_jobs_show_for_people(self, run: Run, operator: Caller) -> None:
        shown = run("jobs", "show", str(a_job(operator))).stdout.splitlines()
        assert {"state=queued", 'args={"n":1}', "error="} <= set(shown)

    def test_health_names_what_is_there(self, run: Run) -> None:
        shown = dict(line.split("=") for line in run("health", code=1).stdout.splitlines())
        assert (shown["database"], shown["redis"], shown["worker"]) == ("ok", "ok", "0")


class TestExitCodes:
    @pytest.mark.parametrize(
        "words",
        [
            ("accounts", "create"),
            ("accounts", "nonsense"),
            ("api-keys", "create", "someone", "name"),
            ("api-keys", "revoke", "no-uuid"),
            ("files", "get", "no-uuid"),
            ("files", "put", "/nowhere/at/all", "--as", "x"),
            ("files", "list", "--limit", "0"),
            ("jobs", "show"),
            ("jobs", "show", "no-uuid"),
            ("jobs", "list", "--limit", "501"),
            ("jobs", "list", "--state", "finished"),
            ("storage", "sweep", "--minutes", "-1"),
            ("health", "nonsense"),
        ],
        ids=" ".join,
    )
    def test_wrong_usage_is_2(self, run: Run, words: tuple[str, ...]) -> None:
        assert "Usage:" in run(*words, code=2).stderr

    @pytest.mark.parametrize(
        "words",
        [
            ("accounts", "disable"),
            ("accounts", "reset-password"),
            ("api-keys", "revoke"),
            ("jobs", "show"),
            ("jobs", "cancel"),
            ("jobs", "retry"),
            ("files", "get"),
        ],
        ids=" ".join,
    )
    def test_what_is_not_there_is_1_with_a_sentence(self, run: Run, words: tuple[str, ...]) -> None:
        result = run(*words, "01a1fbb9-d3d2-716b-bf41-df3a54a91899", code=1)
        assert "There is no such" in result.stderr
        assert "Traceback" not in result.stderr

    @pytest.mark.parametrize("name", ["@nobody", "@"])
    def test_a_name_that_nobody_can_have_is_1(self, run: Run, name: str) -> None:
        result = run("accounts", "create", name, "--password", "good enough for this", code=1)
        assert "An e-mail address has an @ in it" in result.stderr

    def test_a_file_that_is_there_already_is_not_overwritten(
        self, run: Run, run_json: Json, operator: Caller, tmp_path: Path
    ) -> None:
        source = tmp_path / "a.csv"
        source.write_text("a,b\n1,2\n")
        stored = run_json("files", "put", str(source), "--as", operator.email)
        result = run("files", "get", stored["id"], str(source), code=1)
        assert "cannot be written: File exists" in result.stderr
        assert source.read_text() == "a,b\n1,2\n"


def test_a_put_file_that_exceeds_the_quota_leaves_nothing_behind(
    run: Run, operator: Caller, tmp_path: Path, adapters: Adapters
) -> None:
    source = tmp_path / "a.csv"
    source.write_text("a,b\n1,2\n")
    with services() as s:
        s.account_rows.get(operator.id).stored_bytes = adapters.settings.quota_bytes
    run("storage", "sweep", "--minutes", "0")
    assert "may store" in run("files", "put", str(source), "--as", operator.email, code=1).stderr
    assert run("storage", "sweep", "--minutes", "0").stdout == "swept 0\n"


class TestShow:
    def test_in_a_pipe_rows_are_plain_lines(self, capsys: pytest.CaptureFixture[str]) -> None:
        output.show(ROWS, as_json=False)
        assert capsys.readouterr().out == '1\tAna\t{"a":[1]}\t\n2\tRui\t{}\tnow\n'

    @pytest.mark.parametrize(("rows", "words"), [(ROWS, ["name", "Ana", '{"a":[1]}']), ([], ["nothing"])])
    def test_on_a_terminal_rows_are_a_table(
        self, monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]], words: list[str]
    ) -> None:
        screen = Terminal()
        monkeypatch.setattr(sys, "stdout", screen)
        output.show(rows, as_json=False)
        assert all(word in screen.getvalue() for word in words)
        assert len(screen.getvalue().splitlines()) > len(rows) + 2

    @pytest.mark.parametrize("columns", [20, 40, 80])
    def test_no_name_and_no_value_is_cut_off(self, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys, "stdout", screen := Terminal())
        output.show([{"a_long_name": 1, "another_one": 2, "third": "a" * 18}] * 2, as_json=False)
        for whole in ("a_long_name", "another_one", "third", "a" * 18):
            assert whole in screen.getvalue()

    def test_names_come_first_in_a_pipe_where_they_are_needed(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        output.show(ROWS, as_json=False, is_headed=True)
        assert capsys.readouterr().out.splitlines()[0] == "id\tname\tdetail\tended"
        output.show([], as_json=False, is_headed=True)
        assert capsys.readouterr().out == ""

    def test_an_error_of_the_domain_is_its_title_and_detail(self) -> None:
        @click.command()
        @click.argument("detail")
        @output.domain_errors_as_messages
        def command(detail: str) -> None:
            raise Conflict(detail)

        told = CliRunner().invoke(command, ["Because of this."])
        assert (told.exit_code, told.stderr) == (1, f"{Conflict.title}: Because of this.\n")
        assert CliRunner().invoke(command, [""]).stderr == f"{Conflict.title}\n"


def test_a_long_list_of_accounts_is_there_as_a_whole(run_json: Json, admin: Caller) -> None:
    insert_accounts(["same"] * 1_001)
    listed = run_json("accounts", "list")
    assert len({row["id"] for row in listed}) == len(listed) == 1_002


def test_retry_sends_a_hint_after_the_commit(
    app: Flask, run: Run, operator: Caller, adapters: Adapters
) -> None:
    job, hints = a_job(operator, "dead"), NotedHints()
    app.extensions[EXTENSION] = replace(adapters, hints=hints)
    run("jobs", "retry", str(job))
    assert hints.sent == [job]

"""A setting that makes no sense: every command says so in one line, and none shows a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import cli

from src.app import create_app
from src.config import Settings, SettingsError
from tests.conftest import SECRET

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = {
    "DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:1/nothing",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "LOG_DIR": "off",
}


@pytest.fixture(autouse=True)
def settings_of_the_test_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.__dataclass_fields__:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")


def run(*words: str, **env: str) -> Result:
    return CliRunner().invoke(cli, ["--app", "src.app", *words], env=ELSEWHERE | env)


def test_a_missing_secret_is_told_by_every_command(app: Flask) -> None:
    for name in app.cli.commands:
        result = run(name)
        assert result.exit_code == 1, name
        assert result.output.startswith("Stopped: JWT_SECRET is not set"), name
        assert result.output.count("\n") == 1, name


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "http"), ("JWT_SECRET", "short"), ("RATE_LIMIT_DEFAULT", "often")]
)
def test_so_is_what_makes_no_sense(name: str, value: str) -> None:
    """In a process of its own: the last one is found out when the logging is configured already."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "src.app", "files", "list"],
        cwd=ROOT,
        env=os.environ | ELSEWHERE | {"JWT_SECRET": SECRET} | {name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"Stopped: {name} must ")
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)


def test_other_programs_see_the_error_itself() -> None:
    with pytest.raises(SettingsError, match="JWT_SECRET"):
        create_app(Settings(database_url=ELSEWHERE["DATABASE_URL"], redis_url=ELSEWHERE["REDIS_URL"]))

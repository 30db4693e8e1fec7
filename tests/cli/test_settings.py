"""A setting that makes no sense: every command says so in one line, and none shows a traceback."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import cli

from src.app import create_app
from src.config import Settings, SettingsError
from src.wiring import services
from tests.committing import Workshop
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


SENSELESS = pytest.mark.parametrize(
    ("name", "value"), [("PORT", "http"), ("JWT_SECRET", "short"), ("RATE_LIMIT_DEFAULT", "often")]
)
PROGRAMS = {
    "command": ["flask", "--app", "src.app", "files", "list"],
    "web": ["gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket", "src.app:create_web()"],
    "worker": ["celery", "-A", "src.worker", "worker"],
    "scheduler": ["src.scheduler"],
}


def start(words: list[str], **env: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: some things are found out when the logging is configured already."""
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env=os.environ | ELSEWHERE | {"JWT_SECRET": SECRET} | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@SENSELESS
def test_so_is_what_makes_no_sense(name: str, value: str) -> None:
    done = start(PROGRAMS["command"], **{name: value})
    assert done.returncode == 1
    assert done.stderr.startswith(f"Stopped: {name} must ")
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)


@pytest.mark.parametrize("program", ["web", "worker", "scheduler"])
def test_programs_that_are_started_directly_say_so_too(program: str) -> None:
    done = start(PROGRAMS[program], STORAGE_URL="nowhere://bucket")
    said = [line for line in done.stderr.splitlines() if not line.startswith("[")]  # gunicorn's own report
    assert len(said) == 1, done.stderr
    assert said[0].startswith("Stopped: STORAGE_URL must ")
    assert done.returncode == (4 if program == "web" else 1)


@pytest.mark.parametrize("program", ["web", "worker", "scheduler"])
def test_no_program_works_with_another_s_store(program: str, workshop: Workshop) -> None:
    with services() as s:
        s.stores.adopt()
    (Path(workshop.settings.storage_url) / "store-id").write_text(f"{uuid4()}\n")
    mine = workshop.settings
    done = start(PROGRAMS[program], DATABASE_URL=mine.database_url, STORAGE_URL=mine.storage_url)
    said = [line for line in done.stderr.splitlines() if not line.startswith("[")]
    assert len(said) == 1, done.stderr
    assert said[0].startswith("Stopped: The store of files belongs to another database.")
    assert done.returncode == (4 if program == "web" else 1)


def test_other_programs_see_the_error_itself() -> None:
    with pytest.raises(SettingsError, match="JWT_SECRET"):
        create_app(Settings(database_url=ELSEWHERE["DATABASE_URL"], redis_url=ELSEWHERE["REDIS_URL"]))

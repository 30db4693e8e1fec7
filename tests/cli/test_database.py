"""flask db upgrade, on servers without the database, twice, and by twins."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from src.cli.database import LOCK, create_database, keep_admin
from src.config import Settings
from src.database import WEB
from tests.databases import drop, libpq

WAITING = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    """The address of a database that is not there."""
    name = f"{make_url(settings.database_url).database}_made_by_upgrade"
    address = make_url(settings.database_url).set(database=name).render_as_string(hide_password=False)
    drop(address)
    yield address
    drop(address)


def upgrade(url: str, settings: Settings, folder: Path, **env: str) -> subprocess.Popen[str]:
    given = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": url,
        "REDIS_URL": settings.redis_url,
        "JWT_SECRET": settings.jwt_secret,
        "STORAGE_URL": str(folder / "files"),
        "LOG_DIR": "off",
    }
    given |= {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
    command = [sys.executable, "-m", "flask", "--app", "src.app", "db", "upgrade"]
    return subprocess.Popen(
        command, env=given | env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_twins_make_one_database_and_one_administrator(url: str, settings: Settings, tmp_path: Path) -> None:
    twins = [upgrade(url, settings, tmp_path) for _ in range(2)]
    outputs = [twin.communicate(timeout=120) for twin in twins]
    assert [twin.returncode for twin in twins] == [0, 0], outputs
    shown = [match for out, _ in outputs for match in re.findall(r"^password=(\S+)$", out, re.MULTILINE)]
    assert len(shown) == 1
    with psycopg.connect(libpq(url)) as connection:
        assert connection.execute("SELECT email, role FROM account").fetchall() == [
            ("admin@localhost", "admin")
        ]
        newest = max(path.name[:4] for path in (ROOT / "migrations").glob("[0-9]*.py"))
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(newest,)]


def test_a_given_administrator_is_made_and_the_password_not_shown(
    url: str, settings: Settings, tmp_path: Path
) -> None:
    secret = "a password that was given"
    run = upgrade(url, settings, tmp_path, ADMIN_EMAIL="boss@example.org", ADMIN_PASSWORD=secret)
    out, error = run.communicate(timeout=120)
    assert run.returncode == 0, error
    assert "boss@example.org" in out
    assert secret not in out + error


def test_the_kept_password_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "admin.txt"
    path.write_text("of a start that did not get far")
    path.chmod(0o644)
    keep_admin("email=a@b\npassword=x", path)
    assert path.read_text() == "email=a@b\npassword=x\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_password_that_cannot_be_kept_leaves_nothing_half_written(tmp_path: Path) -> None:
    path = tmp_path / "admin.txt"
    path.mkdir()
    with pytest.raises(OSError, match="admin.txt"):
        keep_admin("email=a@b\npassword=x", path)
    assert list(tmp_path.iterdir()) == [path]


def test_who_comes_second_waits_for_the_first_however_long_it_takes(
    url: str, settings: Settings, tmp_path: Path
) -> None:
    create_database(url)
    with psycopg.connect(libpq(url), autocommit=True) as first:
        first.execute(LOCK)
        second = upgrade(url, settings, tmp_path)
        while second.poll() is None and first.execute(WAITING).fetchone() is None:
            time.sleep(0.1)
        time.sleep(WEB.lock_ms / 1000 + 0.5)
        assert second.poll() is None
    out, error = second.communicate(timeout=120)
    assert second.returncode == 0, error
    assert "password=" in out


def test_once_more_changes_nothing_and_tells_nothing(url: str, settings: Settings, tmp_path: Path) -> None:
    for wanted in (True, False):
        run = upgrade(url, settings, tmp_path)
        out, error = run.communicate(timeout=120)
        assert run.returncode == 0, error
        assert ("password=" in out) == wanted


def test_a_server_that_is_away_is_told_in_a_sentence(settings: Settings, tmp_path: Path) -> None:
    run = upgrade("postgresql+psycopg://me:hidden-word@127.0.0.1:1/nothing", settings, tmp_path)
    _, error = run.communicate(timeout=120)
    assert run.returncode == 1
    assert "refused" in error
    assert "Traceback" not in error
    assert "hidden-word" not in error

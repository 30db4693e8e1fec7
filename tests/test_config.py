"""Settings: read from the environment once, checked, and never shown with their secrets."""

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from src.config import GIB, Settings, SettingsError

SECRET = "0123456789abcdef0123456789abcdef"
each = pytest.mark.parametrize


def test_with_nothing_set_a_single_machine_works() -> None:
    settings = Settings.from_env({})
    assert settings.is_embedded
    assert (settings.host, settings.port) == ("127.0.0.1", 7012)
    assert (settings.registration, settings.registration_role) == ("open", "operator")
    assert (settings.max_upload_bytes, settings.quota_bytes) == (2 * GIB, 20 * GIB)


def test_with_a_database_of_ones_own_registration_is_closed_unless_said_otherwise() -> None:
    env = {"DATABASE_URL": "postgresql+psycopg://db/x"}
    assert Settings.from_env(env).registration == "closed"
    assert Settings.from_env(env | {"REGISTRATION": "open"}).registration == "open"
    assert Settings.from_env({"REGISTRATION": "closed"}).registration == "closed"
    assert not Settings.from_env(env).is_embedded


def test_every_kind_of_value_is_read_as_what_it_is() -> None:
    env = {
        "PORT": "7013",
        "RATE_LIMITS": "off",
        "VAR_DIR": "/data/var with spaces",
        "ALLOWED_HOSTS": " a.example, .b.example ,,",
        "JWT_SECRET": SECRET,
        "UNKNOWN_VARIABLE": "ignored",
    }
    settings = Settings.from_env(env)
    assert settings.port == 7013
    assert settings.rate_limits is False
    assert settings.var_dir == Path("/data/var with spaces")
    assert settings.allowed_hosts == ("a.example", ".b.example")
    assert settings.jwt_secret == SECRET


def test_files_lie_below_the_var_folder_unless_said_otherwise() -> None:
    assert Settings.from_env({"VAR_DIR": "/data"}).storage_url == "/data/files"
    both = {"VAR_DIR": "/data", "STORAGE_URL": "s3://bucket/prefix"}
    assert Settings.from_env(both).storage_url == "s3://bucket/prefix"


@each("text", ["on", "ON", "true", "1"])
def test_on_has_several_spellings(text: str) -> None:
    assert Settings.from_env({"RATE_LIMITS": text}).rate_limits is True


def test_an_empty_value_means_the_default() -> None:
    assert Settings.from_env(
        dict.fromkeys((one.name.upper() for one in fields(Settings)), "")
    ) == Settings.from_env({})


@each(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "-1"),
        ("PORT", "65536"),
        ("MAX_READERS", "0"),
        ("WEB_PROCESSES", "0"),
        ("WEB_THREADS", "0"),
        ("WORKER_PROCESSES", "0"),
        ("HEARTBEAT_SECONDS", "0"),
        ("LEASE_SECONDS", "10"),
        ("DATABASE_URL", "indicators"),
        ("DATABASE_URL", "mysql://db/x"),
        ("DATABASE_URL", "postgresql+psycopg://db:port/x"),
        ("REDIS_URL", "127.0.0.1:6379"),
        ("REDIS_URL", "redis://redis:99999/0"),
        ("PORT", "70 12"),
        ("PORT", "²"),
        ("WEB_THREADS", "1.5"),
        ("RATE_LIMITS", "maybe"),
        ("RATE_LIMIT_DEFAULT", "often"),
        ("RATE_LIMIT_EVENTS", "600"),
        ("RATE_LIMIT_LOGIN", "10 per minute, and more"),
        ("RATE_LIMIT_CLIENTS", "-1 per minute"),
        ("JWT_SECRET", "too short"),
        ("JWT_SECRET", "x" * 31),
        ("JWT_SECRET_PREVIOUS", "too short"),
        ("REGISTRATION", "perhaps"),
        ("REGISTRATION_ROLE", "admin"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
        ("BUSINESS_TIME_ZONE", "Mars/Olympus"),
        ("BUSINESS_TIME_ZONE", "../etc/passwd"),
    ],
)
def test_what_makes_no_sense_is_told_by_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({name: value})


def test_an_address_that_makes_no_sense_is_not_shown() -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_env({"REDIS_URL": "http://:hidden-password@redis/0"})
    assert "hidden-password" not in str(raised.value)


@each(
    "url",
    ["postgresql://db/x", "postgresql+psycopg://u:p@[::1]:5432/x", "postgresql+psycopg://u@/x?host=/run"],
)
def test_an_address_may_leave_out_what_has_a_default(url: str) -> None:
    assert Settings.from_env({"DATABASE_URL": url, "REDIS_URL": "unix:///run/redis.sock"}).database_url == url


def test_a_secret_is_measured_in_bytes() -> None:
    assert Settings.from_env({"JWT_SECRET": "ä" * 16}).jwt_secret == "ä" * 16


@each("level", ["debug", "INFO", "Warning"])
def test_levels_may_be_written_in_any_case(level: str) -> None:
    assert Settings.from_env({"LOG_LEVEL": level}).log_level == level


def test_secrets_are_not_shown() -> None:
    env = {
        "JWT_SECRET": SECRET,
        "JWT_SECRET_PREVIOUS": SECRET[::-1],
        "ADMIN_PASSWORD": "hidden-password",
        "DATABASE_URL": "postgresql+psycopg://me:hidden-password@db/x",
        "REDIS_URL": "redis://:hidden-password@redis/0",
    }
    shown = repr(Settings.from_env(env))
    for secret in (SECRET, SECRET[::-1], "hidden-password"):
        assert secret not in shown


def test_nothing_can_change_them_afterwards() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]  # that is the point


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "7099")
    assert Settings.from_env().port == 7099

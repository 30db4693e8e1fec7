"""What the compose stack promises, read from its files; `make smoke` proves it on running containers."""

import json
import re
import stat
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from src.api.short_way import VIEWS
from src.config import Settings
from src.domain.documents import LARGEST

ROOT = Path(__file__).parents[2]
ONE_SHOT = {"migrate"}
# What compose decides itself: where the parts of the stack find each other.
FIXED = {"DATABASE_URL", "REDIS_URL", "VAR_DIR", "LOG_DIR", "HOST", "PORT", "TRUSTED_PROXIES"}
SECRETS = {"JWT_SECRET", "DATABASE_PASSWORD", "DATABASE_ADMIN_PASSWORD", "REDIS_PASSWORD"}


def read(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return loaded


COMPOSE = read("docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
TEXT = (ROOT / "docker-compose.yml").read_text()
LAYERS = (
    "docker-compose.yml",
    "docker-compose.dev.yml",
    "docker/compose.tls.yml",
    "docker/compose.spark.yml",
)
EXAMPLE = (ROOT / ".env.example").read_text()
SETTINGS = {field.name.upper() for field in fields(Settings)}

each_service = pytest.mark.parametrize("name", sorted(SERVICES))


def documented() -> dict[str, str]:
    return dict(re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE, re.MULTILINE))


def used_by_compose() -> set[str]:
    """Every variable that is put into a value, and every one that is handed on as it is."""
    found: set[str] = set()
    for layer in LAYERS:
        text = (ROOT / layer).read_text()
        found |= set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", text))
        for service in read(layer)["services"].values():
            found |= {key for key, value in service.get("environment", {}).items() if value is None}
    return found


def test_only_nginx_is_published() -> None:
    assert [name for name, service in SERVICES.items() if service.get("ports")] == ["nginx"]


def test_the_ports_of_the_driver_of_spark_are_on_an_address_that_has_to_be_named() -> None:
    first, second = read("docker/compose.spark.yml")["services"]["worker"]["ports"]
    assert re.match(r"\$\{ENGINE_ADDRESS:\?[^}]+\}:7078-", first)
    assert second.startswith("${ENGINE_ADDRESS}:7088-")


def test_the_development_ports_are_on_loopback_only() -> None:
    ports = [
        port
        for service in read("docker-compose.dev.yml")["services"].values()
        for port in service.get("ports", [])
    ]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


@each_service
def test_a_service_can_neither_write_its_root_file_system_nor_gain_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "pid", "network_mode"} & service.keys()


@each_service
def test_a_service_has_limits_time_to_stop_and_bounded_logs(name: str) -> None:
    service = SERVICES[name]
    assert service["mem_limit"]
    assert 0 < service["pids_limit"] <= 256
    assert service["stop_grace_period"] == "90s"
    assert service["logging"]["options"]["max-size"]


@each_service
def test_a_service_that_stays_has_a_health_check_and_comes_back(name: str) -> None:
    service = SERVICES[name]
    if name in ONE_SHOT:
        assert service["healthcheck"] == {"disable": True}
        assert service["restart"] == "no"
    else:
        assert service["healthcheck"]["test"]
        assert service["healthcheck"]["interval"]
        assert service["restart"] == "unless-stopped"


@each_service
def test_a_service_waits_for_a_condition_of_those_it_needs(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        wanted = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
        assert how["condition"] == wanted


@pytest.mark.parametrize(
    "path", ["docker/Dockerfile", "docker/nginx/Dockerfile", "docker/database/Dockerfile"]
)
def test_an_image_ends_as_a_user_that_is_not_root(path: str) -> None:
    for stage in re.split(r"^FROM ", (ROOT / path).read_text(), flags=re.MULTILINE)[1:]:
        users = re.findall(r"^USER (\S+)", stage, re.MULTILINE)
        if "ENTRYPOINT" in stage or re.search(r"^CMD", stage, re.MULTILINE):
            assert users
            assert users[-1].split(":")[0] not in ("root", "0")


def test_redis_does_not_run_as_root() -> None:
    assert SERVICES["redis"]["user"] == "999:999"


def test_databases_are_on_a_network_without_a_way_out_and_nginx_cannot_reach_them() -> None:
    assert COMPOSE["networks"]["back"]["internal"] is True
    assert SERVICES["database"]["networks"] == SERVICES["redis"]["networks"] == ["back"]
    assert SERVICES["nginx"]["networks"] == ["front"]


def test_nginx_and_the_service_have_the_same_limit_for_uploads() -> None:
    limit = Settings().max_upload_bytes
    for name in ("nginx", "web"):
        assert SERVICES[name]["environment"]["MAX_UPLOAD_BYTES"] == f"${{MAX_UPLOAD_BYTES:-{limit}}}"
    start = (ROOT / "docker/nginx/start").read_text()
    assert f'"${{MAX_UPLOAD_BYTES:={limit}}}"' in start
    assert "client_max_body_size $MAX_UPLOAD_BYTES;" in start
    assert documented()["MAX_UPLOAD_BYTES"] == str(limit)


def location_of(path: str) -> str:
    """What nginx does with an address: the first pattern that fits decides."""
    found = re.findall(r'location ~ "(.+)" \{([^}]+)\}', (ROOT / "nginx.conf").read_text())
    return next((block for pattern, block in found if re.search(pattern, path)), "")


def test_nginx_counts_events_apart_whichever_of_their_addresses_they_come_to() -> None:
    maps = re.findall(r"map \$uri \$(\w+) \{([^}]+)\}", (ROOT / "nginx.conf").read_text())
    for name, text in maps:
        (pattern,) = re.findall(r'"~(.+)"\s', text)
        found = {path for path in (*VIEWS, "/events", "/api/v1/clients") if re.search(pattern, path)}
        assert found == {*VIEWS}, name
    assert [name for name, _ in maps] == ["edge_address", "event_address"]


def test_whatever_takes_files_may_send_much_through_nginx() -> None:
    takes_files = {
        re.sub(r"\{\w+\}", "1", path)
        for path, methods in json.loads((ROOT / "docs/openapi.json").read_text())["paths"].items()
        if "multipart/form-data" in methods.get("post", {}).get("requestBody", {}).get("content", {})
    }
    small = {path for path in takes_files if path.startswith("/api/v1/rules")}
    assert LARGEST < 10 * 1024**2
    assert len(takes_files - small) > 5
    assert [path for path in takes_files - small if "upload.conf" not in location_of(path)] == []
    assert location_of("/api/v1/auth/login") == ""


def test_files_reach_clients_uncompressed_so_that_their_ranges_fit() -> None:
    for path in ("/api/v1/files/1/content", "/api/v1/downloads/abc.def"):
        assert "gzip off" in location_of(path)
    assert "gzip off" not in location_of("/api/v1/files/1")


def test_no_secret_has_a_default_anywhere() -> None:
    for secret in SECRETS:
        uses = re.findall(rf"\$\{{{secret}([^}}]*)\}}", TEXT)
        assert uses
        assert all(use.startswith(":?") for use in uses)
        assert documented()[secret] == ""
    for layer in LAYERS:
        assert not re.search(r"(?i)password: *['\"]?[a-z0-9]", (ROOT / layer).read_text())


def test_the_example_documents_every_setting_and_every_variable_of_compose() -> None:
    assert SETTINGS | used_by_compose() <= documented().keys()


def test_the_example_documents_nothing_that_is_not_used() -> None:
    assert documented().keys() <= SETTINGS | used_by_compose()


def test_the_example_names_the_true_defaults() -> None:
    plain = {
        field.name.upper(): field.default
        for field in fields(Settings)
        if isinstance(field.default, int | str)
    }
    shown = {name: value for name, value in documented().items() if name in plain and value}
    differing = {"STORAGE_URL", "REGISTRATION"} & shown.keys()
    for name in shown.keys() - differing:
        default = plain[name]
        expected = {True: "on", False: "off"}[default] if isinstance(default, bool) else str(default)
        assert shown[name] == expected, name


@pytest.mark.parametrize("name", ["web", "worker", "scheduler", "migrate"])
def test_every_setting_reaches_the_service(name: str) -> None:
    given = SERVICES[name]["environment"].keys()
    for_migrate_only = {"ADMIN_EMAIL", "ADMIN_PASSWORD"}
    assert SETTINGS - for_migrate_only <= given
    assert (for_migrate_only <= given) == (name == "migrate")


def test_what_compose_fixes_cannot_be_set_from_outside() -> None:
    environment = SERVICES["web"]["environment"]
    for name in FIXED:
        assert environment[name]
        assert f"${{{name}" not in TEXT


def test_registration_is_closed_unless_someone_opens_it() -> None:
    assert SERVICES["web"]["environment"]["REGISTRATION"] == "${REGISTRATION:-closed}"
    assert documented()["REGISTRATION"] == "closed"


def make_env(path: Path) -> str:
    subprocess.run([ROOT / "docker/env", path], check=True, capture_output=True)
    return path.read_text()


def test_make_env_fills_in_secrets_that_nobody_else_has_and_can_read(tmp_path: Path) -> None:
    one, two = make_env(tmp_path / "one"), make_env(tmp_path / "two")
    secrets = [dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)) for text in (one, two)]
    values = [made[name] for made in secrets for name in SECRETS]
    assert all(re.fullmatch(r"[0-9a-f]{64}", value) for value in values)
    assert len(set(values)) == 2 * len(SECRETS)
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_make_env_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    first = make_env(path)
    assert make_env(path) == first


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALLOWED_HOSTS", "a.example; include /etc/passwd"),
        ("TRUSTED_PROXY_RANGES", "10.0.0.0/8;\n}"),
        ("MAX_UPLOAD_BYTES", "2g"),
        ("EDGE_RATE", "-1"),
        ("HTTPS_PORT", "443;"),
    ],
)
def test_nginx_refuses_a_value_that_would_become_configuration(name: str, value: str) -> None:
    ended = subprocess.run(
        ["sh", ROOT / "docker/nginx/start"],
        check=False,
        env={name: value, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert name in ended.stderr


def test_images_are_built_from_named_files_only() -> None:
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert rules[0] == "*"
    kept = {rule.removeprefix("!").strip("/") for rule in rules if rule.startswith("!")}
    assert not kept & {".env", ".git", "backups", "certs", "data", "logs", "var"}

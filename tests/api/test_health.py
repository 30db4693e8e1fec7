"""Alive, ready, and in figures."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, text

from src.config import Settings
from src.database import COMMAND, Database, make_engine
from src.integrations.storage_disk import DiskStorage
from src.queue import HintQueue
from src.wiring import Services
from tests.api.conftest import Change
from tests.api.nouns import a_file, a_job
from tests.factories.accounts import Caller

NOWHERE = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
REDIS_NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def without_database(change: Change) -> Iterator[None]:
    engine = make_engine(NOWHERE, COMMAND)
    change(database=Database(engine))
    yield
    engine.dispose()


@pytest.fixture
def without_redis(change: Change) -> None:
    change(hints=HintQueue(REDIS_NOWHERE))


class TestAlive:
    def test_it_is_alive_whatever_else_is_away(
        self, client: FlaskClient, without_database: None, without_redis: None
    ) -> None:
        answer = client.get("/livez")
        assert (answer.status_code, answer.json) == (200, {"status": "alive"})


class TestWhileAReleaseIsRolledOut:
    """The next release has taken a table away that this one reads."""

    @pytest.fixture(autouse=True)
    def next_release(self, connection: Connection) -> None:
        connection.execute(text("ALTER TABLE polo RENAME TO next_polo"))

    def test_what_the_schema_lacks_is_to_be_asked_for_later(
        self, client: FlaskClient, connection: Connection, admin: Caller
    ) -> None:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        answer = client.get("/api/v1/polos", headers=admin.headers)
        assert (answer.status_code, answer.json["type"]) == (503, "/problems/other-release")
        assert "['9999']" in answer.json["detail"]

    def test_with_the_schema_of_this_release_it_is_a_fault_of_ours(
        self, client: FlaskClient, admin: Caller
    ) -> None:
        answer = client.get("/api/v1/polos", headers=admin.headers)
        assert (answer.status_code, answer.json["type"]) == (500, "/problems/internal-error")

    def test_in_a_session_or_not(self, client: FlaskClient, connection: Connection, admin: Caller) -> None:
        """The short way of events writes its statements by hand."""
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text("ALTER TABLE event RENAME TO next_event"))
        sent = {"type": "deposit", "amount": "1.00", "user_id": 1, "t": 1}
        answer = client.post("/api/v1/events", json=sent, headers=admin.headers)
        assert (answer.status_code, answer.json["type"]) == (503, "/problems/other-release")


class TestReady:
    def test_with_everything_in_order(self, client: FlaskClient) -> None:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json) == (200, {"status": "ready", "redis": "ok"})

    def test_without_redis_it_is_ready_but_degraded(self, client: FlaskClient, without_redis: None) -> None:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json) == (200, {"status": "degraded", "redis": "away"})

    def test_without_database_it_is_not(self, client: FlaskClient, without_database: None) -> None:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json["type"]) == (503, "/problems/not-ready")
        assert list(answer.json["parts"]) == ["database"]
        assert answer.headers["Retry-After"] == "5"

    def test_with_migrations_behind_it_is_not_and_names_both_revisions(
        self, client: FlaskClient, connection: Connection
    ) -> None:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert "['0000']" in answer.json["parts"]["migrations"]

    def test_on_an_empty_database_it_is_not(self, client: FlaskClient, connection: Connection) -> None:
        connection.execute(text("DROP TABLE alembic_version"))
        answer = client.get("/readyz")
        assert (answer.status_code, list(answer.json["parts"])) == (503, ["migrations"])

    def test_with_another_database_s_store_it_is_not(self, client: FlaskClient, services: Services) -> None:
        services.stores.adopt()
        services.session.execute(text("UPDATE store SET id = gen_random_uuid()"))
        services.session.flush()
        answer = client.get("/readyz")
        assert (answer.status_code, list(answer.json["parts"])) == (503, ["store"])

    def test_without_room_on_the_disk_it_is_not(self, client: FlaskClient, change: Change) -> None:
        change(disk_reserve_bytes=2**62)
        answer = client.get("/readyz")
        assert answer.json["parts"] == {"disk": "less free space than the reserve"}

    def test_without_room_in_the_store_it_is_not(
        self, client: FlaskClient, change: Change, settings: Settings
    ) -> None:
        change(storage=DiskStorage(settings.var_dir / "full", reserve_bytes=2**62))
        assert list(client.get("/readyz").json["parts"]) == ["disk"]

    def test_a_var_folder_that_is_not_made_yet_is_no_fault(
        self, client: FlaskClient, change: Change, settings: Settings
    ) -> None:
        change(var_dir=settings.var_dir / "not" / "yet")
        assert client.get("/readyz").status_code == 200

    def test_a_database_that_takes_too_long_is_away(
        self, app: Flask, client: FlaskClient, settings: Settings
    ) -> None:
        address = settings.database_url.replace("postgresql+psycopg://", "postgresql://", 1)
        with psycopg.connect(address) as other:
            other.execute("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
            answer = client.get("/readyz")
        assert (answer.status_code, list(answer.json["parts"])) == (503, ["database"])


class TestMetrics:
    def metrics(self, client: FlaskClient) -> dict[tuple[str, ...], float]:
        answer = client.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/plain")
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    def test_jobs_by_kind_and_state_and_the_longest_wait(self, client: FlaskClient, operator: Caller) -> None:
        a_job(operator)
        a_job(operator, "dead", kind="housekeeping")
        found = self.metrics(client)
        assert found["indicators_jobs", "profile", "queued"] == 1
        assert found["indicators_jobs", "housekeeping", "dead"] == 1
        assert found["indicators_job_oldest_wait_seconds",] > 0
        assert found["indicators_database_up",] == 1
        assert found["indicators_processes", "worker"] == 0
        assert found["indicators_hints_waiting",] >= 0

    def test_requests_are_counted_by_route_never_by_path(self, client: FlaskClient, operator: Caller) -> None:
        name = "indicators_http_request_seconds_count"
        key = (name, "GET", "/api/v1/files/<uuid:file_id>", "200")
        before = self.metrics(client).get(key, 0)
        operator.get(f"/api/v1/files/{a_file(operator)['id']}")
        assert self.metrics(client)[key] == before + 1

    def test_strange_paths_and_methods_make_no_new_figures(self, client: FlaskClient) -> None:
        for number in range(3):
            client.open(f"/strange/{number}", method=f"STRANGE{number}")
        labels = {part for key in self.metrics(client) for part in key}
        assert not [label for label in labels if "strange" in label.lower()]
        assert {"other", "none"} <= labels

    def test_without_database_and_redis_there_are_still_figures(
        self, client: FlaskClient, without_database: None, without_redis: None
    ) -> None:
        found = self.metrics(client)
        assert found["indicators_database_up",] == 0
        assert found["indicators_hints_waiting",] == -1
        assert ("indicators_jobs",) not in {key[:1] for key in found}

    def test_several_processes_add_up(
        self, client: FlaskClient, change: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        change(web_processes=2)
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
        found = self.metrics(client)
        assert found["indicators_database_up",] == 1
        assert "indicators_http_request_seconds_count" not in {key[0] for key in found}, (
            "this process writes none"
        )


def test_a_connection_refused_is_503_with_the_time_to_wait(
    client: FlaskClient, operator: Caller, without_database: None
) -> None:
    answer = operator.get("/api/v1/files")
    assert (answer.status_code, answer.json["type"]) == (503, "/problems/database-unavailable")
    assert answer.headers["Retry-After"] == "2"
    assert "nobody" not in answer.text, "it does not tell how it connects"


def test_work_is_taken_in_while_redis_is_away(operator: Caller, without_redis: None) -> None:
    answer = operator.post(f"/api/v1/files/{a_file(operator)['id']}/profile")
    assert (answer.status_code, answer.json["state"]) == (202, "queued")


def test_replaced_settings_do_not_outlive_a_test(settings: Settings) -> None:
    assert replace(settings) == settings
    assert settings.disk_reserve_bytes == 0

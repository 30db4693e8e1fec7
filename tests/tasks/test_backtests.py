"""Backtests: set-wise over history, they find what the plain model finds; and say what would change."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from src.domain.jobs import JobState
from src.domain.roles import Actor
from src.integrations.storage import Storage
from src.models import AlertRule, Job
from src.services import backtests
from src.services.backtests import Wanted
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import EXTENSION, adapters, services
from tests.committing import Workshop
from tests.domain.alerts.making import SHIPPED
from tests.domain.alerts.model import Past
from tests.factories.alert_rules import an_alert_rule
from tests.factories.clients import a_client
from tests.factories.files import Files
from tests.factories.histories import hits_of, random_histories, store

WAITING = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND state = 'idle in transaction' AND application_name <> 'indicators-heartbeat'"""


@pytest.fixture
def by(app: Flask) -> Actor:
    return Files(app).owner()


@pytest.fixture
def clients(app: Flask) -> dict[int, str]:
    return five_clients()


def five_clients() -> dict[int, str]:
    return {client.id: client.external_id for client in (a_client() for _ in range(5))}


def backtested(rule: AlertRule, by: Actor, **wanted: Any) -> Job:
    """The job of a backtest, run to its end."""
    with services() as s:
        job = s.backtests.start(rule, Wanted(**wanted), by)
    assert run_job(job.id, HANDLERS) is JobState.DONE
    with services() as s:
        return s.job_rows.get(job.id)


def filed(job: Job) -> list[dict[str, str]]:
    """The rows of the file of hits."""
    with services() as s:
        file = s.file_rows.get(job.result["output_file_id"])
    with adapters().storage.local_path(file.storage_key) as path:
        return list(csv.DictReader(io.StringIO(Path(path).read_text(encoding="utf-8"))))


def test_a_draft_is_held_against_the_live_version(app: Flask, by: Actor, clients: dict[int, str]) -> None:
    histories = random_histories(9, list(clients), 300)
    with services() as s:
        store(s.session, histories)
    live = {"kind": "threshold", "asked_on": "withdraw", "parameters": {"amount": "100.00"}}
    draft = {"kind": "window_sum", "asked_on": "any", "parameters": {"window": 10, "amount": "250.00"}}
    job = backtested(an_alert_rule(by, **live), by, draft=draft)
    new, old = hits_of(draft, histories, clients), hits_of(live, histories, clients)
    result = job.result
    assert (result["added"], result["removed"], result["kept"]) == (
        len(new - old),
        len(old - new),
        len(new & old),
    )
    assert (result["version"], result["live_version"]) == (None, 1)
    rows = {(row["change"], row["client_id"], int(row["t"])) for row in filed(job)}
    assert rows == {
        *(("added", *row) for row in new - old),
        *(("removed", *row) for row in old - new),
        *(("kept", *row) for row in new & old),
    }
    assert {one["change"] for one in result["sample"]} == {"added", "removed", "kept"}


def test_an_old_version_is_held_against_the_one_that_was_live_when_the_test_was_wanted(
    app: Flask, by: Actor, clients: dict[int, str]
) -> None:
    client = next(iter(clients))
    with services() as s:
        store(s.session, {client: [Past(t, t, "deposit", t * 1_000) for t in range(1, 31)]})
    rule = an_alert_rule(by, kind="threshold", asked_on="deposit", parameters={"amount": "100.00"})
    for amount in ("150.00", "200.00"):
        with services() as s:
            found = s.alert_rule_rows.get_current(rule.id, is_locked=True)
            version = {
                "kind": "threshold",
                "asked_on": "deposit",
                "parameters": {"amount": amount},
                "note": None,
            }
            rule = s.alert_rules.add_version(found, version, by)
    result = backtested(rule, by, version=1).result
    assert (result["version"], result["live_version"], result["hits"]) == (1, 3, 20)
    assert (result["added"], result["removed"], result["kept"]) == (10, 0, 10)


def test_it_goes_client_by_client_in_slices_and_shows_how_far_it_is(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Committed, as the lease tells of the progress through a connection of its own."""
    by, clients = workshop.files.owner(), five_clients()
    monkeypatch.setattr(backtests, "CLIENTS_AT_ONCE", 2)
    histories = random_histories(2, list(clients), 100)
    with services() as s:
        store(s.session, histories)
    document = SHIPPED[0]
    job = backtested(an_alert_rule(by, **{**document, "code": 7}), by)
    assert {(row["client_id"], int(row["t"])) for row in filed(job)} == hits_of(document, histories, clients)
    assert job.progress["unit"] == "clients"
    assert job.progress["done"] == job.progress["total"] == 5


def test_without_any_event_nothing_is_found(app: Flask, by: Actor) -> None:
    job = backtested(an_alert_rule(by), by)
    assert (job.result["events"], job.result["hits"], job.result["sample"], filed(job)) == (0, 0, [], [])


class Watched:
    """A store that looks around whenever something is about to be stored."""

    def __init__(self, storage: Storage, look: Callable[[], None]) -> None:
        self.storage = storage
        self.look = look

    def __getattr__(self, name: str) -> Any:
        return getattr(self.storage, name)

    def create(self, key: str) -> Any:
        self.look()
        return self.storage.create(key)


def test_no_transaction_waits_while_the_hits_are_stored(workshop: Workshop) -> None:
    by, others, waiting = workshop.files.owner(), workshop.another_database(), []

    def look() -> None:
        with others.unit_of_work() as session:
            waiting.append(session.scalars(text(WAITING)).one())

    storage: Any = Watched(workshop.adapters.storage, look)
    workshop.app.extensions[EXTENSION] = replace(workshop.adapters, storage=storage)
    backtested(an_alert_rule(by), by)
    assert waiting == [0]


def test_it_writes_no_alert_and_the_file_is_of_who_wanted_it(
    app: Flask, by: Actor, clients: dict[int, str]
) -> None:
    with services() as s:
        store(s.session, random_histories(5, list(clients), 50))
    job = backtested(an_alert_rule(by), by)
    with services() as s:
        assert s.session.query(Job).filter_by(kind="backtest").count() == 1
        file = s.file_rows.get(job.result["output_file_id"])
        assert (file.owner_id, file.kind, file.media_type) == (by.account_id, "produced", "text/csv")
        assert [column["name"] for column in file.detected["columns"]] == [
            "change",
            "client_id",
            "t",
            "type",
            "amount",
        ]

"""Things that belong to a caller: a file, a job, an API key."""

from io import BytesIO
from typing import Any
from uuid import UUID

from sqlalchemy import update

from src.domain.deliveries import Channel, Target
from src.models import Job
from src.wiring import services
from tests.factories.accounts import Caller

CSV = b"id,name,amount\n1,Ana,10.50\n2,Bruno,3.25\n"
CLIENTS = b"client_id,name,email,date_of_birth\nc1,Ana,ana@example.org,1980-01-31\n"
FILES, JOBS, KEYS, ACCOUNTS = "/api/v1/files", "/api/v1/jobs", "/api/v1/api-keys", "/api/v1/accounts"
IMPORTS, SCHEDULES = "/api/v1/imports", "/api/v1/schedules"


def a_file(caller: Caller, content: bytes = CSV, name: str = "people.csv") -> dict[str, Any]:
    """An uploaded file."""
    answer = caller.post(FILES, query_string={"filename": name}, data=content)
    assert answer.status_code == 201, answer.text
    return dict(answer.json or {})


def a_job(owner: Caller | None, state: str = "queued", *, kind: str = "profile", **members: Any) -> UUID:
    """A job in some state; a running one is held by nobody."""
    with services() as s:
        job = s.jobs.enqueue(kind, {"n": 1}, owner_id=owner.id if owner else None)
        s.session.execute(update(Job).where(Job.id == job.id).values(state=state, **members))
        return job.id


def an_import(caller: Caller) -> dict[str, Any]:
    """A draft of an import."""
    form = {"file": (BytesIO(CLIENTS), "clients.csv"), "dataset": "clients"}
    answer = caller.post(f"{IMPORTS}?draft=true", data=form)
    assert answer.status_code == 201, answer.text
    return dict(answer.json or {})


def a_rules(caller: Caller) -> dict[str, Any]:
    """Rules with one output."""
    answer = caller.post("/api/v1/rules", json=[{"output": "who", "formula": "upper(name)"}])
    assert answer.status_code == 201, answer.text
    return dict(answer.json or {})


def a_report(caller: Caller) -> dict[str, Any]:
    """A report whose job waits."""
    body = {"input_file_id": a_file(caller)["id"], "rules": [{"output": "who", "formula": "name"}]}
    answer = caller.post("/api/v1/reports", json=body)
    assert answer.status_code == 202, answer.text
    return dict(answer.json or {})


def a_delivery(owner: Caller) -> UUID:
    """Something in the outbox, waiting."""
    with services() as s:
        target = Target(Channel.WEBHOOK, "https://hooks.example.org/")
        row = s.deliveries.queue(target, "test", {"n": 1}, owner_id=owner.id)
        return s.delivery_rows.add(row).id


def a_schedule(caller: Caller, **members: Any) -> dict[str, Any]:
    """A schedule that profiles the newest sales each morning."""
    body = {"cron": "30 8 * * *", "profile": {}, "input": {"latest": "sales-*.csv"}} | members
    answer = caller.post(SCHEDULES, json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json or {})


def an_operation(caller: Caller) -> dict[str, Any]:
    """An operation whose job waits."""
    answer = caller.post("/api/v1/operations", json={"file_id": a_file(caller)["id"], "operation": "dedup"})
    assert answer.status_code == 202, answer.text
    return dict(answer.json or {})


def a_recipe(caller: Caller, steps: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A recipe; unless it has other steps, it takes double rows out."""
    body = {"name": "Without doubles", "steps": steps or [{"operation": "dedup"}]}
    answer = caller.post("/api/v1/recipes", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json or {})


def an_api_key(caller: Caller, *scopes: str, **members: Any) -> dict[str, Any]:
    """A key with its secret."""
    body = {"name": "machine", "scopes": list(scopes or ("files:read",))} | members
    answer = caller.post(KEYS, json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json or {})


def an_alert_subscription(caller: Caller) -> dict[str, Any]:
    """A subscription of all alerts, by webhook."""
    assert caller.post("/api/v1/deliveries/secret").status_code == 201
    answer = caller.post("/api/v1/alert-subscriptions", json={"webhook": "https://hooks.example.org/alerts"})
    assert answer.status_code == 201, answer.text
    return dict(answer.json or {})

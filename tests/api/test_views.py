"""Views: shown with their refreshes, and refreshed when an administrator asks for it."""

import pytest
from sqlalchemy import text

from src.domain.jobs import JobState
from src.services.views import KIND
from src.wiring import services
from tests.factories.accounts import Caller

VIEWS = "/api/v1/views"
STATISTICS = f"{VIEWS}/transaction_statistics"


def test_each_view_tells_how_fresh_it_is(viewer: Caller) -> None:
    (view,) = viewer.get(VIEWS).json["data"]
    assert (view["name"], view["rows"]) == ("transaction_statistics", 0)
    assert (view["is_running"], view["waiting"], view["last_error"]) == (False, 0, None)
    assert view["as_of"] <= view["refreshed_at"]
    assert view["duration"] >= 0


def test_a_refresh_is_a_job_of_the_administrator_that_asked(admin: Caller) -> None:
    answer = admin.post(f"{STATISTICS}/refresh")
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/v1/jobs/{answer.json['id']}"
    assert (answer.json["kind"], answer.json["owner_id"]) == (KIND, str(admin.id))
    assert answer.json["state"] == JobState.QUEUED
    (view,) = admin.get(VIEWS).json["data"]
    assert view["waiting"] == 1
    newest = admin.get(f"{STATISTICS}/refreshes").json["data"][0]
    assert (newest["job_id"], newest["requested_by"]) == (answer.json["id"], str(admin.id))
    assert (newest["started_at"], newest["duration"]) == (None, None)


def test_asking_twice_while_one_waits_gives_the_same_job(admin: Caller) -> None:
    first, second = (admin.post(f"{STATISTICS}/refresh").json["id"] for _ in range(2))
    assert first == second


def test_the_same_key_gets_the_same_answer(admin: Caller) -> None:
    headers = {"Idempotency-Key": "once"}
    first = admin.post(f"{STATISTICS}/refresh", headers=headers)
    with services() as s:
        s.session.execute(text("UPDATE view_refresh SET started_at = now(), finished_at = now()"))
    again = admin.post(f"{STATISTICS}/refresh", headers=headers)
    assert again.json == first.json
    assert again.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("name", ["unknown", "pg_class", "transaction_statistics; DROP TABLE job"])
def test_an_unknown_view_is_404(admin: Caller, name: str) -> None:
    for answer in (admin.post(f"{VIEWS}/{name}/refresh"), admin.get(f"{VIEWS}/{name}/refreshes")):
        assert (answer.status_code, answer.json["type"]) == (404, "/problems/view-not-found")


def test_an_operator_may_look_but_not_refresh(operator: Caller) -> None:
    assert operator.post(f"{STATISTICS}/refresh").status_code == 403
    assert len(operator.get(f"{STATISTICS}/refreshes").json["data"]) == 1


def test_it_is_in_the_metrics(admin: Caller) -> None:
    admin.post(f"{STATISTICS}/refresh")
    lines = admin.get("/metrics").text.splitlines()
    told = {line.split("{")[0]: float(line.split()[-1]) for line in lines if 'view="' in line}
    assert told["indicators_view_refreshes_waiting"] == 1
    assert told["indicators_view_age_seconds"] >= told["indicators_view_refresh_seconds"] >= 0

"""Reports by the clock: from files that come along or are there, by rules that stay, the last few kept."""

import json
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import text, update

from src.domain.deliveries import DeliveryState
from src.models import Delivery, Schedule
from src.wiring import services
from tests.api.nouns import SCHEDULES, a_file
from tests.committing import Workshop, own_settings, workshop
from tests.factories.accounts import Caller
from tests.factories.workers import run_all

__all__ = ["own_settings", "workshop"]
RULES = [{"output": "total", "formula": "price * count"}]
SALES = b"price,count\n1.10,3\n2,5\n"


@pytest.fixture
def caller(workshop: Workshop) -> Caller:
    return workshop.accounts.caller()


def rules(caller: Caller) -> str:
    answer = caller.post("/api/v1/rules", json=RULES)
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])


def schedule(caller: Caller, **members: Any) -> Any:
    body = {"cron": "30 8 * * *", "report": {"rules_id": rules(caller)}, "input": {"latest": "sales-*.csv"}}
    return caller.post(SCHEDULES, json=body | members)


def fire(schedule_id: str) -> None:
    """As if it were due now."""
    with services() as s:
        now = text("clock_timestamp()")
        s.session.execute(update(Schedule).where(Schedule.id == schedule_id).values(next_due=now))
    with services() as s:
        s.schedules.fire(s.schedule_rows.get(schedule_id).id)
    run_all()


def content(caller: Caller, report: str) -> str:
    return caller.get(f"{report}/download").text


def test_a_due_report_is_made_of_the_newest_file(caller: Caller) -> None:
    made = schedule(caller, name="sales").json
    assert ("report" in made, len(made["next_due_times"])) == (True, 5)
    a_file(caller, b"price,count\n9,9\n", "sales-1.csv")
    a_file(caller, SALES, "sales-2.csv")
    fire(made["id"])
    (run,) = caller.get(f"{SCHEDULES}/{made['id']}/runs").json["data"]
    assert (run["state"], run["job_state"]) == ("started", "done")
    assert content(caller, run["result"]["report"]) == "total\r\n3.3\r\n10\r\n".replace("\r\n", "\n")


def test_files_and_rules_come_along_in_a_form(caller: Caller) -> None:
    form = {
        "input_file": (BytesIO(SALES), "sales.csv"),
        "rules_file": (BytesIO(json.dumps(RULES).encode()), "totals.json"),
        "cron": "0 7 * * MON",
        "timezone": "America/Sao_Paulo",
        "report_name": "totals of the week",
    }
    answer = caller.post(SCHEDULES, data=form)
    assert answer.status_code == 201, answer.text
    assert answer.json["name"] == "totals of the week"
    assert answer.json["next_due_times"][0].endswith("T10:00:00+00:00")
    assert [row["name"] for row in caller.get("/api/v1/rules").json["data"]] == ["totals"]
    started = caller.post(f"{SCHEDULES}/{answer.json['id']}/run")
    assert started.status_code == 202, started.text
    run_all()
    assert "3.3" in content(caller, started.json["result"]["report"])


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"rules_file": None}, "/rules_file"),
        ({"input_file": None}, "/input_file"),
        ({"cron": "61 * * * *"}, "/cron"),
        ({"cron": None}, "/cron"),
        ({"timezone": "Mars"}, "/timezone"),
        ({"notify": "{}"}, "/notify"),
        ({"keep": "0"}, "/keep"),
    ],
)
def test_a_form_that_lacks_something_keeps_nothing(
    caller: Caller, changes: dict[str, Any], pointer: str
) -> None:
    form = {
        "input_file": (BytesIO(SALES), "sales.csv"),
        "rules_file": (BytesIO(json.dumps(RULES).encode()), "totals.json"),
        "cron": "0 7 * * *",
    } | changes
    answer = caller.post(SCHEDULES, data={name: value for name, value in form.items() if value is not None})
    assert answer.status_code == 400
    assert answer.json["errors"][0]["pointer"] == pointer
    for place in ("files", "rules", "schedules"):
        assert caller.get(f"/api/v1/{place}").json["data"] == []


@pytest.mark.parametrize(
    ("report", "status"),
    [
        ({}, 400),
        ({"rules_id": "01a1fbb9-d3d2-716b-bf41-df3a54a91899"}, 404),
        ({"rules": RULES, "reference_file_id": "01a1fbb9-d3d2-716b-bf41-df3a54a91899"}, 404),
        ({"rules": [{"output": "a", "formula": "1 +"}]}, 400),
        ({"rules": RULES, "format": "doc"}, 400),
        ({"rules": RULES, "parameters": {"unknown": "1"}}, 400),
    ],
)
def test_what_cannot_be_made_is_said_when_the_schedule_is(
    caller: Caller, report: dict[str, Any], status: int
) -> None:
    assert schedule(caller, report=report).status_code == status


def test_rules_that_a_schedule_uses_stay(caller: Caller) -> None:
    made = schedule(caller).json
    used = made["report"]["rules_id"]
    assert caller.delete(f"/api/v1/rules/{used}").status_code == 409
    other = rules(caller)
    changed = caller.patch(f"{SCHEDULES}/{made['id']}", json={"report": {"rules_id": other}})
    assert changed.json["report"]["rules_id"] == other
    assert caller.delete(f"/api/v1/rules/{used}").status_code == 204
    assert caller.delete(f"{SCHEDULES}/{made['id']}").status_code == 204
    assert caller.delete(f"/api/v1/rules/{other}").status_code == 204


def test_the_last_reports_are_kept_and_older_ones_go_with_their_files(caller: Caller) -> None:
    a_file(caller, SALES, "sales-1.csv")
    made = schedule(caller, keep=2).json
    path = f"{SCHEDULES}/{made['id']}"
    for _ in range(4):
        assert caller.post(f"{path}/run").status_code == 202
        run_all()
    fire(made["id"])
    with services() as s:
        s.schedules.fire(s.schedule_rows.get(made["id"]).id)
    runs = caller.get(f"{path}/runs").json["data"]
    answers = [caller.get(run["result"]["report"]).status_code for run in runs]
    assert answers == [200, 200, 404, 404, 404]
    assert len(caller.get("/api/v1/files?kind=produced").json["data"]) == 2


def test_the_report_is_what_is_delivered(workshop: Workshop, caller: Caller) -> None:
    a_file(caller, SALES, "sales-1.csv")
    caller.post("/api/v1/deliveries/secret")
    made = schedule(caller, notify={"webhook": "https://hooks.example.org/"}).json
    caller.post(f"{SCHEDULES}/{made['id']}/run")
    run_all()
    with services() as s:
        s.deliveries.release()
        row = s.session.query(Delivery).one()
        assert row.state == DeliveryState.SENDING
        file = s.file_rows.get(row.file_id)
    assert file.kind == "produced"
    assert file.name.endswith(".csv")

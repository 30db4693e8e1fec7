"""Schedules over HTTP: made, shown with their due times, changed, paused, run by hand, deleted."""

from datetime import UTC, datetime
from typing import Any

import pytest

from src.api.schemas.notify import NOTIFY_SCHEMA, as_given
from src.wiring import services
from tests.api.nouns import SCHEDULES, a_file, a_schedule
from tests.factories.accounts import Caller

each = pytest.mark.parametrize


def named(caller: Caller, name: str) -> str:
    return str(a_file(caller, name=name)["id"])


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json["errors"]]


def test_it_is_answered_with_its_next_five_due_times(operator: Caller) -> None:
    made = a_schedule(operator, cron="30 8 * * MON-FRI", timezone="America/Sao_Paulo", name="sales")
    due = [datetime.fromisoformat(text) for text in made["next_due_times"]]
    assert len(due) == 5
    assert all((moment.hour, moment.minute) == (11, 30) for moment in due)
    assert all(moment.weekday() < 5 for moment in due)
    assert datetime.now(UTC) < due[0] == datetime.fromisoformat(made["next_due"])
    shown = operator.get(f"{SCHEDULES}/{made['id']}")
    assert shown.json == made
    assert (made["misfire"], made["overlap"], made["keep"]) == ("latest", "skip", 30)


@each(
    "work",
    [
        {"profile": {}, "input": {"latest": "sales-*.csv"}},
        {"report": {"rules": [{"output": "who", "formula": "name"}], "format": "csv", "parameters": {}}},
        {"notify": {"webhook": "https://example.org/a", "on": "failed"}},
    ],
)
def test_another_is_made_of_what_it_is_answered_with(operator: Caller, work: dict[str, Any]) -> None:
    operator.post("/api/v1/deliveries/secret")
    body = {
        "input": {"file_id": named(operator, "a.csv")},
        **({} if "report" in work else {"profile": {}}),
        **work,
    }
    asked = {
        "cron": "30 8 * * *",
        "name": "a",
        "timezone": "UTC",
        "misfire": "skip",
        "overlap": "queue",
        "keep": 5,
    }
    made = operator.post(SCHEDULES, json=asked | body).json
    known = {name: made[name] for name in made if name in {*asked, *body}}
    assert known == asked | body
    again = operator.post(SCHEDULES, json=known).json
    assert {name: again[name] for name in known} == known


@each(
    ("members", "pointer"),
    [
        ({"cron": "0 0 30 2 *"}, "/cron"),
        ({"cron": "* * * * * *"}, "/cron"),
        ({"cron": "@daily"}, "/cron"),
        ({"cron": ""}, "/cron"),
        ({"cron": 5}, "/cron"),
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"timezone": "../../etc/passwd"}, "/timezone"),
        ({"misfire": "never"}, "/misfire"),
        ({"overlap": "both"}, "/overlap"),
        ({"keep": 0}, "/keep"),
        ({"input": {}}, "/input"),
        ({"input": {"latest": "*"}}, "/input/latest"),
        ({"input": {"latest": "a", "file_id": "01a1fbb9-d3d2-716b-bf41-df3a54a91899"}}, "/input"),
        ({"notify": {"webhook": "http://example.org"}}, "/notify/webhook"),
        ({"notify": {"folder": "nowhere"}}, "/notify/folder"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_what_makes_no_sense_is_400_and_says_where(
    operator: Caller, members: dict[str, Any], pointer: str
) -> None:
    body = {"cron": "30 8 * * *", "profile": {}, "input": {"latest": "sales-*.csv"}} | members
    operator.post("/api/v1/deliveries/secret")
    answer = operator.post(SCHEDULES, json=body)
    assert (answer.status_code, pointers(answer)[0]) == (400, pointer)
    assert operator.get(SCHEDULES).json["data"] == []


def test_a_file_has_to_be_ones_own(operator: Caller, admin: Caller) -> None:
    body = {"cron": "30 8 * * *", "profile": {}, "input": {"file_id": named(admin, "a.csv")}}
    assert operator.post(SCHEDULES, json=body).status_code == 404


def test_it_runs_for_its_owner_who_sees_as_much_as_elsewhere(operator: Caller, admin: Caller) -> None:
    theirs, ours = ({"file_id": named(caller, "a.csv")} for caller in (operator, admin))
    of_admin = f"{SCHEDULES}/{a_schedule(admin, input=theirs)['id']}"
    assert admin.post(f"{of_admin}/run").status_code == 202
    of_operator = f"{SCHEDULES}/{a_schedule(operator, input=theirs)['id']}"
    assert admin.patch(of_operator, json={"input": ours}).status_code == 404


def test_a_repeated_request_makes_one(operator: Caller) -> None:
    body = {"cron": "30 8 * * *", "profile": {}, "input": {"latest": "sales-*.csv"}}
    key = {"Idempotency-Key": "k"}
    first, again = (operator.post(SCHEDULES, json=body, headers=key) for _ in range(2))
    assert first.json == again.json
    assert len(operator.get(SCHEDULES).json["data"]) == 1


def test_it_is_changed_where_nobody_else_has_changed_it(operator: Caller) -> None:
    made = a_schedule(operator, name="a")
    path = f"{SCHEDULES}/{made['id']}"
    etag = operator.get(path).headers["ETag"]
    changed = operator.patch(path, json={"cron": "0 9 * * *", "keep": 5}, headers={"If-Match": etag})
    assert changed.status_code == 200
    assert changed.json["next_due_times"][0][11:16] == "09:00"
    assert (changed.json["keep"], changed.json["name"]) == (5, "a")
    assert changed.headers["ETag"] != etag
    stale = operator.patch(path, json={"keep": 6}, headers={"If-Match": etag})
    assert (stale.status_code, operator.get(path).json["keep"]) == (412, 5)
    assert operator.patch(path, json={"cron": "0 0 31 2 *"}).status_code == 400
    assert operator.patch(path, json={"input": {"latest": "new-*.csv"}}).json["input"] == {
        "latest": "new-*.csv"
    }
    assert operator.delete(path, headers={"If-Match": etag}).status_code == 412


def test_several_who_are_told_are_answered_as_they_were_given() -> None:
    given = {"email": ["a@example.org", "b@example.org"], "folder": "daily", "on": "done"}
    assert as_given(NOTIFY_SCHEMA.load(given)) == given


def test_who_is_told_can_be_changed_and_left_out_again(operator: Caller) -> None:
    path = f"{SCHEDULES}/{a_schedule(operator)['id']}"
    operator.post("/api/v1/deliveries/secret")
    hook = {"webhook": "https://hooks.example.org/"}
    told = operator.patch(path, json={"notify": hook}).json["notify"]
    assert told == hook | {"on": "always"}
    assert operator.patch(path, json={"notify": None}).json["notify"] is None


def test_the_etag_stays_while_only_time_passes(operator: Caller) -> None:
    made = a_schedule(operator)
    path = f"{SCHEDULES}/{made['id']}"
    etag = operator.get(path).headers["ETag"]
    with services() as s:
        row = s.schedule_rows.get_own(made["id"], None)
        row.next_due, row.missed = datetime(2026, 1, 1, tzinfo=UTC), 7
    assert operator.get(path).headers["ETag"] == etag
    assert operator.get(path, headers={"If-None-Match": etag}).status_code == 304


def test_it_is_paused_and_resumed(operator: Caller) -> None:
    path = f"{SCHEDULES}/{a_schedule(operator)['id']}"
    paused = operator.post(f"{path}/pause").json
    assert (paused["is_paused"], paused["next_due"], paused["next_due_times"]) == (True, None, [])
    assert [row["is_paused"] for row in operator.get(f"{SCHEDULES}?is_paused=true").json["data"]] == [True]
    changed = operator.patch(path, json={"cron": "0 9 * * *"}).json
    assert (changed["is_paused"], changed["next_due"], changed["next_due_times"]) == (True, None, [])
    resumed = operator.post(f"{path}/resume").json
    assert (resumed["is_paused"], len(resumed["next_due_times"])) == (False, 5)


def test_by_hand_it_runs_on_the_newest_file_and_the_history_shows_it(operator: Caller) -> None:
    path = f"{SCHEDULES}/{a_schedule(operator)['id']}"
    refused = operator.post(f"{path}/run")
    assert (refused.status_code, refused.json["type"]) == (409, "/problems/no-input-file")
    named(operator, "sales-1.csv")
    newest = named(operator, "Sales-2.csv")
    answer = operator.post(f"{path}/run")
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/v1/jobs/{answer.json['job_id']}"
    assert operator.get(answer.headers["Location"]).json["args"] == {"file_id": newest}
    (run,) = operator.get(f"{path}/runs").json["data"]
    assert (run["state"], run["due_at"], run["job_state"]) == ("started", None, "queued")
    assert operator.get(f"{path}/runs?state=missed").json["data"] == []
    assert operator.get(f"{path}/runs?format=csv").text.startswith("id,schedule_id,due_at,state")


def test_it_is_deleted_with_its_history(operator: Caller) -> None:
    named(operator, "sales-1.csv")
    path = f"{SCHEDULES}/{a_schedule(operator)['id']}"
    job = operator.post(f"{path}/run").json["job_id"]
    assert operator.delete(path).status_code == 204
    assert operator.get(path).status_code == 404
    assert operator.get(f"/api/v1/jobs/{job}").status_code == 200


def test_its_doings_are_in_the_audit_trail(operator: Caller, admin: Caller) -> None:
    path = f"{SCHEDULES}/{a_schedule(operator)['id']}"
    operator.patch(path, json={"keep": 3})
    operator.post(f"{path}/pause")
    operator.post(f"{path}/resume")
    operator.delete(path)
    entries = admin.get("/api/v1/audit?order_by=id&per_page=100").json["data"]
    did = [
        entry["action"].removeprefix("schedule.") for entry in entries if entry["object_type"] == "schedule"
    ]
    assert did == ["created", "changed", "paused", "resumed", "deleted"]

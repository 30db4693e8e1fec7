"""The audit trail: who did what to which object, when, from where."""

import pytest
from sqlalchemy import text

from src.wiring import Services
from tests.api.nouns import a_file, a_job, an_import
from tests.factories.accounts import PASSWORD, Caller

AUDIT = "/api/v1/audit"


def test_a_line_tells_who_what_which_when_and_from_where(operator: Caller, admin: Caller) -> None:
    file = a_file(operator)
    headers = {"X-Request-ID": "delete-my-file-1"}
    operator.delete(f"/api/v1/files/{file['id']}", headers=headers)
    line = admin.get(AUDIT, query_string={"action": "file.deleted"}).json["data"][0]
    assert line["account_id"] == str(operator.id)
    assert line["account_name"] == operator.email
    assert (line["object_type"], line["object_id"]) == ("file", file["id"])
    assert (line["request_id"], line["address"]) == ("delete-my-file-1", "127.0.0.1")
    assert line["detail"] == {"name": file["name"]}


def test_it_is_filtered_by_account_action_and_object(operator: Caller, admin: Caller) -> None:
    job = a_job(operator)
    operator.post(f"/api/v1/jobs/{job}/cancel")
    by_account = admin.get(AUDIT, query_string={"account_id": str(operator.id)}).json["data"]
    assert [line["action"] for line in by_account] == ["job.cancelled", "login.succeeded", "account.created"]
    by_object = admin.get(AUDIT, query_string={"object_id": str(job)}).json["data"]
    assert [line["action"] for line in by_object] == ["job.cancelled"]
    assert admin.get(AUDIT, query_string={"action": "nothing"}).json["data"] == []


def test_logging_in_failing_and_out_are_in_it(operator: Caller, admin: Caller) -> None:
    client = operator.app.test_client()
    client.post("/api/v1/auth/login", json={"email": operator.email, "password": "not the password"})
    client.post("/api/v1/auth/login", json={"email": "nobody@example.org", "password": PASSWORD})
    client.post("/api/v1/auth/login", json={"email": operator.email, "password": PASSWORD})
    operator.post("/api/v1/auth/logout")
    lines = admin.get(AUDIT, query_string={"per_page": 4}).json["data"]
    assert [(line["action"], line["object_id"]) for line in reversed(lines)] == [
        ("login.failed", str(operator.id)),
        ("login.failed", "nobody@example.org"),
        ("login.succeeded", str(operator.id)),
        ("login.ended", str(operator.id)),
    ]
    assert lines[3]["account_name"] == "system"


def test_what_is_rolled_back_leaves_no_line(operator: Caller, services: Services) -> None:
    count = text("SELECT count(*) FROM audit")
    before = services.session.scalar(count)
    operator.post("/api/v1/files", query_string={"filename": "a.csv"}, data=b"")
    assert services.session.scalar(count) == before


@pytest.mark.parametrize(
    ("path", "kind", "object_id"),
    [
        ("/api/v1/clients?format=csv", "list", "clients"),
        ("/api/v1/events?format=xlsx", "list", "events"),
        ("/api/v1/atendimento/angel_productivity?format=csv", "indicator", "angel-productivity"),
        ("/api/v1/imports/{import_id}/rejects?format=csv", "rejects", "{import_id}"),
    ],
)
def test_what_leaves_as_a_file_is_in_it(
    operator: Caller, admin: Caller, path: str, kind: str, object_id: str
) -> None:
    ids = {"import_id": an_import(operator)["id"]}
    assert operator.get(path.format(**ids)).status_code == 200
    (line,) = admin.get(AUDIT, query_string={"action": f"{kind}.exported"}).json["data"]
    assert (line["account_name"], line["object_id"]) == (operator.email, object_id.format(**ids))
    assert line["detail"]["path"] == path.format(**ids).partition("?")[0]


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-"}, {"Range": "bytes=1-5"}])
def test_a_file_that_is_downloaded_is_in_it(operator: Caller, admin: Caller, headers: dict[str, str]) -> None:
    file = a_file(operator)
    operator.get(f"/api/v1/files/{file['id']}/content", headers=headers)
    (line,) = admin.get(AUDIT, query_string={"action": "file.exported"}).json["data"]
    assert (line["account_name"], line["object_id"]) == (operator.email, file["id"])
    assert line["detail"] == {"format": "text/csv", "by_link": False}


def test_what_is_only_looked_at_or_could_not_be_had_is_no_export(operator: Caller, admin: Caller) -> None:
    file = a_file(operator)
    operator.get("/api/v1/clients")
    operator.get("/api/v1/clients?format=csv&order_by=nothing")
    operator.get(f"/api/v1/files/{file['id']}/content", headers={"If-None-Match": f'"{file["sha256"]}"'})
    actions = {line["action"] for line in admin.get(AUDIT, query_string={"per_page": 100}).json["data"]}
    assert not any(action.endswith(".exported") for action in actions)

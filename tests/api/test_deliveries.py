"""`notify` in every request that starts a job, and the deliveries that come of it."""

import json
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import func, select

from src.models import Delivery
from src.wiring import Services
from tests.api.conftest import Change
from tests.api.nouns import CLIENTS, FILES, IMPORTS, JOBS, a_delivery, a_file, a_job, an_import
from tests.architecture.tree import ROOT
from tests.factories.accounts import Caller

DELIVERIES = "/api/v1/deliveries"
HOOK = {"webhook": "https://hooks.example.org/a"}


def secret(caller: Caller) -> str:
    answer = caller.post(f"{DELIVERIES}/secret")
    assert answer.status_code == 201, answer.text
    return str(answer.json["secret"])


def profile(caller: Caller, notify: Any, **options: Any) -> Any:
    return caller.post(f"{FILES}/{a_file(caller)['id']}/profile", json={"notify": notify}, **options)


def promised(services: Services) -> list[tuple[str, str, str]]:
    rows = services.session.scalars(select(Delivery).order_by(Delivery.id))
    return [(row.channel, row.address, row.wanted_on) for row in rows]


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json["errors"]]


def test_every_request_that_starts_a_job_documents_notify() -> None:
    document = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    schemas = document["components"]["schemas"]
    seen = 0
    for path, methods in document["paths"].items():
        post = methods.get("post", {})
        takes_key = any(one.get("name") == "Idempotency-Key" for one in post.get("parameters", ()))
        if not (takes_key and "202" in post["responses"]):
            continue
        for kind, body in post["requestBody"]["content"].items():
            if kind in ("application/json", "multipart/form-data"):
                members = schemas[body["schema"]["$ref"].rpartition("/")[2]]["properties"]
                assert "notify" in members, f"{path} {kind}"
                seen += 1
    assert seen >= 9


def test_it_is_promised_with_the_job_to_each_target(operator: Caller, services: Services) -> None:
    secret(operator)
    answer = profile(operator, HOOK | {"on": "failed"})
    assert answer.status_code == 202
    assert promised(services) == [("webhook", HOOK["webhook"], "failed")]
    (row,) = operator.get(f"{DELIVERIES}?job_id={answer.json['id']}").json["data"]
    assert (row["state"], row["what"], row["job_id"]) == ("promised", "job", answer.json["id"])


def test_mail_and_folders_are_promised_where_they_are_configured(
    operator: Caller, services: Services, change: Change
) -> None:
    wish = {"email": ["ana@example.org", "rui@example.org"], "folder": "reports/daily"}
    refused = profile(operator, wish)
    assert (refused.status_code, pointers(refused)) == (400, ["/notify/folder"])
    change(delivery_folders=("reports=/srv/reports",))
    assert pointers(profile(operator, wish)) == ["/notify/email"]
    change(smtp_host="mail", mail_from="indicators@example.org")
    assert profile(operator, wish).status_code == 202
    assert [channel for channel, _, _ in promised(services)] == ["folder", "email", "email"]


def test_a_form_carries_it_as_json(operator: Caller, services: Services) -> None:
    secret(operator)

    def send(notify: str) -> Any:
        form = {"file": (BytesIO(CLIENTS), "c.csv"), "dataset": "clients", "notify": notify}
        return operator.post(IMPORTS, data=form)

    assert send("{").json["detail"] == "`notify` is not valid JSON."
    assert send(json.dumps(HOOK)).status_code == 202
    assert len(promised(services)) == 1


def test_a_json_body_carries_it_beside_its_own_members(operator: Caller, services: Services) -> None:
    secret(operator)
    file = a_file(operator, CLIENTS, "clients.csv")["id"]
    body = {"dataset": "clients", "file_id": file, "notify": HOOK}
    assert operator.post(IMPORTS, json=body).status_code == 202
    unknown = operator.post(IMPORTS, json=body | {"notifi": HOOK})
    assert (unknown.status_code, pointers(unknown)) == (400, ["/notifi"])
    assert len(promised(services)) == 1


def test_where_no_job_is_started_it_is_refused_and_nothing_is_kept(
    operator: Caller, admin: Caller, services: Services
) -> None:
    secret(operator)
    secret(admin)
    body = {"dataset": "clients", "file_id": a_file(operator, CLIENTS, "c.csv")["id"], "notify": HOOK}
    draft = operator.post(f"{IMPORTS}?draft=true", json=body)
    many = admin.post(f"{JOBS}/retry", json={"notify": HOOK})
    for answer in (draft, many):
        assert (answer.status_code, answer.json["type"]) == (409, "/problems/nothing-started")
    assert promised(services) == []
    assert operator.get(IMPORTS).json["data"] == []


def test_a_retry_and_a_commit_carry_it_too(operator: Caller, services: Services) -> None:
    secret(operator)
    job = a_job(operator, "failed")
    assert operator.post(f"{JOBS}/{job}/retry", json={"notify": HOOK}).status_code == 202
    draft = an_import(operator)["id"]
    assert operator.post(f"{IMPORTS}/{draft}/commit", json={"notify": HOOK}).status_code == 202
    assert len(promised(services)) == 2


def test_a_repeated_request_promises_once_and_another_wish_is_another_request(
    operator: Caller, services: Services
) -> None:
    secret(operator)
    path, key = f"{FILES}/{a_file(operator)['id']}/profile", {"Idempotency-Key": "k"}
    answers = [operator.post(path, json={"notify": HOOK}, headers=key) for _ in range(2)]
    assert answers[0].json == answers[1].json
    assert len(promised(services)) == 1
    other = operator.post(path, json={"notify": HOOK | {"on": "done"}}, headers=key)
    assert other.status_code == 422


@pytest.mark.parametrize(
    ("notify", "pointer"),
    [
        ({}, "/notify"),
        ("https://example.org", "/notify"),
        ([HOOK], "/notify"),
        ({"on": "done"}, "/notify"),
        (HOOK | {"on": "sometimes"}, "/notify/on"),
        (HOOK | {"color": "red"}, "/notify/color"),
        ({"webhook": ""}, "/notify/webhook"),
        ({"webhook": 7}, "/notify/webhook"),
        ({"webhook": "http://example.org/"}, "/notify/webhook"),
        ({"webhook": "https://169.254.169.254/latest"}, "/notify/webhook"),
        ({"webhook": "https://[::ffff:10.0.0.1]/"}, "/notify/webhook"),
        ({"webhook": "https://2130706433/"}, "/notify/webhook"),
        ({"webhook": "https://a.example.org/\x00"}, "/notify/webhook"),
        ({"email": []}, "/notify/email"),
        ({"email": "ana@example.org"}, "/notify/email"),
        ({"email": ["ana@example.org"] * 11}, "/notify/email"),
        ({"folder": "../etc"}, "/notify/folder"),
    ],
)
def test_a_wish_that_makes_no_sense_is_400_and_says_where(
    operator: Caller, services: Services, notify: Any, pointer: str
) -> None:
    secret(operator)
    answer = profile(operator, notify)
    assert (answer.status_code, pointers(answer)[0]) == (400, pointer)
    assert promised(services) == []


def test_a_webhook_needs_a_secret_first(operator: Caller) -> None:
    answer = profile(operator, HOOK)
    assert (answer.status_code, answer.json["type"]) == (409, "/problems/webhook-secret-missing")


def test_the_secret_is_shown_once_and_renewed_with_a_day_of_grace(operator: Caller) -> None:
    nothing = {"created_at": None, "former_until": None}
    assert operator.get(f"{DELIVERIES}/secret").json == nothing
    first, second = secret(operator), secret(operator)
    assert first.startswith("whsec_")
    assert first != second
    shown = operator.get(f"{DELIVERIES}/secret").json
    assert shown is not None
    assert "secret" not in shown
    assert shown["former_until"] is not None


def test_failed_deliveries_are_found_and_sent_again(operator: Caller, services: Services) -> None:
    id_ = a_delivery(operator)
    assert operator.post(f"{DELIVERIES}/{id_}/retry").status_code == 409
    row = services.delivery_rows.get_own(id_, None)
    row.state, row.attempts, row.finished_at = "failed", 9, func.clock_timestamp()
    services.session.flush()
    assert [one["id"] for one in operator.get(f"{DELIVERIES}?state=failed").json["data"]] == [str(id_)]
    again = operator.post(f"{DELIVERIES}/{id_}/retry").json
    assert (again["state"], again["attempts"], again["finished_at"]) == ("waiting", 0, None)
    assert operator.get(f"{DELIVERIES}?state=failed").json["data"] == []


def test_they_come_as_csv_too(operator: Caller) -> None:
    a_delivery(operator)
    assert operator.get(f"{DELIVERIES}?format=csv").text.startswith("id,owner_id,what,channel,address")


def test_what_waits_to_be_told_is_in_the_metrics(client: Any, operator: Caller) -> None:
    a_delivery(operator)
    assert 'indicators_deliveries{channel="webhook",state="waiting"}' in client.get("/metrics").text

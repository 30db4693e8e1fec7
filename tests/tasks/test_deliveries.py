"""From a request's `notify` to what arrives: over https, by mail, in a folder; and back again when it fails."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from standardwebhooks import Webhook

from src.domain.deliveries import DeliveryState
from src.integrations.storage import Storage
from src.integrations.storage_choice import open_storage
from src.models import Delivery
from src.tasks.deliveries import deliver
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import EXTENSION, services
from tests.committing import Workshop
from tests.factories.accounts import Caller
from tests.factories.receivers import MailBox, Receiver, https_receiver, mail_server
from tests.factories.workers import run_all
from tests.integrations.conftest import s3_endpoint

__all__ = ["s3_endpoint"]
CLIENTS = b"client_id,name,email,date_of_birth\nc1,Ana,ana@example.org,1980-01-31\n"
TABLE = b"name,amount\nAna,10\nRui,20\n"


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with https_receiver(tmp_path) as running:
        yield running


@pytest.fixture
def box(tmp_path: Path) -> Iterator[MailBox]:
    with mail_server(tmp_path) as running:
        yield running


@pytest.fixture
def caller(workshop: Workshop) -> Caller:
    return workshop.accounts.caller()


def allow(workshop: Workshop, **settings: Any) -> None:
    changed = replace(workshop.adapters, settings=replace(workshop.settings, **settings))
    workshop.app.extensions[EXTENSION] = workshop.adapters = changed


def allow_hooks(workshop: Workshop, receiver: Receiver) -> None:
    allow(workshop, webhook_hosts=(receiver.host,), webhook_ca_file=receiver.ca_file, delivery_seconds=5)


def allow_mail(workshop: Workshop, box: MailBox, **settings: Any) -> None:
    allow(
        workshop,
        smtp_host="localhost",
        smtp_port=box.port,
        smtp_user=box.user,
        smtp_password=box.password,
        smtp_ca_file=box.ca_file,
        mail_from="indicators@example.org",
        **{"public_url": "https://indicators.example.org/", **settings},
    )


def operation(caller: Caller, notify: dict[str, Any]) -> dict[str, Any]:
    """Start one that makes a file."""
    file = caller.post("/api/v1/files", query_string={"filename": "Março.csv"}, data=TABLE).json
    body = {"file_id": file["id"], "operation": "dedup", "notify": notify}
    answer = caller.post("/api/v1/operations", json=body)
    assert answer.status_code == 202, answer.text
    return dict(answer.json)


def profile(caller: Caller, notify: dict[str, Any], content: bytes = TABLE) -> dict[str, Any]:
    """Start a job that tells of its end."""
    answer = caller.post("/api/v1/files", query_string={"filename": "a.csv"}, data=content)
    answer = caller.post(f"/api/v1/files/{answer.json['id']}/profile", json={"notify": notify})
    assert answer.status_code == 202, answer.text
    return dict(answer.json)


def work() -> None:
    """Workers and a scheduler, until all is quiet."""
    run_all()
    with services() as s:
        s.deliveries.release()
    run_all()


def deliveries(caller: Caller) -> list[dict[str, Any]]:
    return list(caller.get("/api/v1/deliveries").json["data"])


def test_a_webhook_tells_of_the_end_of_a_job_signed_for_its_owner(
    workshop: Workshop, caller: Caller, receiver: Receiver
) -> None:
    allow_hooks(workshop, receiver)
    secret = caller.post("/api/v1/deliveries/secret").json["secret"]
    job = profile(caller, {"webhook": receiver.url})
    assert [row["state"] for row in deliveries(caller)] == ["promised"]
    work()
    (request,) = receiver.requests
    message = Webhook(secret).verify(request.body, request.headers)
    assert message["type"] == "job.done"
    assert (message["data"]["job_id"], message["data"]["state"]) == (job["id"], "done")
    (row,) = deliveries(caller)
    assert (row["state"], row["attempts"], row["job_id"]) == ("sent", 1, job["id"])
    assert request.headers["webhook-id"] == row["id"]


def test_a_receiver_that_fails_is_tried_again_and_its_answer_is_shown(
    workshop: Workshop, caller: Caller, receiver: Receiver
) -> None:
    allow_hooks(workshop, receiver)
    caller.post("/api/v1/deliveries/secret")
    receiver.answers = [503, 200]
    profile(caller, {"webhook": receiver.url})
    work()
    (row,) = deliveries(caller)
    assert (row["state"], row["attempts"]) == ("waiting", 1)
    assert row["error"] == {
        "slug": "not-delivered",
        "title": "It could not be delivered this time",
        "detail": "The receiver answered 503.",
    }
    with services() as s:
        found = s.session.get_one(Delivery, row["id"])
        found.due_at = found.created_at
    work()
    assert deliveries(caller)[0]["state"] == "sent"
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1


def test_a_redirect_or_a_permission_withdrawn_fails_for_good_and_can_be_sent_again(
    workshop: Workshop, caller: Caller, receiver: Receiver
) -> None:
    allow_hooks(workshop, receiver)
    caller.post("/api/v1/deliveries/secret")
    receiver.answers, receiver.headers = [302, 200], {"Location": "http://169.254.169.254/"}
    profile(caller, {"webhook": receiver.url})
    work()
    (row,) = deliveries(caller)
    assert (row["state"], row["error"]["slug"]) == ("failed", "undeliverable")
    allow(workshop, webhook_hosts=())
    assert caller.post(f"/api/v1/deliveries/{row['id']}/retry").json["state"] == "waiting"
    work()
    assert len(receiver.requests) == 1, "the address is looked at once more when it is sent"
    assert deliveries(caller)[0]["state"] == "failed"


def test_mail_goes_to_each_address_and_names_the_job(
    workshop: Workshop, caller: Caller, box: MailBox
) -> None:
    allow_mail(workshop, box)
    job = profile(caller, {"email": ["ana@example.org", "rui@example.org", "ana@example.org"]})
    work()
    assert sorted(letter.rcpt_tos[0] for letter in box.letters) == ["ana@example.org", "rui@example.org"]
    letter = message_from_bytes(box.letters[0].content, policy=default)
    assert letter["Subject"] == "Indicators: profile done"
    text = letter.get_content()
    assert f"https://indicators.example.org/api/v1/jobs/{job['id']}" in text


def letter_about(workshop: Workshop, caller: Caller, box: MailBox, **settings: Any) -> EmailMessage:
    """The mail that tells of an operation's end."""
    allow_mail(workshop, box, **settings)
    operation(caller, {"email": ["ana@example.org"]})
    work()
    return message_from_bytes(box.letters[-1].content, EmailMessage, policy=default)


def test_a_mail_brings_the_file_that_was_made(workshop: Workshop, caller: Caller, box: MailBox) -> None:
    letter = letter_about(workshop, caller, box)
    (attachment,) = letter.iter_attachments()
    assert attachment.get_filename() == "Março-result.csv"
    assert attachment.get_content() == TABLE.decode()
    assert "/downloads/" not in str(letter.get_body())


def test_a_file_too_large_for_a_mail_is_linked_to_for_some_days(
    workshop: Workshop, caller: Caller, box: MailBox
) -> None:
    letter = letter_about(workshop, caller, box, mail_attachment_bytes=len(TABLE) - 1, mail_link_days=3)
    text = letter.get_content()
    assert list(letter.iter_attachments()) == []
    assert f"Março-result.csv has {len(TABLE)} bytes" in text
    link = text.split()[-1]
    assert link.startswith("https://indicators.example.org/api/v1/downloads/")
    path = link.removeprefix("https://indicators.example.org")
    answer = workshop.app.test_client().get(path)
    assert (answer.status_code, answer.data) == (200, TABLE)
    with services() as s:
        until = s.session.scalars(select(func.clock_timestamp() + timedelta(days=3))).one()
    assert f"{until:%Y-%m-%d}" in text


def test_without_an_address_of_the_service_a_mail_says_where_the_file_is(
    workshop: Workshop, caller: Caller, box: MailBox
) -> None:
    letter = letter_about(workshop, caller, box, mail_attachment_bytes=1, public_url="")
    path = letter.get_content().split()[-1]
    assert caller.get(path).data == TABLE


def assert_published(store: Storage, names: list[str], row: dict[str, Any]) -> None:
    """The file under its own name, and the message beside it."""
    name = f"daily/marco-result-{row['id'].replace('-', '')[-12:]}.csv"
    assert sorted(names) == [name, f"{name}.message.json"]
    with store.open(name) as file:
        assert file.read() == TABLE
    with store.open(f"{name}.message.json") as file:
        assert json.loads(file.read())["data"]["job_id"] == row["job_id"]
    assert (row["state"], row["error"]) == ("sent", None)


def test_a_folder_gets_the_file_and_then_the_message(
    workshop: Workshop, caller: Caller, tmp_path: Path
) -> None:
    root = tmp_path / "out"
    allow(workshop, delivery_folders=(f"reports={root}",))
    operation(caller, {"folder": "reports/daily"})
    work()
    names = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    assert_published(open_storage(str(root), reserve_bytes=0), names, deliveries(caller)[0])


def test_a_bucket_gets_the_file_and_then_the_message(
    workshop: Workshop, caller: Caller, s3_endpoint: str
) -> None:
    url = f"s3://bucket/{uuid4().hex}"
    allow(workshop, delivery_folders=(f"lake={url}",), s3_endpoint_url=s3_endpoint)
    operation(caller, {"folder": "lake/daily"})
    work()
    store = open_storage(url, reserve_bytes=0, s3_endpoint_url=s3_endpoint)
    names = [stored.key for stored in store.keys(datetime.now(UTC) + timedelta(minutes=1))]
    assert_published(store, names, deliveries(caller)[0])


def test_a_folder_that_cannot_be_written_to_is_tried_again(
    workshop: Workshop, caller: Caller, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("a file is in the way")
    allow(workshop, delivery_folders=(f"reports={tmp_path / 'out'}",))
    profile(caller, {"folder": "reports"})
    work()
    assert [(row["state"], row["error"]["slug"]) for row in deliveries(caller)] == [
        ("waiting", "not-delivered")
    ]


def test_what_a_killed_worker_left_unfinished_in_a_folder_is_swept(
    workshop: Workshop, tmp_path: Path
) -> None:
    allow(workshop, delivery_folders=(f"reports={tmp_path / 'out'}",))
    left = tmp_path / "out" / "incoming" / "left"
    left.parent.mkdir(parents=True)
    left.write_text("half a file")
    os.utime(left, (0, 0))
    with services() as s:
        assert s.housekeeping.sweep_delivery_folders() == 1
    assert not left.exists()


def test_a_worker_that_died_after_sending_sends_again_under_the_same_id(
    workshop: Workshop, caller: Caller, receiver: Receiver
) -> None:
    """At least once: the receiver tells by the id. A zombie's word about it does not count."""
    allow_hooks(workshop, receiver)
    caller.post("/api/v1/deliveries/secret")
    profile(caller, {"webhook": receiver.url})
    run_all()
    with services() as s:
        s.deliveries.release()
        row = s.session.query(Delivery).one()
    handlers = {**HANDLERS, "deliver": lambda run: (deliver(run), pytest.fail("killed"))[0]}
    with pytest.raises(BaseException, match="killed"):
        run_job(row.sending_job_id, handlers)
    with services() as s:
        s.job_leases.hand_back(s.job_rows.get(row.sending_job_id), wait=row.every)
    run_all()
    assert deliveries(caller)[0]["state"] == DeliveryState.SENT
    assert [request.headers["webhook-id"] for request in receiver.requests] == [str(row.id)] * 2


def test_an_import_tells_of_its_end_too_and_a_form_carries_the_wish_as_json(
    workshop: Workshop, caller: Caller, receiver: Receiver
) -> None:
    allow_hooks(workshop, receiver)
    caller.post("/api/v1/deliveries/secret")
    form = {
        "file": (BytesIO(CLIENTS), "clients.csv"),
        "dataset": "clients",
        "notify": json.dumps({"webhook": receiver.url, "on": "done"}),
    }
    answer = caller.post("/api/v1/imports", data=form)
    assert answer.status_code == 202, answer.text
    work()
    (request,) = receiver.requests
    data = json.loads(request.body)["data"]
    assert (data["job_id"], data["state"]) == (answer.json["job_id"], "done")
    assert data["result"]["inserted"] == 1

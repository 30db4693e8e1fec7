"""POST /api/v1/etl: two files in one form, one job; and when it is refused, nothing is left."""

import io
from typing import Any

import pytest
from werkzeug.test import TestResponse

from src.integrations.storage_disk import DiskStorage
from src.wiring import services
from tests.api.conftest import stored
from tests.factories.accounts import Caller

ETL = "/api/v1/etl"
CLIENTS = b"client_id,name,email,date_of_birth\nc1,Ana,ana@example.org,1980-01-31\n"
TRADES = (
    b"transaction_id,client_id,transaction_type,transaction_date,currency,amount\n"
    b"t1,c1,buy,2021-06-30 15:30:00,EUR,10.00\n"
)
each = pytest.mark.parametrize


def send(caller: Caller, *, path: str = ETL, headers: Any = (), **parts: bytes) -> TestResponse:
    form = {name: (io.BytesIO(content), f"{name}.csv") for name, content in parts.items()}
    return caller.post(path, data=form, headers=dict(headers))


def test_two_files_are_one_job_over_two_imports(operator: Caller, store: DiskStorage) -> None:
    answer = send(operator, transactions=TRADES, clients=CLIENTS)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/api/v1/jobs/{answer.json['id']}"
    assert (answer.json["kind"], answer.json["owner_id"]) == ("etl", str(operator.id))
    for dataset in ("clients", "transactions"):
        imported = operator.get(f"/api/v1/imports/{answer.json['args'][dataset]}").json
        assert (imported["dataset"], imported["file_name"]) == (dataset, f"{dataset}.csv")
    assert len(stored(store)) == 2


def test_the_same_key_gets_the_same_job_and_keeps_no_second_copy(
    operator: Caller, store: DiskStorage
) -> None:
    headers = {"Idempotency-Key": "once"}
    first, again = (send(operator, clients=CLIENTS, transactions=TRADES, headers=headers) for _ in range(2))
    assert again.json == first.json
    assert len(stored(store)) == 2
    other = send(operator, clients=CLIENTS, transactions=TRADES + b"\n", headers=headers)
    assert other.status_code == 422
    assert len(stored(store)) == 2


@each("how", ["?date_order=dmy", "?date_order=mdy"])
def test_both_files_are_read_as_it_is_said(operator: Caller, how: str) -> None:
    files = {
        "clients": CLIENTS.replace(b"1980-01-31", b"03/04/1980"),
        "transactions": TRADES.replace(b"2021-06-30 15:30:00", b"03/04/2021"),
    }
    answer = send(operator, path=ETL + how, **files)
    order = how.partition("=")[2]
    for dataset in files:
        imported = operator.get(f"/api/v1/imports/{answer.json['args'][dataset]}").json
        assert imported["options"] == {"date_order": order}


def test_a_part_that_is_no_file_is_refused_but_for_whom_to_notify(
    operator: Caller, store: DiskStorage
) -> None:
    def form(**texts: str) -> dict[str, Any]:
        files = {"clients": CLIENTS, "transactions": TRADES}
        return texts | {name: (io.BytesIO(content), f"{name}.csv") for name, content in files.items()}

    refused = operator.post(ETL, data=form(options='{"date_order": "dmy"}'))
    assert (refused.status_code, refused.json["type"]) == (400, "/problems/invalid")
    assert refused.json["errors"][0]["pointer"] == "/options"
    assert stored(store) == []
    assert operator.post(ETL, data=form(notify="{")).json["detail"] == "`notify` is not valid JSON."
    assert operator.post(ETL, data=form()).status_code == 202


def test_the_job_names_the_files_that_were_loaded_before(operator: Caller) -> None:
    first, again = (send(operator, clients=CLIENTS, transactions=TRADES) for _ in range(2))
    assert (first.json["args"]["loaded_before"], again.json["args"]["loaded_before"]) == ([], ["clients"])
    assert again.json["args"]["clients"] == first.json["args"]["clients"]
    forced = send(operator, path=f"{ETL}?force=true", clients=CLIENTS, transactions=TRADES)
    assert forced.json["args"]["loaded_before"] == []


@each(
    ("parts", "status", "slug"),
    [
        ({}, 400, "no-file"),
        ({"clients": CLIENTS}, 400, "no-file"),
        ({"transactions": TRADES}, 400, "no-file"),
        ({"clients": CLIENTS, "transactions": TRADES, "third": TRADES}, 400, "invalid"),
        ({"clients": CLIENTS, "third": TRADES}, 400, "no-file"),
        ({"clients": TRADES, "transactions": TRADES}, 400, "missing-columns"),
        ({"clients": CLIENTS, "transactions": CLIENTS}, 400, "missing-columns"),
        ({"clients": b"\x7fELF\x02\x01\x01" + bytes(64), "transactions": TRADES}, 415, "unsupported-file"),
        ({"clients": CLIENTS, "transactions": b"\x7fELF\x02\x01\x01" + bytes(64)}, 415, "unsupported-file"),
    ],
)
def test_what_is_refused_leaves_nothing(
    operator: Caller, store: DiskStorage, parts: dict[str, bytes], status: int, slug: str
) -> None:
    answer = send(operator, **parts)
    assert (answer.status_code, answer.json["type"]) == (status, f"/problems/{slug}")
    assert stored(store) == []
    with services() as s:
        assert s.job_rows.waiting(operator.id) == (0, 0)


def test_a_body_that_is_no_form_is_told_what_to_send(operator: Caller) -> None:
    answer = operator.post(ETL, json={"clients": "c.csv"})
    assert answer.status_code == 400
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/clients", "/transactions"]


def test_a_viewer_may_not(viewer: Caller) -> None:
    assert send(viewer, clients=CLIENTS, transactions=TRADES).status_code == 403

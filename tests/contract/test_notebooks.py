"""The guide for notebooks is run, block by block, and the frames hold what the service has: digit by digit."""

import csv
import io
from contextlib import chdir, redirect_stdout
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
import requests

from src.domain.roles import SCOPES
from tests.contract.conftest import Live
from tests.contract.documents import ROOT, blocks, is_as_shown
from tests.leftovers import wait_until

# Before the README's tour, which undoes an import of the samples that both look at.
pytestmark = pytest.mark.xdist_group("samples")
BLOCKS = [block for block in blocks(ROOT / "docs/notebooks.md") if block.info == "python"]


@pytest.fixture
def key(live: Live) -> str:
    """An administrator's, once the samples are loaded."""
    noted = (live.folder / "var/admin.txt").read_text().split()
    login = requests.post(f"{live.base}/api/v1/auth/login", json=dict(line.split("=", 1) for line in noted))
    headers = {"Authorization": f"Bearer {login.json()['token']}"}

    def are_loaded() -> bool:
        jobs = requests.get(f"{live.base}/api/v1/jobs?per_page=50", headers=headers).json()["data"]
        return {"import", "etl"} <= {job["kind"] for job in jobs if job["state"] == "done"}

    assert wait_until(are_loaded, 60)
    wish = {"name": "notebook", "scopes": SCOPES}
    made = requests.post(f"{live.base}/api/v1/api-keys", json=wish, headers=headers)
    return str(made.json()["key"])


def run_all(names: dict[str, Any]) -> None:
    for block in BLOCKS:
        with redirect_stdout(io.StringIO()) as printed:
            exec(compile(block.text, block.place, "exec"), names)
        said = printed.getvalue()
        assert is_as_shown(block.prints, said) if block.prints else not said, f"{block.place}\n{said}"


def test_every_block_prints_what_the_guide_shows_and_has_true_values(
    live: Live, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASE", live.base)
    monkeypatch.setenv("INDICATORS_KEY", key)
    client = f"{live.base}/api/v1/clients"
    odd = {"client_id": "NA", "name": "=1+1", "email": "na@example.com"}
    assert requests.post(client, json=odd, headers={"X-API-Key": key}).status_code == 201
    names: dict[str, Any] = {}
    try:
        with chdir(live.folder):
            run_all(names)
        look(names)
    finally:
        requests.delete(f"{client}/NA", headers={"X-API-Key": key})
        names["api"].close()


def look(names: dict[str, Any]) -> None:
    """Beside the samples as they stand in their files."""
    transactions = names["transactions"].set_index("transaction_id")
    assert transactions.loc["000001", ["client_id", "amount"]].tolist() == ["0039", Decimal("2054.29")]
    assert transactions.loc["000001", "transaction_date"] == pd.Timestamp("2021-08-05 16:44", tz="UTC")
    with (ROOT / "samples/transactions.csv").open(newline="") as lines:
        written = [(row["transaction_id"], row["currency"], row["amount"]) for row in csv.DictReader(lines)]
    first = {id_: amount for id_, _, amount in reversed(written)}
    amounts = {id_: abs(amount) for id_, amount in transactions["amount"].items()}
    assert amounts == {id_: abs(Decimal(first[id_])) for id_ in transactions.index}
    clients = names["clients"].set_index("client_id")
    assert clients.loc["0001", "date_of_birth"] == date(1976, 3, 23)
    assert clients.loc["0001", "account_balance"] == Decimal("4778.39")
    assert clients.loc["NA", "name"] == "'=1+1"
    assert {row["name"] for row in names["rows"]("/clients", email="na@example.com")} == {"=1+1"}
    assert clients.index.notna().all()
    assert pd.isna(clients.loc["NA", "country"])
    euros, by_country = names["euros"], names["by_country"]
    assert euros["amount"].tolist() == [Decimal(amount) for _, code, amount in written if code == "EUR"]
    assert by_country["total"].sum() == euros[euros["client_id"].isin(clients.index)]["amount"].sum()
    assert by_country["first"].min() == euros["transaction_date"].min()

"""Transactions: of all clients and of one, between days, and what they add up to."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, text

from src.models import Client
from src.wiring import Adapters, services
from tests.factories.accounts import Caller
from tests.factories.clients import a_client, a_transaction

ALL, CLIENTS = "/api/v1/transactions", "/api/v1/clients"
each = pytest.mark.parametrize


@pytest.fixture
def ana(app: Any) -> Client:
    return a_client("7")


def at(day: str, time: str = "00:00:00") -> datetime:
    return datetime.fromisoformat(f"{day}T{time}+00:00")


def ids(caller: Caller, path: str, **query: Any) -> list[str]:
    answer = caller.get(path, query_string=query)
    assert answer.status_code == 200, answer.text
    return [row["transaction_id"] for row in answer.json["data"]]


def refresh() -> None:
    """As the job does, but inside of the test's transaction."""
    with services() as s:
        s.session.execute(text("REFRESH MATERIALIZED VIEW transaction_statistics"))


class TestOfAClient:
    @pytest.fixture(autouse=True)
    def made(self, ana: Client) -> None:
        a_transaction(ana, "-1", transaction_id="first", transaction_date=at("1970-01-01"))
        a_transaction(ana, transaction_id="eve", transaction_date=at("2024-02-28", "23:59:59.999999"))
        a_transaction(ana, transaction_id="leap", transaction_date=at("2024-02-29"), currency="USD")
        late = at("2024-02-29", "23:59:59.999999")
        a_transaction(ana, "-5", transaction_id="late", transaction_date=late)
        a_transaction(ana, transaction_id="last", transaction_date=at("2099-12-31", "23:59:59"))
        a_transaction(a_client("8"), transaction_id="other", transaction_date=late)

    @each(
        ("query", "wanted"),
        [
            ({}, ["last", "late", "leap", "eve", "first"]),
            ({"start_date": "2024-02-29"}, ["last", "late", "leap"]),
            ({"end_date": "2024-02-28"}, ["eve", "first"]),
            ({"start_date": "2024-02-29", "end_date": "2024-02-29"}, ["late", "leap"]),
            (
                {"start_date": "0001-01-01", "end_date": "9999-12-31"},
                ["last", "late", "leap", "eve", "first"],
            ),
            ({"start_date": "2024-03-01", "end_date": "2024-03-31"}, []),
            ({"type": "SELL"}, ["late", "first"]),
            ({"type": "buy", "end_date": "2024-12-31"}, ["leap", "eve"]),
            ({"currency": "usd"}, ["leap"]),
            ({"order_by": "transaction_date", "per_page": 2}, ["first", "eve"]),
            ({"order_by": "amount", "per_page": 1}, ["late"]),
        ],
    )
    def test_filters_choose_and_both_days_are_included(
        self, viewer: Caller, query: dict[str, str], wanted: list[str]
    ) -> None:
        assert ids(viewer, f"{CLIENTS}/7/transactions", **query) == wanted

    def test_pages_follow_each_other_over_the_partitions(self, viewer: Caller) -> None:
        for order in ("-id", "id", "transaction_date", "-transaction_date"):
            path: str | None = f"{CLIENTS}/7/transactions?per_page=2&order_by={order}"
            seen: list[str] = []
            while path:
                page = viewer.get(path).json
                seen += [row["transaction_id"] for row in page["data"]]
                path = page["next"]
            assert len(seen) == len(set(seen)) == 5

    @each(
        ("query", "pointer"),
        [
            ({"start_date": "2024-03-01", "end_date": "2024-02-29"}, "/end_date"),
            ({"start_date": "2023-02-29"}, "/start_date"),
            ({"end_date": "tomorrow"}, "/end_date"),
            ({"type": "gift"}, "/type"),
            ({"currency": "EURO"}, "/currency"),
        ],
    )
    def test_what_makes_no_sense_is_400(self, viewer: Caller, query: dict[str, str], pointer: str) -> None:
        answer = viewer.get(f"{CLIENTS}/7/transactions", query_string=query)
        assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (400, pointer)

    def test_a_client_without_any_has_an_empty_list_and_an_unknown_one_is_404(self, viewer: Caller) -> None:
        a_client("9")
        assert ids(viewer, f"{CLIENTS}/9/transactions") == []
        assert viewer.get(f"{CLIENTS}/10/transactions").status_code == 404


class TestAll:
    def test_each_names_its_client_and_keeps_its_amount_exactly(self, viewer: Caller, ana: Client) -> None:
        a_transaction(ana, "-9999999999999.99", transaction_id="t1", transaction_date=at("2024-02-29"))
        (row,) = viewer.get(ALL).json["data"]
        kept = {
            "transaction_id": "t1",
            "client_id": "7",
            "transaction_type": "sell",
            "transaction_date": "2024-02-29T00:00:00+00:00",
            "currency": "EUR",
            "amount": "-9999999999999.99",
            "import_id": None,
        }
        assert {name: row[name] for name in kept} == kept

    def test_filters(self, viewer: Caller, ana: Client) -> None:
        imported = uuid4()
        a_transaction(ana, transaction_id="a", transaction_date=at("2020-01-01"))
        a_transaction(ana, transaction_id="b", transaction_date=at("2020-01-02", "12:00:00"))
        a_transaction(a_client("8"), "-1", transaction_id="c", import_id=imported)
        assert ids(viewer, ALL) == ["c", "b", "a"]
        assert ids(viewer, ALL, client_id="7") == ["b", "a"]
        assert ids(viewer, ALL, client_id="nobody") == []
        assert ids(viewer, ALL, type="sell") == ["c"]
        assert ids(viewer, ALL, currency="eur", to="2020-01-01") == ["a"]
        assert ids(viewer, ALL, **{"from": "2020-01-02", "to": "2020-01-02"}) == ["b"]
        assert ids(viewer, ALL, **{"from": "2020-01-02T12:00:00.000001Z"}) == ["c"]
        assert ids(viewer, ALL, import_id=str(imported)) == ["c"]
        answer = viewer.get(ALL, query_string={"from": "2020-01-02", "to": "2020-01-01"})
        assert answer.status_code == 400

    def test_all_of_them_come_in_the_order_of_their_ids_alone(self, viewer: Caller) -> None:
        answer = viewer.get(ALL, query_string={"order_by": "transaction_date"})
        assert answer.status_code == 400
        assert answer.json["errors"][0]["message"] == "Allowed are: id, -id."

    def test_a_long_page_costs_as_many_statements_as_a_short_one(
        self, viewer: Caller, adapters: Adapters
    ) -> None:
        for _ in range(12):
            a_transaction(a_client())
        statements: list[str] = []

        def note(*arguments: Any) -> None:
            statements.append(arguments[2])

        event.listen(adapters.database.bind, "before_cursor_execute", note)
        counts = []
        for length in (1, 12):
            statements.clear()
            assert len(ids(viewer, ALL, per_page=length)) == length
            counts.append(len(statements))
        event.remove(adapters.database.bind, "before_cursor_execute", note)
        assert counts[0] == counts[1]


class TestStatistics:
    def test_they_add_up_in_all_and_by_currency(self, viewer: Caller, ana: Client) -> None:
        for amount, currency in (("10.10", "EUR"), ("0.05", "EUR"), ("-3", "EUR"), ("-7.5", "USD")):
            a_transaction(ana, amount, currency=currency)
        a_transaction(a_client("8"), "99")
        refresh()
        answer = viewer.get(f"{CLIENTS}/7/statistics").json
        as_of = datetime.fromisoformat(answer.pop("as_of"))
        assert as_of <= datetime.now(UTC) + timedelta(minutes=1)
        eur = {"currency": "EUR", "total_transactions": 3, "total_spent": "10.15", "total_gained": "3.00"}
        usd = {"currency": "USD", "total_transactions": 1, "total_spent": "0.00", "total_gained": "7.50"}
        assert answer == {
            "client_id": "7",
            "total_transactions": 4,
            "total_spent": "10.15",
            "total_gained": "10.50",
            "by_currency": [eur, usd],
        }

    def test_without_transactions_all_is_zero(self, viewer: Caller, ana: Client) -> None:
        answer = viewer.get(f"{CLIENTS}/7/statistics").json
        assert answer["by_currency"] == []
        assert [answer[f"total_{name}"] for name in ("transactions", "spent", "gained")] == [
            0,
            "0.00",
            "0.00",
        ]
        assert answer["as_of"]

"""Lists: by cursor or by page, in any order on offer, as JSON, CSV or XLSX."""

import base64
import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook
from sqlalchemy import insert
from werkzeug.test import TestResponse

from src.domain.ids import uuid7
from src.models import Account
from src.wiring import services
from tests.api.nouns import ACCOUNTS, FILES, JOBS, KEYS, a_file
from tests.factories.accounts import Caller

each = pytest.mark.parametrize
quick = settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0"]
BAD_QUERIES = (
    "per_page=0",
    "per_page=-1",
    "per_page=501",
    "per_page=1000000000",
    "per_page=1e9",
    "per_page=ten",
    "per_page=%00",
    "page=0",
    "page=-1",
    "page=99999999999999999999",
    "order_by=password_hash",
    "order_by=",
    "order_by=--id",
    "order_by=id;DROP TABLE account",
    "order_by=id,name",
    "order_by=%00",
    "format=pdf",
    "cursor=garbage",
)
HARMLESS = ["1=1", "-5", "+3.25", " =1", "", 'quo"te, comma', "linha\nnova", "Ágata"]
ORDERS = [sign + column for column in ("id", "created_at", "name") for sign in ("", "-")]


def insert_accounts(names: list[str]) -> None:
    """Rows with names and times that repeat, so that only the id tells them apart."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        {
            "id": uuid7(),
            "username": f"user{number}",
            "name": name,
            "role": "viewer",
            "password_hash": "none",
            "created_at": began + timedelta(hours=number % 4),
        }
        for number, name in enumerate(names)
    ]
    with services() as s:
        s.session.execute(insert(Account), rows)


@pytest.fixture
def people(admin: Caller) -> list[str]:
    """Fifteen accounts besides the administrator's, in the order they were made."""
    insert_accounts([f"name {number % 7}" for number in range(15)])
    return [
        row["id"]
        for row in admin.get(ACCOUNTS, query_string={"order_by": "id", "per_page": 500}).json["data"]
    ]


def walk(caller: Caller, address: str | None, direction: str) -> Iterator[list[str]]:
    while address is not None:
        answer = caller.get(address)
        assert answer.status_code == 200
        yield [row["id"] for row in answer.json["data"]]
        address = answer.json[direction]


def cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


class TestPages:
    @given(order_by=st.sampled_from(ORDERS), per_page=st.integers(2, 16))
    @settings(quick, max_examples=12)
    def test_following_next_gives_the_whole_order_and_prev_gives_it_backwards(
        self, admin: Caller, people: list[str], order_by: str, per_page: int
    ) -> None:
        path = f"{ACCOUNTS}?order_by={order_by}&per_page={per_page}"
        whole = admin.get(f"{ACCOUNTS}?order_by={order_by}&per_page=500").json["data"]
        key = order_by.removeprefix("-")
        ordered = sorted(whole, key=lambda row: (row[key], row["id"]), reverse=order_by.startswith("-"))
        assert [row["id"] for row in whole] == [row["id"] for row in ordered]

        pages = list(walk(admin, path, "next"))
        assert [id_ for page in pages for id_ in page] == [row["id"] for row in ordered]
        assert all(len(page) == per_page for page in pages[:-1])

        last = path
        while (following := admin.get(last).json["next"]) is not None:
            last = following
        backwards = list(walk(admin, last, "prev"))
        assert [id_ for page in backwards[::-1] for id_ in page] == [row["id"] for row in ordered]

    @given(per_page=st.integers(1, 16))
    @settings(quick, max_examples=10)
    def test_pages_by_number_are_the_same_pages(
        self, admin: Caller, people: list[str], per_page: int
    ) -> None:
        number, found = 1, []
        while rows := admin.get(f"{ACCOUNTS}?order_by=id&per_page={per_page}&page={number}").json["data"]:
            found += [row["id"] for row in rows]
            number += 1
        assert found == people

    def test_rows_added_meanwhile_neither_repeat_nor_hide_others(
        self, admin: Caller, people: list[str]
    ) -> None:
        first = admin.get(f"{ACCOUNTS}?per_page=10").json
        insert_extra()
        rest = [id_ for page in walk(admin, first["next"], "next") for id_ in page]
        assert [row["id"] for row in first["data"]] + rest == people[::-1]

    def test_without_more_rows_there_are_no_links(self, admin: Caller) -> None:
        answer = admin.get(ACCOUNTS)
        assert (answer.json["next"], answer.json["prev"]) == (None, None)
        assert "Link" not in answer.headers

    def test_ten_rows_are_the_default_newest_first(self, admin: Caller, people: list[str]) -> None:
        assert [row["id"] for row in admin.get(ACCOUNTS).json["data"]] == people[:-11:-1]

    def test_links_keep_the_filters_and_are_in_the_header_too(self, admin: Caller, people: list[str]) -> None:
        path = f"{ACCOUNTS}?role=viewer&per_page=5&order_by=name&page=2"
        answer = admin.get(path)
        for name in ("next", "prev"):
            query = parse_qs(urlsplit(answer.json[name]).query)
            assert query.pop("cursor")
            assert query == {"role": ["viewer"], "per_page": ["5"], "order_by": ["name"]}
            assert f'<{answer.json[name]}>; rel="{name}"' in answer.headers["Link"]

    def test_a_page_behind_the_last_is_empty(self, admin: Caller) -> None:
        answer = admin.get(f"{ACCOUNTS}?page=1000")
        assert (answer.status_code, answer.json["data"]) == (200, [])

    def test_a_page_too_deep_to_be_counted_is_400(self, admin: Caller) -> None:
        assert admin.get(f"{ACCOUNTS}?page=201&per_page=500").status_code == 200
        answer = admin.get(f"{ACCOUNTS}?page=202&per_page=500")
        assert (answer.status_code, answer.json["type"]) == (400, "/problems/page-too-deep")


class TestBadQueries:
    @each("path", [ACCOUNTS, FILES, JOBS, KEYS, "/api/v1/audit"])
    def test_it_is_400(self, admin: Caller, path: str) -> None:
        for query in BAD_QUERIES:
            assert admin.get(f"{path}?{query}").status_code == 400, query

    @each("form", ["json", "csv", "xlsx"])
    def test_a_bad_order_names_the_good_ones_in_every_format(self, admin: Caller, form: str) -> None:
        answer = admin.get(f"{FILES}?order_by=nonsense&format={form}")
        assert (answer.status_code, answer.json["type"]) == (400, "/problems/bad-order")
        assert "id, -id, name, -name, size, -size, created_at, -created_at" in answer.json["detail"]
        assert answer.json["errors"][0]["pointer"] == "/order_by"

    def test_a_cursor_and_a_page_number_do_not_go_together(self, admin: Caller, people: list[str]) -> None:
        following = admin.get(f"{ACCOUNTS}?per_page=5").json["next"]
        assert admin.get(f"{following}&page=2").status_code == 400

    def test_a_cursor_is_good_for_its_own_order_only(self, admin: Caller, people: list[str]) -> None:
        query = parse_qs(urlsplit(admin.get(f"{ACCOUNTS}?per_page=5").json["next"]).query)
        answer = admin.get(ACCOUNTS, query_string={"cursor": query["cursor"][0], "order_by": "name"})
        assert (answer.status_code, answer.json["type"]) == (400, "/problems/bad-order")

    @each(
        "parts",
        [
            ["-id", ["plain", "x"], ["plain", "x"], False],
            ["-id", ["uuid", "not one"], ["uuid", "x"], False],
            ["-id", ["time", "2026-01-01"], ["uuid", "01900000-0000-7000-8000-000000000001"], False],
            ["-id", ["plain", 10**30], ["plain", 1], False],
            ["-id", ["plain", True], ["plain", True], False],
            ["-id", ["plain", None], ["plain", None], False],
            ["-id", ["plain", "a\x00b"], ["plain", 1], False],
            ["-id", ["plain", "\ud800"], ["plain", 1], False],
            ["-id", ["plain", 1.5], ["plain", 1], False],
            ["-id", ["uuid"], ["uuid"], False],
            ["-id"],
            [],
            {"order_by": "-id"},
            7,
        ],
        ids=str,
    )
    def test_a_cursor_that_we_did_not_give_out_is_400(self, admin: Caller, parts: Any) -> None:
        text = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()
        for path in (ACCOUNTS, "/api/v1/audit"):
            answer = admin.get(path, query_string={"cursor": text})
            assert (answer.status_code, answer.json["type"]) == (400, "/problems/bad-cursor")

    @given(
        order_by=st.sampled_from(ORDERS),
        kinds=st.tuples(
            st.sampled_from(["uuid", "time", "plain"]), st.sampled_from(["uuid", "time", "plain"])
        ),
        values=st.tuples(
            st.one_of(st.text(), st.integers(), st.none(), st.booleans(), st.uuids().map(str)),
            st.one_of(st.uuids().map(str), st.text(), st.datetimes().map(str)),
        ),
        is_backward=st.one_of(st.booleans(), st.text()),
    )
    @quick
    def test_no_cursor_whatever_is_an_error_of_ours(
        self, admin: Caller, order_by: str, kinds: Any, values: Any, is_backward: Any
    ) -> None:
        text = cursor(order_by, [kinds[0], values[0]], [kinds[1], values[1]], is_backward)
        answer = admin.get(ACCOUNTS, query_string={"cursor": text, "order_by": order_by})
        assert answer.status_code in (200, 400)

    @given(text=st.text(max_size=60))
    @quick
    def test_no_text_for_a_cursor_is_an_error_of_ours(self, admin: Caller, text: str) -> None:
        query = {"cursor": text.encode("utf-8", "replace").decode()}
        assert admin.get(ACCOUNTS, query_string=query).status_code in (200, 400)


class TestFiles:
    @pytest.fixture
    def odd(self, admin: Caller) -> list[str]:
        """Accounts whose names a spreadsheet would run."""
        names = FORMULAS + HARMLESS
        insert_accounts(names)
        return names

    def rows(self, answer: TestResponse) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(answer.get_data(as_text=True), newline="")))

    def test_as_csv_all_rows_come_with_a_header(self, admin: Caller, people: list[str]) -> None:
        answer = admin.get(f"{ACCOUNTS}?format=csv&order_by=id&per_page=3")
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="accounts.csv"'
        rows = self.rows(answer)
        assert [row["id"] for row in rows] == people
        assert list(rows[0]) == list(admin.get(ACCOUNTS).json["data"][0])

    def test_as_csv_nothing_is_a_formula(self, admin: Caller, odd: list[str]) -> None:
        found = [
            row["name"] for row in self.rows(admin.get(f"{ACCOUNTS}?format=csv&order_by=id&role=viewer"))
        ]
        assert found == [f"'{name}" for name in FORMULAS] + HARMLESS

    def test_as_xlsx_nothing_is_a_formula(self, admin: Caller, odd: list[str]) -> None:
        answer = admin.get(f"{ACCOUNTS}?format=xlsx&order_by=id&role=viewer")
        assert answer.headers["Content-Disposition"] == 'attachment; filename="accounts.xlsx"'
        assert b"<f>" not in answer.data
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(answer.data)).get_sheet_by_index(0).to_python()
        place = sheet[0].index("name")
        found = [str(row[place]) for row in sheet[1:]]
        assert [name.replace("_x000D_", "\r") for name in found] == [
            f"'{name}" for name in FORMULAS
        ] + HARMLESS

    @each("form", ["csv", "xlsx"])
    def test_the_filters_hold(self, admin: Caller, people: list[str], form: str) -> None:
        answer = admin.get(f"{ACCOUNTS}?format={form}&role=admin")
        if form == "csv":
            assert len(self.rows(answer)) == 1
        else:
            workbook = CalamineWorkbook.from_filelike(io.BytesIO(answer.data))
            assert len(workbook.get_sheet_by_index(0).to_python()) == 2

    def test_more_rows_than_a_page_has_come_once_each(self, admin: Caller) -> None:
        insert_accounts(["same"] * 1_100)
        rows = self.rows(admin.get(f"{ACCOUNTS}?format=csv&order_by=name"))
        assert len({row["id"] for row in rows}) == len(rows) == 1_101

    def test_a_cursor_does_not_cut_the_file(self, admin: Caller, people: list[str]) -> None:
        following = admin.get(f"{ACCOUNTS}?order_by=id&per_page=5").json["next"]
        rows = self.rows(admin.get(f"{following}&format=csv"))
        assert [row["id"] for row in rows] == people

    @each("path", [FILES, JOBS, KEYS, "/api/v1/audit"])
    def test_every_list_can_be_a_file(self, admin: Caller, path: str) -> None:
        a_file(admin)
        assert admin.get(f"{path}?format=csv").status_code == 200
        assert admin.get(f"{path}?format=xlsx").data.startswith(b"PK")

    def test_what_has_members_is_written_as_json(self, admin: Caller, app: Flask) -> None:
        file = a_file(admin)
        (row,) = self.rows(admin.get(f"{FILES}?format=csv"))
        assert json.loads(row["detected"]) == file["detected"]


def insert_extra() -> None:
    with services() as s:
        s.session.add(Account(username="extra", name="extra", role="viewer", password_hash="none"))


@pytest.mark.parametrize(
    ("path", "query", "pointer"),
    [
        ("alerts", "from=2026-02-01&to=2026-01-31", "/to"),
        ("atendimento", "from=2026-02-01&to=2026-01-31", "/to"),
        ("transactions", "from=2026-02-01&to=2026-01-31", "/to"),
        ("events", "from_t=8&to_t=7", "/to_t"),
        ("clients", "min_balance=2&max_balance=1.99", "/max_balance"),
        ("clients", "created_after=2026-02-01&created_before=2026-01-31", "/created_before"),
    ],
)
def test_a_range_that_ends_before_it_begins_is_refused(
    viewer: Caller, path: str, query: str, pointer: str
) -> None:
    answer = viewer.get(f"/api/v1/{path}?{query}")
    assert answer.status_code == 400
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [(pointer, "bad_range")]

"""Atendimentos over HTTP: recorded, found, changed, deleted; angels and polos with their counts."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, event, text
from werkzeug.test import TestResponse

from src.domain.paging import DEEPEST_OFFSET
from src.models import Atendimento
from src.wiring import services
from tests.factories.accounts import Caller
from tests.factories.atendimentos import LIMIT, an_atendimento, atendimentos

each = pytest.mark.parametrize
ALL = "/api/v1/atendimento"
ORDERS = (
    "id",
    "data_limite",
    "data_de_atendimento",
    "cliente_id",
    "angel",
    "polo",
    "status",
    "created_at",
    "updated_at",
)
VISIT: dict[str, Any] = {
    "id_cliente": 7,
    "angel": "Rita",
    "polo": "Centro",
    "data_limite": "2021-06-30T15:30",
    "data_de_atendimento": "2021-06-30 14:00",
    "status": "done",
}


def post(caller: Caller, address: str = ALL, **members: Any) -> TestResponse:
    body = {name: value for name, value in (VISIT | members).items() if value is not ...}
    return caller.post(address, json=body)


def pointers(answer: TestResponse) -> list[str]:
    return sorted(fault["pointer"] for fault in answer.json["errors"])


@contextmanager
def counted_statements(connection: Connection) -> Iterator[list[str]]:
    """The statements that read atendimentos, angels or polos."""
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if any(table in statement for table in ("atendimento", "angel", "polo", "indicator")):
            seen.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    yield seen
    event.remove(connection, "before_cursor_execute", note)


class TestCreate:
    def test_it_answers_201_with_the_published_members_an_address_and_an_etag(self, operator: Caller) -> None:
        answer = post(operator)
        assert answer.status_code == 201
        row = answer.json
        assert answer.headers["Location"] == f"{ALL}/{row['id']}"
        assert answer.headers["ETag"]
        shown = {name: row[name] for name in row if name not in ("id", "created_at", "updated_at")}
        assert shown == {
            "cliente_id": 7,
            "angel": "Rita",
            "polo": "Centro",
            "data_limite": "2021-06-30T15:30:00",
            "data_de_atendimento": "2021-06-30T14:00:00",
            "status": "DONE",
        }
        assert operator.get(answer.headers["Location"]).json == row

    @each(
        ("sent", "shown"),
        [
            (7, 7),
            ("7", 7),
            (" 7 ", 7),
            ("007", "007"),
            (0, 0),
            (-5, -5),
            ("ACME-1", "ACME-1"),
            ("9" * 50, "9" * 50),
        ],
    )
    def test_a_client_comes_back_as_it_went_a_number_when_it_is_one(
        self, operator: Caller, sent: Any, shown: Any
    ) -> None:
        assert post(operator, id_cliente=sent).json["cliente_id"] == shown

    def test_the_status_is_pending_unless_said_and_a_visit_need_not_have_been(self, operator: Caller) -> None:
        row = post(operator, status=..., data_de_atendimento=...).json
        assert (row["status"], row["data_de_atendimento"]) == ("PENDING", None)

    def test_the_same_names_are_the_same_client_angel_and_polo(
        self, operator: Caller, connection: Connection
    ) -> None:
        for _ in range(3):
            assert post(operator, angel=" Rita ").status_code == 201
        for table in ("client", "angel", "polo"):
            assert connection.scalar(text(f"SELECT count(*) FROM {table}")) == 1

    @each("name", ["id_cliente", "angel", "polo", "data_limite"])
    def test_what_is_missing_is_400_with_its_pointer(self, operator: Caller, name: str) -> None:
        answer = post(operator, **{name: ...})
        assert (answer.status_code, pointers(answer)) == (400, [f"/{name}"])

    @each(
        ("name", "value"),
        [
            ("id_cliente", ""),
            ("id_cliente", True),
            ("id_cliente", 7.5),
            ("id_cliente", None),
            ("id_cliente", "x" * 51),
            ("id_cliente", "a\nb"),
            ("id_cliente", ".."),
            ("id_cliente", "a/statistics"),
            ("id_atendimento", "a\tb"),
            ("id_atendimento", []),
            ("angel", " "),
            ("angel", "x" * 101),
            ("polo", 7),
            ("polo", "a\x00b"),
            ("status", ""),
            ("status", "x" * 51),
            ("status", None),
            ("data_limite", "2021-02-30"),
            ("data_limite", "30/06/2021"),
            ("data_limite", "infinity"),
            ("data_limite", None),
            ("data_limite", 20210630),
            ("data_limite", "0021-06-30"),
            ("data_limite", "1899-12-31 23:59"),
            ("data_limite", "2101-01-01"),
            ("data_de_atendimento", "9999-12-31"),
            ("data_de_atendimento", "soon"),
            ("version", 7),
            ("date_order", "ydm"),
        ],
        ids=str,
    )
    def test_what_cannot_be_kept_is_400_with_its_pointer(
        self, operator: Caller, name: str, value: Any
    ) -> None:
        answer = post(operator, **{name: value})
        assert (answer.status_code, pointers(answer)) == (400, [f"/{name}"])

    def test_all_faults_are_told_at_once(self, operator: Caller) -> None:
        answer = post(operator, angel=..., data_limite="never", data_de_atendimento="never")
        assert pointers(answer) == ["/angel", "/data_de_atendimento", "/data_limite"]

    @each("place", ["body", "address"])
    def test_days_may_come_first_when_that_is_said(self, operator: Caller, place: str) -> None:
        members = {"data_limite": "03/04/2021 15:30", "data_de_atendimento": "2021-04-03"}
        if place == "body":
            answer = post(operator, date_order="dmy", **members)
        else:
            answer = post(operator, f"{ALL}?date_order=dmy", **members)
        assert answer.json["data_limite"] == "2021-04-03T15:30:00"
        assert answer.json["data_de_atendimento"] == "2021-04-03T00:00:00"

    def test_an_offset_is_converted_to_the_wall_clock_of_the_business(
        self, operator: Caller, change: Any
    ) -> None:
        assert post(operator, data_limite="2021-06-30T15:30:00Z").json["data_limite"] == "2021-06-30T12:30:00"
        change(business_time_zone="Asia/Tokyo")
        assert post(operator, data_limite="2021-06-30T15:30:00Z").json["data_limite"] == "2021-07-01T00:30:00"

    def test_an_outside_id_is_unique_until_its_row_is_deleted(self, operator: Caller) -> None:
        first = post(operator, id_atendimento=700).json
        again = post(operator, id_atendimento="700")
        assert (again.status_code, again.json["type"]) == (409, "/problems/atendimento-exists")
        place = again.json["detail"].removeprefix("It is found by ")
        assert [row["id"] for row in operator.get(place).json["data"]] == [first["id"]]
        operator.delete(f"{ALL}/{first['id']}")
        assert post(operator, id_atendimento="700").status_code == 201

    def test_without_an_outside_id_there_may_be_many_alike(self, operator: Caller) -> None:
        assert [post(operator, id_atendimento=None).status_code for _ in range(2)] == [201, 201]

    def test_the_same_request_with_the_same_key_is_one_visit(self, operator: Caller) -> None:
        first, again, other = (
            operator.post(ALL, json=VISIT | {"polo": polo}, headers={"Idempotency-Key": "k1"})
            for polo in ("Centro", "Centro", "Norte")
        )
        assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
        assert again.headers["Idempotency-Replayed"] == "true"
        for name in ("ETag", "Location"):
            assert again.headers[name] == first.headers[name]
        assert again.json == first.json == operator.get(first.headers["Location"]).json
        assert operator.get(ALL).json["data"] == [first.json]

    def test_a_viewer_may_read_and_not_write(self, viewer: Caller, operator: Caller) -> None:
        address = post(operator).headers["Location"]
        assert viewer.get(address).status_code == viewer.get(ALL).status_code == 200
        assert post(viewer).status_code == viewer.delete(address).status_code == 403


class TestChange:
    @pytest.fixture
    def address(self, operator: Caller) -> str:
        return str(post(operator).headers["Location"])

    def test_put_sets_both_dates_and_leaves_a_status_that_is_not_given(
        self, operator: Caller, address: str
    ) -> None:
        dates = {"data_limite": "2021-07-01T10:00:00", "data_de_atendimento": None}
        answer = operator.put(address, json=dates)
        assert answer.status_code == 200
        assert {name: answer.json[name] for name in dates} == dates
        assert answer.json["status"] == "DONE"
        assert operator.put(address, json=dates | {"status": "lost"}).json["status"] == "LOST"

    @each("name", ["data_limite", "data_de_atendimento"])
    def test_put_wants_both_dates(self, operator: Caller, address: str, name: str) -> None:
        dates = {"data_limite": "2021-07-01", "data_de_atendimento": None}
        answer = operator.put(address, json={key: value for key, value in dates.items() if key != name})
        assert (answer.status_code, pointers(answer)) == (400, [f"/{name}"])

    @each(
        ("name", "sent", "shown"),
        [
            ("data_limite", "2021-07-01 10:00", "2021-07-01T10:00:00"),
            ("data_de_atendimento", "2021-07-02", "2021-07-02T00:00:00"),
            ("data_de_atendimento", None, None),
            ("status", "waiting", "WAITING"),
        ],
    )
    def test_patch_changes_what_is_given_and_nothing_else(
        self, operator: Caller, address: str, name: str, sent: Any, shown: Any
    ) -> None:
        before: dict[str, Any] = operator.get(address).json or {}
        answer = operator.patch(address, json={name: sent})
        assert answer.status_code == 200
        assert answer.json == before | {name: shown, "updated_at": answer.json["updated_at"]}
        assert answer.json["updated_at"] > before["updated_at"]
        assert operator.get(address).json == answer.json

    @each("method", ["put", "patch"])
    @each("name", ["data_limite", "data_de_atendimento"])
    def test_dates_out_of_bounds_are_refused_with_the_bounds(
        self, operator: Caller, address: str, method: str, name: str
    ) -> None:
        dates = {"data_limite": "1900-01-01", "data_de_atendimento": "2100-12-31T23:59:59.999999"}
        assert operator.call(method, address, json=dates).status_code == 200
        answer = operator.call(method, address, json=dates | {name: "0021-06-30"})
        assert (answer.status_code, pointers(answer)) == (400, [f"/{name}"])
        assert answer.json["errors"][0]["message"] == "It must lie between 1900-01-01 and 2100-12-31."

    @each("method", ["put", "patch"])
    @each("name", ["angel", "polo", "id_cliente", "id", "version"])
    def test_who_and_where_stays(self, operator: Caller, address: str, method: str, name: str) -> None:
        dates = {"data_limite": "2021-07-01", "data_de_atendimento": None}
        answer = operator.call(method, address, json=dates | {name: "7"})
        assert (answer.status_code, pointers(answer)) == (400, [f"/{name}"])

    def test_every_change_counts_as_a_version_and_none_does_not(
        self, operator: Caller, address: str, connection: Connection
    ) -> None:
        version = text("SELECT version FROM atendimento")
        operator.patch(address, json={"status": "a"})
        operator.patch(address, json={"status": "A"})
        operator.patch(address, json={})
        assert connection.scalar(version) == 2
        operator.delete(address)
        assert connection.scalar(version) == 3

    def test_a_change_by_someone_who_has_not_seen_the_last_one_is_412(
        self, operator: Caller, address: str
    ) -> None:
        seen = operator.get(address).headers["ETag"]
        assert operator.patch(address, json={"status": "a"}, headers={"If-Match": seen}).status_code == 200
        refused: tuple[tuple[str, Any], ...] = (("patch", {"status": "b"}), ("delete", None))
        for method, body in refused:
            answer = operator.call(method, address, json=body, headers={"If-Match": seen})
            assert (answer.status_code, answer.json["type"]) == (412, "/problems/precondition-failed")
        assert operator.get(address, headers={"If-None-Match": seen}).status_code == 200
        assert operator.get(address).json["status"] == "A"

    def test_what_a_client_has_already_is_304(self, operator: Caller, address: str) -> None:
        seen = operator.get(address).headers["ETag"]
        for method in ("get", "head"):
            answer = operator.call(method, address, headers={"If-None-Match": seen})
            assert answer.status_code == 304

    def test_deleted_it_is_gone_for_everyone_and_its_row_stays(
        self, operator: Caller, address: str, connection: Connection
    ) -> None:
        assert operator.delete(address).status_code == 204
        dates = {"data_limite": "2021-07-01", "data_de_atendimento": None}
        for method in ("get", "put", "patch", "delete"):
            body = dates if method in ("put", "patch") else None
            answer = operator.call(method, address, json=body)
            assert (answer.status_code, answer.json["type"]) == (404, "/problems/atendimento-not-found")
        assert operator.get(ALL).json["data"] == []
        assert connection.scalar(text("SELECT count(*) FROM atendimento WHERE deleted_at IS NOT NULL")) == 1

    def test_who_deleted_it_stands_in_the_audit(self, operator: Caller, admin: Caller, address: str) -> None:
        operator.delete(address)
        entry = admin.get("/api/v1/audit?per_page=1").json["data"][0]
        assert (entry["action"], entry["object_id"]) == ("atendimento.deleted", address.rpartition("/")[2])

    @each("id_", ["0", str(2**63), str(10**30), "x"])
    def test_an_id_that_nothing_has_is_404(self, operator: Caller, id_: str) -> None:
        assert operator.get(f"{ALL}/{id_}").status_code == 404
        dates = {"data_limite": "2021-07-01", "data_de_atendimento": None}
        assert operator.put(f"{ALL}/{id_}", json=dates).status_code == 404


class TestList:
    @pytest.fixture
    def rows(self, app: Any) -> list[Atendimento]:
        """Twelve that differ in everything; every third is not attended."""
        ids = atendimentos(
            *(
                {
                    "id_cliente": str(number % 5),
                    "angel": f"angel {number % 4}",
                    "polo": f"polo {number % 3}",
                    "data_limite": LIMIT + timedelta(days=number % 6),
                    "data_de_atendimento": None if number % 3 == 0 else LIMIT + timedelta(days=number % 4),
                    "status": f"S{number % 2}",
                    "import_id": UUID(int=number % 2),
                }
                for number in range(12)
            )
        )
        with services() as s:
            return [s.atendimento_rows.get(id_) for id_ in ids]

    def ids(self, caller: Caller, query: str) -> list[int]:
        answer = caller.get(f"{ALL}?per_page=500&{query}")
        assert answer.status_code == 200, answer.text
        return [row["id"] for row in answer.json["data"]]

    @each("sign", ["", "-"])
    @each("name", ORDERS)
    def test_every_order_is_followed_over_all_pages_there_and_back(
        self, viewer: Caller, rows: list[Atendimento], name: str, sign: str
    ) -> None:
        whole = self.ids(viewer, f"order_by={sign}{name}")
        by_id = {row["id"]: row for row in viewer.get(f"{ALL}?per_page=500").json["data"]}
        values = [by_id[id_][name] for id_ in whole]
        known = [value for value in values if value is not None]
        assert known == sorted(known, reverse=bool(sign))
        gaps = len(values) - len(known)
        assert values[:gaps] == [None] * gaps if sign else values[len(known) :] == [None] * gaps
        for per_page in (2, 3, 5):
            address, found, last = f"{ALL}?order_by={sign}{name}&per_page={per_page}", [], ""
            while address:
                page = viewer.get(address).json
                found += [row["id"] for row in page["data"]]
                address, last = page["next"], address
            assert found == whole
            back: list[int] = []
            while last:
                page = viewer.get(last).json
                back = [row["id"] for row in page["data"]] + back
                last = page["prev"]
            assert back == whole

    def test_cursors_are_for_id_and_dates_the_others_go_by_page_number(
        self, viewer: Caller, rows: list[Atendimento]
    ) -> None:
        for name in ORDERS:
            link = viewer.get(f"{ALL}?order_by={name}&per_page=2").json["next"]
            assert ("cursor=" in link) == (name in ORDERS[:3]), name

    def test_a_cursor_made_up_for_an_order_without_one_is_400(self, viewer: Caller) -> None:
        link = viewer.get(
            f"{ALL}?order_by=angel&cursor=WyJhbmdlbCIsWyJwbGFpbiIsIngiXSxbInBsYWluIiwxXSxmYWxzZV0"
        )
        assert (link.status_code, link.json["type"]) == (400, "/problems/bad-cursor")

    def test_an_unknown_order_is_400_and_lists_the_known_ones(self, viewer: Caller) -> None:
        answer = viewer.get(f"{ALL}?order_by=color")
        assert (answer.status_code, answer.json["type"]) == (400, "/problems/bad-order")
        for name in ORDERS:
            assert f"{name}, -{name}" in answer.json["detail"]

    def test_a_page_number_is_good_to_a_depth(self, viewer: Caller) -> None:
        assert viewer.get(f"{ALL}?order_by=angel&per_page=500&page=201").status_code == 200
        answer = viewer.get(f"{ALL}?order_by=angel&per_page=500&page=202")
        assert answer.json["type"] == "/problems/page-too-deep"

    @each(
        ("query", "keeps"),
        [
            ("id_cliente=3", lambda row: row.client.external_id == "3"),
            ("angel=angel 1", lambda row: row.angel.name == "angel 1"),
            ("polo=polo 2", lambda row: row.polo.name == "polo 2"),
            ("status=s1", lambda row: row.status == "S1"),
            ("from=2021-07-02", lambda row: row.data_limite >= datetime(2021, 7, 2)),
            ("to=2021-07-02", lambda row: row.data_limite < datetime(2021, 7, 3)),
            ("to=2021-07-02T15:30", lambda row: row.data_limite <= datetime(2021, 7, 2, 15, 30)),
            ("to=2021-07-02T15:29", lambda row: row.data_limite < datetime(2021, 7, 2)),
            ("from=02/07/2021&date_order=dmy", lambda row: row.data_limite >= datetime(2021, 7, 2)),
            (
                "on_time=true",
                lambda row: row.data_de_atendimento and row.data_de_atendimento <= row.data_limite,
            ),
            (
                "on_time=false",
                lambda row: row.data_de_atendimento and row.data_de_atendimento > row.data_limite,
            ),
            (f"import_id={UUID(int=1)}", lambda row: row.import_id == UUID(int=1)),
            ("polo=polo 2&status=S1", lambda row: row.polo.name == "polo 2" and row.status == "S1"),
            ("angel=nobody", lambda row: False),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_filter_keeps_what_it_says(
        self, viewer: Caller, rows: list[Atendimento], query: str, keeps: Any
    ) -> None:
        wanted = [row.id for row in rows if keeps(row)]
        assert self.ids(viewer, f"order_by=id&{query}") == wanted
        assert len(wanted) < len(rows)

    @each("query", ["from=soon", "to=2021-02-30", "on_time=perhaps", "import_id=7", "id_cliente="])
    def test_a_filter_that_makes_no_sense_is_400(self, viewer: Caller, query: str) -> None:
        answer = viewer.get(f"{ALL}?{query}")
        assert (answer.status_code, pointers(answer)) == (400, [f"/{query.partition('=')[0]}"])

    @each("query", ["", "&order_by=angel", "&angel=angel 1&polo=polo 1", "&order_by=-data_de_atendimento"])
    def test_a_list_is_one_statement_however_long_it_is(
        self, viewer: Caller, rows: list[Atendimento], connection: Connection, query: str
    ) -> None:
        for per_page in (1, 500):
            with counted_statements(connection) as seen:
                assert viewer.get(f"{ALL}?per_page={per_page}{query}").status_code == 200
            assert len(seen) == 1, seen

    def test_as_csv_the_names_and_local_times_are_there(
        self, viewer: Caller, rows: list[Atendimento]
    ) -> None:
        lines = viewer.get(f"{ALL}?format=csv&order_by=polo").text.split("\r\n")
        assert lines[0].startswith("id,cliente_id,angel,polo,data_limite")
        assert len(lines) == len(rows) + 2
        assert ",polo 0,2021-06-30T15:30:00," in lines[1]

    def test_a_file_in_an_order_by_page_is_whole_or_refused_at_once(
        self, viewer: Caller, connection: Connection
    ) -> None:
        an_atendimento()
        connection.execute(
            text("""INSERT INTO atendimento (client_id, angel_id, polo_id, data_limite)
                SELECT client_id, angel_id, polo_id, data_limite FROM atendimento, generate_series(1, :count)"""),
            {"count": DEEPEST_OFFSET},
        )
        answer = viewer.get(f"{ALL}?format=csv&order_by=status")
        assert (answer.status_code, answer.json["type"]) == (400, "/problems/page-too-deep")


class TestNames:
    @each("noun", ["angel", "polo"])
    def test_they_are_listed_with_their_counts(self, viewer: Caller, app: Any, noun: str) -> None:
        late = LIMIT + timedelta(minutes=1)
        for done in (LIMIT, late, None):
            an_atendimento(**{noun: "A"}, data_de_atendimento=done)
        gone = an_atendimento(**{noun: "B"})
        with services() as s:
            s.atendimentos.delete(s.atendimento_rows.lock(gone.id), None)
        found = viewer.get(f"/api/v1/{noun}s?order_by=name").json["data"]
        shown = [(row["name"], row["atendimentos"], row["attended"], row["on_time"]) for row in found]
        assert shown == [("A", 3, 2, 1), ("B", 0, 0, 0)]
        assert found[0].keys() == {"id", "name", "atendimentos", "attended", "on_time", "created_at"}

    def test_a_list_of_them_is_two_statements(self, viewer: Caller, app: Any, connection: Connection) -> None:
        for number in range(5):
            an_atendimento(angel=f"angel {number}")
        with counted_statements(connection) as seen:
            assert len(viewer.get("/api/v1/angels").json["data"]) == 5
        assert len(seen) == 2

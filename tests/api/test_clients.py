"""Clients: found, numbered, changed by one at a time, deleted, brought back, erased."""

from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy import Connection, select, text
from werkzeug.test import TestResponse

from src.domain.outside_ids import BELOW
from src.models import AuditEntry, Client, File, Import, ImportChange
from src.wiring import services
from tests.api.nouns import a_file, an_api_key, an_operation
from tests.factories.accounts import Caller
from tests.factories.atendimentos import an_atendimento
from tests.factories.clients import a_client, a_transaction

CLIENTS = "/api/v1/clients"
PERSON = {
    "client_id": "7",
    "name": "Ana Souza",
    "email": "ana@example.org",
    "date_of_birth": "1990-02-28",
    "country": "Portugal",
    "account_balance": "10.50",
}
each = pytest.mark.parametrize


def found(caller: Caller, **query: Any) -> list[str]:
    answer = caller.get(CLIENTS, query_string=query)
    assert answer.status_code == 200, answer.text
    return [row["client_id"] for row in answer.json["data"]]


def faults(answer: TestResponse) -> list[str]:
    assert answer.status_code == 400, answer.text
    return [fault["pointer"] for fault in answer.json["errors"]]


def row_of(external_id: str) -> Client:
    with services() as s:
        row = s.client_rows.find_by_external_id(external_id)
    assert row is not None
    return row


class TestSearch:
    @pytest.fixture(autouse=True)
    def people(self, app: Any) -> None:
        a_client("1", name="Ana Souza", email="ana@example.org", country="Portugal", account_balance=-5)
        a_client("2", name="ÂNGELA 100%", email="gela_x@example.org", country="portugal", account_balance=10)
        a_client("3", name="Rui", email="rui@other.org", country="Brasil", account_balance="10.01")
        a_client("4")

    @each(
        ("query", "ids"),
        [
            ({}, ["4", "3", "2", "1"]),
            ({"name": "AN"}, ["1"]),
            ({"name": "ân"}, ["2"]),
            ({"name": "100%"}, ["2"]),
            ({"name": "%"}, ["2"]),
            ({"email": "EXAMPLE.org"}, ["2", "1"]),
            ({"email": "a_x"}, ["2"]),
            ({"email": "_"}, ["2"]),
            ({"country": "PORTUGAL"}, ["2", "1"]),
            ({"country": "portu"}, []),
            ({"min_balance": "10"}, ["3", "2"]),
            ({"max_balance": "10.00"}, ["4", "2", "1"]),
            ({"min_balance": "-5", "max_balance": "0"}, ["4", "1"]),
            ({"name": "a", "country": "brasil"}, []),
        ],
    )
    def test_filters_choose_together(self, viewer: Caller, query: dict[str, str], ids: list[str]) -> None:
        assert found(viewer, **query) == ids

    def test_bounds_of_the_time_are_included(self, viewer: Caller) -> None:
        with services() as s:
            s.session.execute(text("UPDATE client SET created_at = '2024-01-31 23:59:59.999999+00'"))
            s.session.execute(
                text("UPDATE client SET created_at = '2024-02-01 00:00+00' WHERE external_id = '1'")
            )
        assert found(viewer, created_before="2024-01-31") == ["4", "3", "2"]
        assert found(viewer, created_after="2024-02-01") == ["1"]
        assert found(viewer, created_after="2024-02-01T01:00:00+01:00") == ["1"]
        assert found(viewer, created_before="2024-02-01T00:00:00Z") == ["4", "3", "2", "1"]

    @each("word", ["limit", "per_page"])
    def test_the_length_has_two_names_and_the_links_go_on_with_it(self, viewer: Caller, word: str) -> None:
        first = viewer.get(CLIENTS, query_string={word: 3}).json
        assert [row["client_id"] for row in first["data"]] == ["4", "3", "2"]
        rest = viewer.get(first["next"]).json
        assert ([row["client_id"] for row in rest["data"]], rest["next"]) == (["1"], None)

    @each("text_", ["0", "1000", "-1", "ten", ""])
    def test_a_limit_out_of_bounds_is_400(self, viewer: Caller, text_: str) -> None:
        assert faults(viewer.get(CLIENTS, query_string={"limit": text_})) == ["/limit"]

    def test_the_largest_limit_is_good_and_ten_is_the_default(self, viewer: Caller) -> None:
        assert len(found(viewer, limit=999)) == 4
        for _ in range(8):
            a_client()
        assert len(found(viewer)) == 10

    @each(
        "query",
        [
            {"min_balance": "much"},
            {"max_balance": "NaN"},
            {"created_after": "yesterday"},
            {"created_before": "2024-02-30"},
            {"created_before": "2024-02-01T00:00:00"},
            {"name": "\x00"},
        ],
    )
    def test_what_is_no_bound_is_400(self, viewer: Caller, query: dict[str, str]) -> None:
        assert faults(viewer.get(CLIENTS, query_string=query)) == [f"/{next(iter(query))}"]

    def test_every_order_works_also_of_what_may_be_empty(self, viewer: Caller) -> None:
        assert found(viewer, order_by="client_id") == ["1", "2", "3", "4"]
        assert found(viewer, order_by="-account_balance")[0] == "3"
        assert found(viewer, order_by="country")[-1] == "4"

    def test_deleted_ones_do_not_show(self, operator: Caller) -> None:
        operator.delete(f"{CLIENTS}/3")
        assert found(operator) == ["4", "2", "1"]

    def test_all_of_them_as_a_file(self, viewer: Caller) -> None:
        lines = viewer.get(CLIENTS, query_string={"format": "csv", "country": "brasil"}).text.splitlines()
        assert lines[0].startswith("id,client_id,name,email")
        assert len(lines) == 2


class TestCreate:
    def test_a_client_comes_back_as_it_was_sent(self, operator: Caller) -> None:
        answer = operator.post(CLIENTS, json=PERSON)
        assert answer.status_code == 201
        assert {name: answer.json[name] for name in PERSON} == PERSON
        assert answer.headers["Location"] == f"{CLIENTS}/7"
        again = operator.get(answer.headers["Location"])
        assert (again.json, again.headers["ETag"]) == (answer.json, answer.headers["ETag"])

    @each("client_id", ["q%201", "/eve", "a//b", "é?#", "x y", "...", "%", "a&b"])
    def test_it_is_where_the_answer_says(self, operator: Caller, client_id: str) -> None:
        made = operator.post(CLIENTS, json={"client_id": client_id})
        assert made.status_code == 201, made.text
        assert operator.get(made.headers["Location"]).json == made.json
        again = operator.post(CLIENTS, json={"client_id": client_id})
        assert (again.status_code, again.json["detail"]) == (409, f"It is at {made.headers['Location']}.")

    def test_no_client_is_called_as_what_stands_below_another(self, app: Flask) -> None:
        start = f"{CLIENTS}/<outside_id:client_id>"
        rules = [rule.rule.removeprefix(start) for rule in app.url_map.iter_rules() if start in rule.rule]
        assert {rule for rule in rules if rule} == set(BELOW)

    def test_a_number_is_the_same_id_as_its_text(self, operator: Caller) -> None:
        assert operator.post(CLIENTS, json={"client_id": 7}).json["client_id"] == "7"
        answer = operator.post(CLIENTS, json={"client_id": " 7 "})
        assert (answer.status_code, answer.json["type"]) == (409, "/problems/client-exists")

    def test_without_an_id_it_gets_the_next_number_that_is_free(
        self, operator: Caller, connection: Connection
    ) -> None:
        # Other tests took numbers, which stay taken when clients are rolled back.
        connection.execute(text("ALTER SEQUENCE client_number RESTART"))
        taken = {str(number) for number in range(1, 40)} - {"1", "17"}
        for number in taken:
            a_client(number)
        given = [operator.post(CLIENTS, json={}).json["client_id"] for _ in range(3)]
        assert given[0] == "1"
        assert not set(given) & taken
        assert [int(one) for one in given[1:]] == sorted(int(one) for one in given[1:])
        assert max(map(int, given)) < 45, "the numbers go on where the taken ones end"

    def test_an_address_belongs_to_one_client_in_any_case(self, operator: Caller) -> None:
        operator.post(CLIENTS, json=PERSON)
        answer = operator.post(CLIENTS, json={"email": "ANA@Example.org"})
        assert (answer.status_code, answer.json["type"]) == (409, "/problems/email-taken")

    def test_a_deleted_client_leaves_its_address_and_comes_back_without_its_past(
        self, operator: Caller
    ) -> None:
        first = operator.post(CLIENTS, json=PERSON).json
        operator.delete(f"{CLIENTS}/7")
        assert operator.post(CLIENTS, json={"client_id": "8", "email": PERSON["email"]}).status_code == 201
        back = operator.post(CLIENTS, json={"client_id": "7", "country": "Brasil"})
        assert back.status_code == 201
        assert (back.json["id"], back.json["name"], back.json["email"]) == (first["id"], None, None)
        assert (back.json["account_balance"], back.json["country"]) == ("0.00", "Brasil")
        assert row_of("7").version == 3

    @each(
        ("member", "value"),
        [
            ("client_id", ""),
            ("client_id", "x" * 51),
            ("client_id", True),
            ("client_id", None),
            ("client_id", "a\nb"),
            ("client_id", "a\tb"),
            ("client_id", "a\0b"),
            ("client_id", "a\x85b"),
            ("client_id", " . "),
            ("client_id", ".."),
            ("client_id", "a/transactions"),
            ("name", "x" * 101),
            ("name", "  "),
            ("email", "nobody"),
            ("email", f"{'x' * 95}@example.org"),
            ("date_of_birth", "1849-12-31"),
            ("date_of_birth", "2990-01-01"),
            ("date_of_birth", "30/06/1990"),
            ("country", "x" * 101),
            ("account_balance", "1.005"),
            ("account_balance", "12345678901234.00"),
            ("account_balance", "1e99"),
            ("account_balance", "NaN"),
            ("account_balance", "Infinity"),
            ("account_balance", True),
            ("account_balance", None),
            ("unknown", 1),
        ],
    )
    def test_what_a_file_may_not_bring_a_request_may_not_either(
        self, operator: Caller, member: str, value: Any
    ) -> None:
        assert faults(operator.post(CLIENTS, json=PERSON | {member: value})) == [f"/{member}"]

    @each("balance", ["9999999999999.99", "-9999999999999.99", "1.500", 3, 0.1, "1e3"])
    def test_a_balance_is_kept_as_it_is(self, operator: Caller, balance: Any) -> None:
        answer = operator.post(CLIENTS, json={"account_balance": balance})
        assert Decimal(answer.json["account_balance"]) == Decimal(str(balance))

    def test_a_viewer_may_not(self, viewer: Caller) -> None:
        assert viewer.post(CLIENTS, json=PERSON).status_code == 403


class TestOne:
    @each("external_id", ["7", "á/b", "2021/07/x", "x y", "%", "a?b"])
    def test_an_id_of_any_characters_has_an_address(self, operator: Caller, external_id: str) -> None:
        a_client(external_id)
        path = f"{CLIENTS}/{quote(external_id, safe='')}"
        assert operator.get(path).json["client_id"] == external_id
        assert operator.get(f"{path}/transactions").json["data"] == []
        assert operator.delete(path).status_code == 204

    @each("external_id", ["/eve", "//eve", "eve/", "/", "a//b", "eve\n", "\n"])
    def test_what_stands_at_its_address_is_it_and_no_other(self, admin: Caller, external_id: str) -> None:
        for id_ in ("eve", "a/b", external_id):
            a_client(id_, name="Eve")
        path = f"{CLIENTS}/{quote(external_id, safe='')}"
        assert admin.get(path).json["client_id"] == external_id
        for rest in ("transactions", "statistics", "atendimentos", "events", "alerts"):
            assert admin.get(f"{path}/{rest}").status_code == 200
        assert admin.patch(path, json={"name": "Another"}).json["client_id"] == external_id
        assert admin.delete(path).status_code == 204
        assert admin.delete(f"{path}?erase=true").json["client_id"] == external_id
        assert (row_of("eve").name, row_of("a/b").name) == ("Eve", "Eve")
        assert admin.get(path).status_code == 404

    @each("method", ["get", "patch", "delete"])
    def test_no_slash_is_taken_from_an_address(self, admin: Caller, method: str) -> None:
        a_client("eve", name="Eve")
        for external_id in ("%2Feve", "/eve", "eve%2F", "eve/", "//eve"):
            answer = admin.call(method, f"{CLIENTS}/{external_id}", json={} if method == "patch" else None)
            assert (answer.status_code, answer.json["type"]) == (404, "/problems/client-not-found")
        assert row_of("eve").deleted_at is None

    @each("external_id", ["8", "07", "%00", "x" * 60])
    def test_an_unknown_one_is_404(self, operator: Caller, external_id: str) -> None:
        a_client("7")
        for rest in ("", "/transactions", "/statistics", "/atendimentos"):
            answer = operator.get(f"{CLIENTS}/{external_id}{rest}")
            assert (answer.status_code, answer.json["type"]) == (404, "/problems/client-not-found")

    def test_a_change_raises_the_version_and_tells_the_trail_only_what(
        self, operator: Caller, admin: Caller
    ) -> None:
        made = operator.post(CLIENTS, json=PERSON)
        answer = operator.patch(f"{CLIENTS}/7", json={"email": "NEW@example.org", "country": None})
        assert (answer.json["email"], answer.json["country"]) == ("new@example.org", None)
        assert answer.json["updated_at"] > made.json["updated_at"]
        assert answer.headers["ETag"] != made.headers["ETag"]
        assert row_of("7").version == 2
        with services() as s:
            (entry,) = s.session.scalars(select(AuditEntry).where(AuditEntry.action == "client.changed"))
        assert entry.detail == {"members": ["country", "email"]}

    def test_the_same_again_changes_nothing(self, operator: Caller) -> None:
        made = operator.post(CLIENTS, json=PERSON)
        answer = operator.patch(f"{CLIENTS}/7", json={"name": PERSON["name"], "account_balance": "10.5"})
        assert (answer.json, row_of("7").version) == (made.json, 1)

    def test_another_s_address_is_409(self, operator: Caller) -> None:
        operator.post(CLIENTS, json=PERSON)
        a_client("8")
        answer = operator.patch(f"{CLIENTS}/8", json={"email": PERSON["email"]})
        assert (answer.status_code, answer.json["type"]) == (409, "/problems/email-taken")

    @each("method", ["patch", "delete"])
    def test_whoever_saw_an_older_one_is_told(self, operator: Caller, method: str) -> None:
        seen = operator.post(CLIENTS, json=PERSON).headers["ETag"]
        operator.patch(f"{CLIENTS}/7", json={"name": "Ana"})
        options = {"json": {"name": "X"}} if method == "patch" else {}
        answer = operator.call(method, f"{CLIENTS}/7", headers={"If-Match": seen}, **options)
        assert answer.status_code == 412
        assert row_of("7").name == "Ana"

    def test_a_known_etag_spares_the_body(self, viewer: Caller) -> None:
        a_client("7")
        etag = viewer.get(f"{CLIENTS}/7").headers["ETag"]
        assert viewer.get(f"{CLIENTS}/7", headers={"If-None-Match": etag}).status_code == 304

    def test_deleting_keeps_the_record_and_what_points_to_it(self, operator: Caller) -> None:
        a_transaction(a_client("7", name="Ana"))
        assert operator.delete(f"{CLIENTS}/7").status_code == 204
        assert operator.get(f"{CLIENTS}/7").status_code == 404
        assert operator.delete(f"{CLIENTS}/7").status_code == 404
        row = row_of("7")
        assert (row.name, row.version, row.deleted_at is not None) == ("Ana", 2, True)
        assert len(operator.get("/api/v1/transactions?client_id=7").json["data"]) == 1

    def test_its_atendimentos_are_those_of_nobody_else(self, viewer: Caller) -> None:
        mine = [an_atendimento(id_cliente="7").id for _ in range(2)]
        an_atendimento(id_cliente="8")
        answer = viewer.get(f"{CLIENTS}/7/atendimentos")
        assert [row["id"] for row in answer.json["data"]] == mine[::-1]
        assert answer.json["data"][0].keys() == viewer.get("/api/v1/atendimento").json["data"][0].keys()


def an_import(owner: Caller, file_id: str, **columns: Any) -> Import:
    defaults: dict[str, Any] = {
        "owner_id": owner.id,
        "dataset": "clients",
        "file_id": file_id,
        "file_name": "a.csv",
        "fingerprint": "f",
        "mode": "upsert",
        "on_error": "skip_rows",
        "detected": {},
        "mapping": {},
        "options": {},
        "report": {},
    }
    with services() as s:
        return s.import_rows.add(Import(**defaults | columns))


class TestErase:
    def test_only_administrators_may(self, operator: Caller, admin: Caller) -> None:
        a_client("7", name="Ana")
        assert operator.delete(f"{CLIENTS}/7?erase=true").status_code == 403
        key = an_api_key(operator, "clients:write")["key"]
        path = f"{CLIENTS}/7?erase=true"
        assert operator.app.test_client().delete(path, headers={"X-API-Key": key}).status_code == 403
        assert row_of("7").name == "Ana"
        assert admin.delete(f"{CLIENTS}/7?erase=true").status_code == 200
        assert admin.delete(f"{CLIENTS}/8?erase=true").status_code == 404

    @each("is_deleted_before", [False, True])
    def test_whoever_saw_an_older_one_erases_nothing(self, admin: Caller, is_deleted_before: bool) -> None:
        path = f"{CLIENTS}/7"
        first = admin.post(CLIENTS, json=PERSON).headers["ETag"]
        seen = admin.patch(path, json={"name": "Ana"}).headers["ETag"]
        if is_deleted_before:
            admin.delete(path)
        stale = admin.delete(f"{path}?erase=true", headers={"If-Match": first})
        assert (stale.status_code, stale.json["type"]) == (412, "/problems/precondition-failed")
        assert row_of("7").name == "Ana"
        last = "*" if is_deleted_before else seen
        assert admin.delete(f"{path}?erase=true", headers={"If-Match": last}).status_code == 200
        assert row_of("7").name is None

    @each("is_deleted_before", [False, True])
    def test_what_is_personal_goes_from_the_record(self, admin: Caller, is_deleted_before: bool) -> None:
        admin.post(CLIENTS, json=PERSON)
        if is_deleted_before:
            admin.delete(f"{CLIENTS}/7")
        answer = admin.delete(f"{CLIENTS}/7?erase=true").json
        assert admin.get(f"/api/v1/jobs/{answer.pop('job_id')}").json["kind"] == "forget_rejects"
        assert answer == {"client_id": "7", "former_values": 0, "samples": 0, "files": []}
        row = row_of("7")
        assert (row.name, row.email, row.date_of_birth, row.country) == (None,) * 4
        assert row.account_balance == 0
        assert row.deleted_at is not None
        assert admin.get(f"{CLIENTS}/7").status_code == 404

    def test_it_goes_from_what_imports_would_put_back_and_only_for_this_client(self, admin: Caller) -> None:
        ana, rui = a_client("7"), a_client("8")
        imported = an_import(admin, a_file(admin)["id"])
        other = an_import(admin, a_file(admin)["id"], dataset="atendimentos")
        before = {"external_id": "7", "name": "Ana", "email": "ana@example.org", "account_balance": 3}
        with services() as s:
            for import_, client in ((imported, ana), (imported, rui), (other, ana)):
                s.session.add(ImportChange(import_id=import_.id, row_id=client.id, version=2, before=before))
        assert admin.delete(f"{CLIENTS}/7?erase=true").json["former_values"] == 1
        with services() as s:
            left = {
                (change.import_id, change.row_id): change.before
                for change in s.session.scalars(select(ImportChange))
            }
        assert left == {
            (imported.id, ana.id): {"external_id": "7"},
            (imported.id, rui.id): before,
            (other.id, ana.id): before,
        }

    def test_it_goes_from_the_rows_that_imports_show(self, admin: Caller) -> None:
        a_client("7", email="ana@example.org")
        rows = [["7", "Ana"], ["70", "Rui"], ["x", "ANA@example.org"], ["y", "Éva"]]
        imported = an_import(admin, a_file(admin)["id"], report={"sample": rows, "proposals": []})
        untouched = an_import(admin, a_file(admin)["id"], report={"sample": [["70", "Rui"]]})
        answer = admin.delete(f"{CLIENTS}/7?erase=true").json
        assert answer["samples"] == 1
        assert [file["import_id"] for file in answer["files"]] == [str(imported.id)]
        with services() as s:
            assert s.import_rows.get(imported.id).report["sample"] == [["70", "Rui"], ["y", "Éva"]]
            assert s.import_rows.get(untouched.id).report["sample"] == [["70", "Rui"]]

    def test_the_files_that_may_still_hold_it_are_named(self, admin: Caller, operator: Caller) -> None:
        files = [a_file(operator, name=f"{n}.csv")["id"] for n in range(7)]
        made = an_import(operator, files[0], rejects_file_id=files[1])
        changed, traded, visited = (an_import(operator, file) for file in files[2:5])
        an_import(operator, files[5], parent_id=made.id)
        an_import(operator, files[6])
        client = a_client("7", import_id=made.id)
        a_transaction(client, import_id=traded.id)
        visit = an_atendimento(id_cliente="7")
        with services() as s:
            s.session.add(ImportChange(import_id=changed.id, row_id=client.id, version=2, before={}))
            s.session.execute(
                text("UPDATE atendimento SET import_id = :i WHERE id = :id"),
                {"i": visited.id, "id": visit.id},
            )
        named = admin.delete(f"{CLIENTS}/7?erase=true").json["files"]
        assert {file["id"] for file in named} == {files[0], *files[2:6]}
        assert {file["owner_id"] for file in named} == {str(operator.id)}
        with services() as s:
            assert s.session.get(File, files[0]) is not None, "they are named, not deleted"

    def test_without_an_address_the_rows_of_others_are_still_shown(self, admin: Caller) -> None:
        a_client("7")
        imported = an_import(admin, a_file(admin)["id"], report={"sample": [["7", "Ana"], ["70", "Rui"]]})
        assert admin.delete(f"{CLIENTS}/7?erase=true").json["samples"] == 1
        with services() as s:
            assert s.import_rows.get(imported.id).report["sample"] == [["70", "Rui"]]

    def test_where_a_recipe_made_the_file_the_one_that_was_sent_is_named_too(self, admin: Caller) -> None:
        operation, made = an_operation(admin), a_file(admin, name="made.csv")["id"]
        a_client("7", import_id=an_import(admin, made, operation_id=operation["id"]).id)
        named = admin.delete(f"{CLIENTS}/7?erase=true").json["files"]
        assert {file["id"] for file in named} == {made, operation["file_id"]}

    def test_files_that_changed_its_visits_are_named_and_not_those_that_changed_others_of_its_number(
        self, admin: Caller
    ) -> None:
        files = [a_file(admin, name=f"{n}.csv")["id"] for n in range(2)]
        changed, foreign = (an_import(admin, file, dataset="atendimentos") for file in files)
        client, visit = a_client("7", id=10**9), an_atendimento(id_cliente="7")
        with services() as s:
            for imported, row_id in ((changed, visit.id), (foreign, client.id)):
                s.session.add(ImportChange(import_id=imported.id, row_id=row_id, version=2, before={}))
        named = admin.delete(f"{CLIENTS}/7?erase=true").json["files"]
        assert [file["id"] for file in named] == files[:1]

    def test_the_trail_tells_that_and_by_whom_but_nothing_personal(self, admin: Caller) -> None:
        admin.post(CLIENTS, json=PERSON)
        admin.delete(f"{CLIENTS}/7?erase=true")
        with services() as s:
            trail = list(s.session.scalars(select(AuditEntry).where(AuditEntry.object_id == "7")))
        assert [entry.action for entry in trail] == ["client.created", "client.erased"]
        assert not [entry for entry in trail if "Ana" in str(entry.detail)]

"""Reports over the API: asked for in JSON or as a form, looked at, downloaded in any format."""

from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from werkzeug.test import TestResponse

from src.integrations.storage_disk import DiskStorage
from src.wiring import adapters, services
from tests.api.conftest import stored
from tests.api.nouns import a_file, a_report, a_rules
from tests.factories.accounts import Caller

REPORTS = "/api/v1/reports"
INPUT = b"field1,key\na,k1\nb,k2\n"
REFERENCE = b"key,ref\nk1,x\n"
RULES = b"- {output: o, formula: field1 + ref}\n"


def send(caller: Caller, headers: Any = (), **parts: Any) -> TestResponse:
    form = {
        name: (BytesIO(part), f"{name}.csv") if isinstance(part, bytes) else part
        for name, part in parts.items()
    }
    return caller.post(REPORTS, data=form, headers=dict(headers))


def test_a_form_with_three_files_is_a_report_in_line(operator: Caller, store: DiskStorage) -> None:
    answer = send(operator, input=INPUT, reference=REFERENCE, rules=RULES, format="xlsx")
    assert answer.status_code == 202, answer.text
    report = answer.json
    assert answer.headers["Location"] == f"{REPORTS}/{report['id']}"
    assert (report["state"], report["format"], report["name"]) == ("queued", "xlsx", "input")
    assert operator.get(f"/api/v1/jobs/{report['task_id']}").json["kind"] == "report"
    assert len(stored(store)) == 2


def test_files_and_rules_may_be_named(operator: Caller) -> None:
    rules, file = a_rules(operator), a_file(operator)
    body = {"input_file_id": file["id"], "rules_id": rules["id"], "name": "Mine"}
    report = operator.post(REPORTS, json=body)
    assert (report.status_code, report.json["rules_version"], report.json["name"]) == (202, 1, "Mine")
    assert [row["id"] for row in operator.get(f"{REPORTS}?rules_id={rules['id']}").json["data"]] == [
        report.json["id"]
    ]
    operator.delete(f"/api/v1/rules/{rules['id']}")
    assert operator.get(f"{REPORTS}/{report.json['id']}").json["rules_id"] is None


def test_the_same_key_gets_the_same_report_and_keeps_no_second_copy(
    operator: Caller, store: DiskStorage
) -> None:
    headers = {"Idempotency-Key": "once"}
    first, again = (send(operator, headers, input=INPUT, rules=RULES) for _ in range(2))
    assert again.json == first.json
    assert len(stored(store)) == 1


@pytest.mark.parametrize(
    ("parts", "status", "slug"),
    [
        ({"input": INPUT}, 400, "no-input"),
        ({"rules": RULES}, 400, "no-input"),
        ({"input": INPUT, "rules": b"- nonsense"}, 400, "bad-rules"),
        ({"input": INPUT, "rules": b"a: *b"}, 400, "bad-document"),
        ({"input": INPUT, "rules": RULES, "format": "doc"}, 400, "invalid"),
        ({"input": INPUT, "rules": RULES, "extra": INPUT}, 400, "invalid"),
        ({"input": INPUT, "rules": RULES, "formt": "csv"}, 400, "invalid"),
        ({"input": b"\x7fELF\x00\x00", "rules": RULES}, 415, ""),
        ({"input": INPUT, "rules": RULES, "parameters": '{"p": 1}'}, 400, "bad-parameters"),
        ({"input": INPUT, "rules": RULES, "parameters": "{"}, 400, "invalid"),
    ],
)
def test_what_is_refused_leaves_nothing(
    operator: Caller, store: DiskStorage, parts: dict[str, Any], status: int, slug: str
) -> None:
    answer = send(operator, **parts)
    assert answer.status_code == status, answer.text
    assert answer.json["type"].endswith(slug)
    assert stored(store) == []


def test_a_report_is_downloaded_in_any_format_once_it_is_made(operator: Caller) -> None:
    report = a_report(operator)
    there = f"{REPORTS}/{report['id']}/download"
    assert operator.get(there).status_code == 409
    made(report["id"], operator, b"who,n\nAna,1.50\n'=x,2\n")
    assert operator.get(there).data == b"who,n\nAna,1.50\n'=x,2\n"
    assert operator.get(f"{there}?format=jsonl").data == b'{"who":"Ana","n":1.50}\n{"who":"=x","n":2}\n'
    for form in ("xlsx", "json", "parquet", "html", "pdf"):
        answer = operator.get(f"{there}?format={form}")
        assert (answer.status_code, len(answer.data) > 20) == (200, True)
        assert f".{form}" in answer.headers["Content-Disposition"]


def test_a_report_whose_file_is_deleted_has_expired(operator: Caller) -> None:
    report = a_report(operator)
    file_id = made(report["id"], operator, b"who,n\n")
    operator.delete(f"/api/v1/files/{file_id}")
    assert operator.get(f"{REPORTS}/{report['id']}/download").status_code == 410


def test_a_report_can_be_made_again(operator: Caller) -> None:
    report = a_report(operator)
    again = operator.post(f"{REPORTS}/{report['id']}/rerun")
    assert (again.status_code, again.json["rerun_of"]) == (202, report["id"])
    operator.delete(f"/api/v1/files/{report['input_file_id']}")
    assert operator.post(f"{REPORTS}/{report['id']}/rerun").status_code == 410


def made(report_id: str, owner: Caller, content: bytes, rows_out: int = 2) -> UUID:
    """As its job leaves it."""
    file = a_file(owner, content)
    with services() as s:
        row = s.report_rows.get_own(UUID(report_id), None)
        row.file_id = row.table_file_id = UUID(file["id"])
        columns = [{"name": "who", "type": "text"}, {"name": "n", "type": "decimal"}]
        row.manifest = {"columns": columns, "rows_out": rows_out}
        assert row.job is not None
        row.job.state = "done"
        return row.file_id


def test_a_report_belongs_to_the_one_who_asked_for_it(operator: Caller, admin: Caller) -> None:
    """An administrator may join in what the input's owner may not see."""
    body = {"input_file_id": a_file(operator)["id"], "rules_id": a_rules(admin)["id"]}
    report = admin.post(REPORTS, json=body).json
    assert report["owner_id"] == str(admin.id)
    assert operator.get(f"{REPORTS}/{report['id']}").status_code == 404


def test_a_long_report_is_converted_by_a_job_only(operator: Caller) -> None:
    report = a_report(operator)
    there = f"{REPORTS}/{report['id']}"
    made(report["id"], operator, b"who,n\nAna,1\n", rows_out=50_001)
    for form in ("xlsx", "parquet", "html", "pdf"):
        answer = operator.get(f"{there}/download?format={form}")
        assert (answer.status_code, answer.json["type"].endswith("too-long-to-convert")) == (409, True)
    for form in ("csv", "json", "jsonl"):
        assert operator.get(f"{there}/download?format={form}").status_code == 200
    again = operator.post(f"{there}/rerun", json={"format": "xlsx"})
    assert (again.status_code, again.json["format"]) == (202, "xlsx")
    assert operator.post(f"{there}/rerun", json={"form": "xlsx"}).status_code == 400


class TestPreview:
    def test_it_shows_rows_and_counts_what_went_astray_and_keeps_nothing(
        self, operator: Caller, store: DiskStorage
    ) -> None:
        body = {
            "input_file_id": a_file(operator, b"key,n\nk1,2\nk2,0\nk3,0\n")["id"],
            "reference_file_id": a_file(operator, b"key,ref\nk1,x\n")["id"],
            "rules": "- {output: o, formula: ref}\n- {output: p, formula: 1 / n}\n",
        }
        before = stored(store)
        answer = operator.post(f"{REPORTS}/preview", json=body)
        assert answer.status_code == 200, answer.text
        assert [column["name"] for column in answer.json["columns"]] == ["o", "p"]
        assert answer.json["rows"] == [["x", "0.5"], ["", ""], ["", ""]]
        assert answer.json["unmatched"] == [{"lookup": "key", "keys": 2, "rows": 2}]
        found = [answer.json[name] for name in ("rows_in", "uncomputable", "is_whole")]
        assert found == [3, 2, True]
        assert (stored(store), operator.get(REPORTS).json["data"]) == (before, [])
        assert list((adapters().settings.var_dir / "scratch").glob("trial-*")) == []

    def test_it_looks_at_the_first_rows_of_the_input_and_at_all_of_the_reference(
        self, operator: Caller
    ) -> None:
        keys = range(1_500)
        body = {
            "input_file_id": a_file(operator, b"key\n" + b"".join(b"k%d\n" % key for key in keys))["id"],
            "reference_file_id": a_file(
                operator, b"key,ref\n" + b"".join(b"k%d,%d\n" % (key, key) for key in reversed(keys))
            )["id"],
            "rules": [{"output": "o", "formula": "ref"}],
        }
        answer = operator.post(f"{REPORTS}/preview", json=body).json
        assert (answer["rows_in"], answer["is_whole"], answer["unmatched"][0]["keys"]) == (1_000, False, 0)
        assert answer["rows"] == [[str(key)] for key in range(1_000)]

    def test_what_is_wrong_is_told_as_the_job_would(self, operator: Caller, admin: Caller) -> None:
        file = a_file(operator)
        rules = [{"output": "o", "formula": "nonsense"}]
        body = {"input_file_id": file["id"], "rules": rules}
        answer = operator.post(f"{REPORTS}/preview", json=body)
        assert (answer.status_code, answer.json["type"].endswith("bad-rules")) == (400, True)
        hidden = {"input_file_id": a_file(admin)["id"], "rules": rules}
        assert operator.post(f"{REPORTS}/preview", json=hidden).status_code == 404

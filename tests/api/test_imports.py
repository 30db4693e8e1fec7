"""Imports over HTTP: in one call or step by step; what was refused, to mend and send back; and undo."""

import csv
import io
import json
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from pyarrow import parquet
from python_calamine import CalamineWorkbook

from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from tests.committing import Workshop, own_settings, workshop
from tests.factories.accounts import Caller

__all__ = ["own_settings", "workshop"]
IMPORTS = "/api/v1/imports"
CLIENTS = (
    "Código,Nome,E-mail,Nascimento,Cor\n"
    "c1,Ana,ana@example.org,31/01/1980,azul\n"
    "c2,=Rui,nonsense,1990-13-01,\n"
    "c3,,eva@example.org,13/02/2000,\n"
)
MAPPING = {"client_id": "Código", "name": "Nome", "email": "E-mail", "date_of_birth": "Nascimento"}


@pytest.fixture
def clerk(workshop: Workshop) -> Caller:
    return workshop.accounts.caller("operator")


def form(content: str = CLIENTS, name: str = "clients.csv", **members: Any) -> dict[str, Any]:
    """A multipart form with a file; nested members are JSON."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in members.items()}
    return {"file": (io.BytesIO(content.encode()), name), "dataset": "clients", **texts}


def sent(clerk: Caller, path: str = IMPORTS, status: int = 202, **options: Any) -> dict[str, Any]:
    answer = clerk.post(path, **options)
    assert answer.status_code == status, answer.text
    return dict(answer.json or {})


def finished(clerk: Caller, started: dict[str, Any]) -> dict[str, Any]:
    run_job(UUID(started["job_id"]), HANDLERS)
    return dict(clerk.get(f"{IMPORTS}/{started['id']}").json or {})


def loaded(clerk: Caller, **members: Any) -> dict[str, Any]:
    return finished(clerk, sent(clerk, data=form(mapping=MAPPING, **members)))


class TestOneCall:
    def test_a_form_with_a_file_is_loaded(self, clerk: Caller) -> None:
        started = sent(clerk, data=form(mapping=MAPPING))
        assert (started["state"], started["file_name"]) == ("queued", "clients.csv")
        done = finished(clerk, started)
        assert (done["state"], done["rows_read"], done["inserted"], done["rejected"]) == ("done", 3, 1, 2)
        assert done["report"]["ignored_columns"] == ["Cor"]
        assert done["report"]["summary"] == {
            "E-mail": {"not_an_email": 1},
            "Nascimento": {"not_a_date": 1},
            "Nome": {"missing": 1},
        }
        assert done["report"]["seconds"].keys() == {"read", "check", "write"}

    def test_a_file_that_is_there_is_loaded(self, clerk: Caller) -> None:
        file = sent(
            clerk, "/api/v1/files?filename=c.csv", 201, data=CLIENTS.encode(), content_type="text/csv"
        )
        body = {"dataset": "clients", "file_id": file["id"], "mapping": MAPPING, "mode": "insert"}
        assert finished(clerk, sent(clerk, json=body))["inserted"] == 1

    def test_the_same_again_is_told(self, clerk: Caller) -> None:
        first = loaded(clerk)
        again = sent(clerk, status=200, data=form(mapping=MAPPING))
        assert (again["id"], again["duplicate_of"]) == (first["id"], first["id"])
        files = (clerk.get("/api/v1/files?kind=upload").json or {})["data"]
        assert [file["id"] for file in files] == [first["file_id"]], "no second copy counts against the quota"
        assert sent(clerk, f"{IMPORTS}?force=true", data=form(mapping=MAPPING))["id"] != first["id"]

    def test_the_bulk_way_is_for_administrators_and_says_what_it_blocks(
        self, clerk: Caller, workshop: Workshop
    ) -> None:
        terms: dict[str, Any] = {"mapping": MAPPING, "mode": "insert", "bulk": "true"}
        refused = sent(clerk, status=403, data=form(**terms))
        assert refused["type"] == "/problems/role-too-low"
        admin = workshop.accounts.caller("admin")
        upsert = sent(admin, status=400, data=form(**terms | {"mode": "upsert"}))
        assert upsert["errors"][0]["pointer"] == "/bulk"
        started = sent(admin, data=form(**terms))
        assert started["is_bulk"] is True
        assert "nobody else reads or writes clients" in started["blocks"]
        assert finished(admin, started)["inserted"] == 1

    def test_an_idempotency_key_gives_the_first_answer_again(self, clerk: Caller) -> None:
        key = {"Idempotency-Key": "june"}
        ids = {sent(clerk, data=form(mapping=MAPPING), headers=key)["id"] for _ in range(2)}
        assert len(ids) == 1

    @pytest.mark.parametrize(
        ("members", "slug", "pointer"),
        [
            ({"dataset": "nothing"}, "invalid", "/dataset"),
            ({"mapping": {"client_id": "Cor"}}, "missing-columns", "/mapping/name"),
            ({"mapping": {**MAPPING, "country": "Land"}}, "bad-mapping", "/mapping/country"),
            ({"mapping": "{"}, "invalid", "/mapping"),
            ({"options": {"decimal": ";"}}, "invalid", "/options/decimal"),
            ({"max_error_rate": "2"}, "invalid", "/max_error_rate"),
            ({"mode": "replace"}, "invalid", "/mode"),
        ],
    )
    def test_what_is_wrong_with_the_request_is_said_at_once_and_nothing_is_kept(
        self, clerk: Caller, members: dict[str, Any], slug: str, pointer: str
    ) -> None:
        answer = clerk.post(IMPORTS, data=form(**{"mapping": MAPPING, **members}))
        problem = answer.json or {}
        assert (answer.status_code, problem["type"]) == (400, f"/problems/{slug}")
        assert pointer in [error["pointer"] for error in problem["errors"]]
        assert (clerk.get(IMPORTS).json or {})["data"] == []
        assert (clerk.get("/api/v1/files").json or {})["data"] == []

    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("dryrun", "Did you mean «dry_run»?"),
            ("max_error", "Did you mean «max_errors» or"),
            ("onerror", "Did you mean «on_error»?"),
            ("Mode", "Did you mean «mode»?"),
            ("zzz", "There are: bulk, dataset,"),
        ],
    )
    def test_a_misspelt_part_is_refused_and_nothing_is_kept(
        self, clerk: Caller, name: str, hint: str
    ) -> None:
        problem = sent(clerk, status=400, data=form(mapping=MAPPING, **{name: "1"}))
        (error,) = problem["errors"]
        assert (error["pointer"], error["code"]) == (f"/{name}", "unknown_field")
        assert error["message"].startswith(f"«{name}» is not known. {hint}")
        assert (clerk.get(IMPORTS).json or {})["data"] == []
        assert (clerk.get("/api/v1/files").json or {})["data"] == []

    def test_a_file_in_a_misspelt_part_is_refused(self, clerk: Caller) -> None:
        parts = form(mapping=MAPPING)
        file = parts.pop("file")
        problem = sent(clerk, status=400, data={**parts, "File": file})
        assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [
            ("/File", "unknown_field")
        ]

    def test_who_is_to_be_told_is_a_part_that_is_known(self, clerk: Caller) -> None:
        problem = sent(clerk, status=400, data=form(mapping=MAPPING, notify={"mail": "ana@example.org"}))
        assert problem["errors"][0]["pointer"].startswith("/notify")

    def test_without_a_file_it_says_what_to_send(self, clerk: Caller) -> None:
        problem = sent(clerk, status=400, json={"dataset": "clients"})
        assert problem["type"] == "/problems/no-file"


class TestStepByStep:
    def test_a_draft_whose_file_is_deleted_says_so(self, clerk: Caller) -> None:
        draft = sent(clerk, f"{IMPORTS}?draft=true", 201, data=form())
        assert clerk.delete(f"/api/v1/files/{draft['file_id']}").status_code == 204
        answer = clerk.patch(f"{IMPORTS}/{draft['id']}", json={"mapping": MAPPING})
        assert (answer.status_code, answer.json["type"]) == (404, "/problems/file-not-found")
        for step in ("validate", "commit"):
            said = sent(clerk, f"{IMPORTS}/{draft['id']}/{step}", 409)
            assert said["type"] == "/problems/import-not-in-this-state"
            assert said["detail"] == "Its file was deleted. Send the file again."

    def test_a_draft_is_looked_at_mapped_validated_and_committed(self, clerk: Caller) -> None:
        draft = sent(clerk, f"{IMPORTS}?draft=true", 201, data=form())
        assert draft["state"] == "draft"
        proposals = {one["field"]: (one["column"], one["match"]) for one in draft["report"]["proposals"]}
        assert proposals["name"] == ("Nome", "alias")
        assert draft["report"]["missing_fields"] == ["client_id"]
        assert draft["report"]["sample"][0] == ["c1", "Ana", "ana@example.org", "31/01/1980", "azul"]
        assert sent(clerk, f"{IMPORTS}/{draft['id']}/commit", 400)["type"] == "/problems/missing-columns"
        mapped = clerk.patch(f"{IMPORTS}/{draft['id']}", json={"mapping": MAPPING})
        assert (mapped.json or {})["report"]["readings"]["date_of_birth"]["date_order"] == "dmy"
        validated = finished(clerk, sent(clerk, f"{IMPORTS}/{draft['id']}/validate"))
        assert (validated["state"], validated["inserted"], validated["committed_at"]) == (
            "validated",
            1,
            None,
        )
        done = finished(clerk, sent(clerk, f"{IMPORTS}/{draft['id']}/commit"))
        assert (done["state"], done["inserted"]) == ("done", 1)
        assert sent(clerk, f"{IMPORTS}/{draft['id']}/commit", 409)["type"] == (
            "/problems/import-not-in-this-state"
        )

    def test_a_draft_that_is_changed_has_nothing_counted_or_refused(self, clerk: Caller) -> None:
        draft = sent(clerk, f"{IMPORTS}?draft=true", 201, data=form(mapping=MAPPING))
        address = f"{IMPORTS}/{draft['id']}"
        validated = finished(clerk, sent(clerk, f"{address}/validate"))
        assert (validated["rows_read"], validated["rejected"]) == (3, 2)
        changed = clerk.patch(address, json={"mode": "insert"}).json
        assert {changed[name] for name in ("rows_read", "inserted", "rejected")} == {0}
        assert clerk.get(f"{address}/rejects").json["data"] == []

    def test_of_two_drafts_of_one_file_one_is_loaded(self, clerk: Caller) -> None:
        first, second = (
            sent(clerk, f"{IMPORTS}?draft=true", 201, data=form(mapping=MAPPING)) for _ in range(2)
        )
        finished(clerk, sent(clerk, f"{IMPORTS}/{first['id']}/commit"))
        again = sent(clerk, f"{IMPORTS}/{second['id']}/commit", 200)
        assert (again["id"], again["duplicate_of"]) == (first["id"], first["id"])
        assert finished(clerk, sent(clerk, f"{IMPORTS}/{second['id']}/validate"))["state"] == "validated"
        forced = finished(clerk, sent(clerk, f"{IMPORTS}/{second['id']}/commit?force=true"))
        assert (forced["id"], forced["state"], forced["unchanged"]) == (second["id"], "done", 1)


class TestRejects:
    def test_they_come_with_line_column_code_value_and_the_whole_row(self, clerk: Caller) -> None:
        done = loaded(clerk)
        answer = clerk.get(f"{IMPORTS}/{done['id']}/rejects?per_page=1")
        page = answer.json or {}
        assert answer.headers["Link"] == f'<{page["next"]}>; rel="next"'
        (row,) = page["data"]
        assert (row["line"], row["row"]) == (3, ["c2", "=Rui", "nonsense", "1990-13-01", ""])
        assert [(e["column"], e["code"], e["value"]) for e in row["errors"]] == [
            ("E-mail", "not_an_email", "nonsense"),
            ("Nascimento", "not_a_date", "1990-13-01"),
        ]
        following = clerk.get(page["next"]).json or {}
        assert ([row["line"] for row in following["data"]], following["next"]) == ([4], None)

    def test_as_a_table_they_can_be_mended_and_sent_back(self, clerk: Caller) -> None:
        done = loaded(clerk)
        answer = clerk.get(f"{IMPORTS}/{done['id']}/rejects?format=csv")
        assert "clients-rejects.csv" in answer.headers["Content-Disposition"]
        header, rui, eva = csv.reader(io.StringIO(answer.text))
        assert header[-4:] == ["_line", "_column", "_code", "_message"]
        assert (rui[1], rui[-4:-1]) == ("'=Rui", ["3", "E-mail; Nascimento", "not_an_email; not_a_date"])
        eva[1], rui[2], rui[3] = "Eva", "rui@example.org", "01/12/1990"
        mended = io.StringIO()
        csv.writer(mended).writerows([header, rui, eva])
        file = {"file": (io.BytesIO(mended.getvalue().encode()), "mended.csv")}
        correction = finished(clerk, sent(clerk, f"{IMPORTS}/{done['id']}/corrections", data=file))
        assert (correction["inserted"], correction["parent_id"]) == (2, done["id"])
        whole = clerk.get(f"{IMPORTS}/{done['id']}").json or {}
        assert (whole["inserted"], whole["rejected"], whole["rows_read"]) == (3, 0, 3)
        assert [(one["id"], one["inserted"]) for one in whole["corrections"]] == [(correction["id"], 2)]
        assert (clerk.get(f"{IMPORTS}/{done['id']}/rejects").json or {})["data"] == []

    @pytest.mark.parametrize(
        ("content", "options", "status", "slug"),
        [
            ("Código,Nome\nc2,Rui\n", "{}", 400, "not-the-rejects"),
            ("Mail,_line\nrui@example.org,3\n", "{}", 400, "bad-corrections"),
            ("_line\n3\n", "{", 400, "invalid"),
            ("_line\n3\n", '{"date_order": "ydm"}', 400, "invalid"),
        ],
    )
    def test_what_is_no_correction_is_said_at_once(
        self, clerk: Caller, content: str, options: str, status: int, slug: str
    ) -> None:
        done = loaded(clerk)
        body = {"file": (io.BytesIO(content.encode()), "mended.csv"), "options": options}
        problem = sent(clerk, f"{IMPORTS}/{done['id']}/corrections", status, data=body)
        assert problem["type"] == f"/problems/{slug}"

    def test_a_header_that_was_written_anew_brings_the_value_below_it(self, clerk: Caller) -> None:
        done = loaded(clerk)
        mended = "NOME,Observação,_line\nEva,is her name,4\n"
        path = f"{IMPORTS}/{done['id']}/corrections"
        problem = sent(clerk, path, 400, data={"file": (io.BytesIO(mended.encode()), "mended.csv")})
        assert "has no column «Observação»" in problem["detail"]
        mended = mended.replace("Observação", "_observação")
        finished(clerk, sent(clerk, path, data={"file": (io.BytesIO(mended.encode()), "mended.csv")}))
        names = [row["name"] for row in (clerk.get("/api/v1/clients").json or {})["data"]]
        assert sorted(names) == ["Ana", "Eva"]

    def test_a_misspelt_part_of_a_correction_is_refused(self, clerk: Caller) -> None:
        done = loaded(clerk)
        body = {"file": (io.BytesIO(b"_line\n3\n"), "mended.csv"), "option": '{"date_order": "dmy"}'}
        problem = sent(clerk, f"{IMPORTS}/{done['id']}/corrections", 400, data=body)
        assert [error["pointer"] for error in problem["errors"]] == ["/option"]
        assert (clerk.get(f"{IMPORTS}/{done['id']}").json or {})["corrections"] == []

    def test_as_a_workbook(self, clerk: Caller) -> None:
        done = loaded(clerk)
        answer = clerk.get(f"{IMPORTS}/{done['id']}/rejects?format=xlsx")
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(answer.data)).get_sheet_by_index(0).to_python()
        assert (sheet[1][0], sheet[1][5]) == ("c2", 3)

    def test_an_import_without_any_has_an_empty_list(self, clerk: Caller) -> None:
        draft = sent(clerk, f"{IMPORTS}?draft=true", 201, data=form())
        assert (clerk.get(f"{IMPORTS}/{draft['id']}/rejects").json or {})["data"] == []


@pytest.mark.parametrize("options", [{}, {"encoding": "utf-16-be"}])
def test_utf_16_without_a_mark_is_taken_with_or_without_being_told(
    clerk: Caller, options: dict[str, str]
) -> None:
    content = CLIENTS.replace("Ana", "José").encode("utf-16-be")
    file = {"file": (io.BytesIO(content), "clients.csv")}
    done = finished(clerk, sent(clerk, data=form(mapping=MAPPING, options=options) | file))
    assert (done["inserted"], done["rejected"]) == (1, 2)
    assert (clerk.get("/api/v1/clients").json or {})["data"][0]["name"] == "José"
    stored = sent(clerk, "/api/v1/files?filename=c.csv", 201, data=content, content_type="text/csv")
    assert (stored["detected"]["encoding"], stored["detected"]["has_bom"]) == ("utf-16-be", False)


def test_an_import_is_taken_back(clerk: Caller) -> None:
    done = loaded(clerk)
    for is_dry_run in (True, False):
        answer = clerk.delete(f"{IMPORTS}/{done['id']}?dry_run={str(is_dry_run).lower()}")
        job = answer.json or {}
        run_job(UUID(job["id"]), HANDLERS)
        result = (clerk.get(f"/api/v1/jobs/{job['id']}").json or {})["result"]
        assert (result["removed"], result["is_dry_run"]) == (1, is_dry_run)
    assert (clerk.get(f"{IMPORTS}/{done['id']}").json or {})["state"] == "undone"


def test_the_published_way_of_atendimentos(clerk: Caller) -> None:
    content = b"id_cliente,angel,polo,data_limite\nc1,Ana,Sul,2021-06-30 15:30\n"
    started = sent(clerk, "/api/v1/atendimento/import_csv", data=content, content_type="text/csv")
    status = f"/api/v1/atendimento/task_status/{started['task_id']}"
    assert (clerk.get(status).json or {})["state"] == "PENDING"
    run_job(UUID(started["task_id"]), HANDLERS)
    answer = clerk.get(status).json or {}
    assert (answer["state"], answer["result"]["inserted"]) == ("SUCCESS", 1)
    again = clerk.post("/api/v1/atendimento/import_csv", data=content, content_type="text/csv")
    assert (again.status_code, again.json["task_id"]) == (200, started["task_id"])
    assert "imported before" in again.json["message"]
    failing = content.replace(b"2021-06-30 15:30", b"03/04/2021")
    started = sent(clerk, "/api/v1/atendimento/import_csv", data={"file": (io.BytesIO(failing), "a.csv")})
    run_job(UUID(started["task_id"]), HANDLERS)
    answer = clerk.get(f"/api/v1/atendimento/task_status/{started['task_id']}").json or {}
    assert (answer["state"], answer["result"]["slug"]) == ("FAILURE", "ambiguous-dates")
    file = clerk.post("/api/v1/files", data={"file": (io.BytesIO(content), "a.csv")}).json or {}
    other = clerk.post(f"/api/v1/files/{file['id']}/profile").json or {}
    assert clerk.get(f"/api/v1/atendimento/task_status/{other['id']}").status_code == 404


CSV = "/api/v1/atendimento/import_csv"
AMBIGUOUS = b"id_cliente;angel;polo;data_limite\nc1;Ana;Sul;03/04/2021\n"


def as_part(**parts: str) -> dict[str, Any]:
    return {"data": {"file": (io.BytesIO(AMBIGUOUS), "a.csv"), **parts}}


def as_body(query: str) -> dict[str, Any]:
    return {"data": AMBIGUOUS, "content_type": "text/csv", "query_string": query}


@pytest.mark.parametrize(
    ("request_", "month"),
    [
        (as_part(options='{"date_order": "dmy"}'), 4),
        (as_part(options='{"date_order": "mdy", "decimal": ",", "delimiter": ";"}'), 3),
        (as_body("date_order=mdy&encoding=utf-8"), 3),
        (as_body("date_order=dmy&decimal=,&delimiter=%3B"), 4),
        (as_part(options='{"date_order": "dmy"}') | {"query_string": "date_order=mdy&decimal=,"}, 4),
    ],
)
def test_the_published_way_can_be_told_how_its_file_is_written(
    clerk: Caller, request_: dict[str, Any], month: int
) -> None:
    started = sent(clerk, CSV, **request_)
    run_job(UUID(started["task_id"]), HANDLERS)
    state = (clerk.get(f"/api/v1/atendimento/task_status/{started['task_id']}").json or {})["state"]
    rows = (clerk.get("/api/v1/atendimento").json or {})["data"]
    day = 3 if month == 4 else 4
    assert (state, [row["data_limite"] for row in rows]) == (
        "SUCCESS",
        [f"2021-{month:02}-{day:02}T00:00:00"],
    )


@pytest.mark.parametrize(
    ("request_", "pointer"),
    [
        (as_part(options='{"date_order": "ydm"}'), "/options/date_order"),
        (as_part(options='{"order": "dmy"}'), "/options/order"),
        (as_part(options="dmy"), "/options"),
        (as_part(date_order="dmy"), "/date_order"),
        (as_body("date_order=ydm"), "/date_order"),
        (as_body("order=dmy"), "/order"),
    ],
)
def test_the_published_way_refuses_options_that_it_does_not_know(
    clerk: Caller, request_: dict[str, Any], pointer: str
) -> None:
    problem = sent(clerk, CSV, 400, **request_)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_the_datasets_tell_what_is_understood(clerk: Caller) -> None:
    datasets = {one["name"]: one for one in (clerk.get("/api/v1/datasets").json or {})["data"]}
    assert datasets["clients"]["key"] == "client_id"
    names = [field["name"] for field in datasets["transactions"]["fields"]]
    assert names[:2] == ["transaction_id", "client_id"]


def test_a_character_that_no_text_has_is_shown_and_refused_not_stumbled_over(clerk: Caller) -> None:
    rows = [{"client_id": "c1", "name": "A\0na", "email": "ana@example.org", "date_of_birth": "1980-01-31"}]
    sheet = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), sheet)
    form = {"file": (io.BytesIO(sheet.getvalue()), "clients.parquet"), "dataset": "clients"}
    done = finished(clerk, sent(clerk, data=form))
    assert (done["state"], done["rejected"]) == ("done", 1)
    page = clerk.get(f"{IMPORTS}/{done['id']}/rejects").json or {}
    assert page["data"][0]["errors"][0]["code"] == "control_character"


def test_a_column_whose_name_no_text_can_hold_is_refused_at_the_upload(clerk: Caller) -> None:
    sheet = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist([{"a\0b": "1", "c": "2"}]), sheet)
    problem = sent(clerk, "/api/v1/files?filename=a.parquet", 400, data=sheet.getvalue())
    assert problem["type"] == "/problems/broken-file"

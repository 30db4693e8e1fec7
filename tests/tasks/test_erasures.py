"""An erased client goes from the rows that imports have refused; whatever else stands there stays."""

from uuid import UUID

import pytest
from sqlalchemy import func

from src.domain.jobs import JobState
from src.domain.traces import Trace
from src.repositories.imports import ImportRepository
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import adapters, services
from tests.committing import Workshop
from tests.factories.imports import Imports, codes, counts

CLIENTS = (
    "client_id,name,email,date_of_birth,Nota\n"
    "7,Ana,ana@example.org,1980-01-31,\n"
    "7,Ana,ana@example.org,soon,\n"
    "70,Rui,rui@example.org,soon,7\n"
    "71,Eva,nonsense,1980-01-31,write to ANA@example.org\n"
    "72,Ivo, Ana@Example.ORG ,soon,\n"
    "7;Ana;x,y\n"
)
VISITS = "id_cliente,angel,polo,data_limite\n7,,Sul,2021-01-01\n8,,Sul,2021-01-01\n8,Ana,Sul,7\n"


@pytest.fixture
def imports(workshop: Workshop) -> Imports:
    return Imports(workshop.app)


def erase(imports: Imports, client_id: str) -> UUID:
    with services() as s:
        return s.clients.erase(client_id, imports.owner).job.id


def test_the_rows_about_it_are_emptied_in_every_import(imports: Imports) -> None:
    people, visits = imports.load("clients", CLIENTS), imports.load("atendimentos", VISITS)
    before = codes(imports.rejects(people))
    with services() as s:
        former = s.file_rows.get(imports.read(people.id).rejects_file_id).storage_key
    job_id = erase(imports, "7")
    assert run_job(job_id, HANDLERS) is JobState.DONE
    with services() as s:
        job = s.job_rows.get(job_id)
    assert job.result == {"rows": 4}
    assert "ana" not in str(job.args).lower()
    rows = imports.rejects(imports.read(people.id))
    assert [any(row.cells) for row in rows] == [False, True, True, False, False]
    assert codes(rows) == before
    assert all(not fault.value for row in rows if not any(row.cells) for fault in row.faults)
    assert [row.cells[0] for row in imports.rejects(imports.read(visits.id))] == ["", "8", "8"]
    with pytest.raises(Exception, match="no longer in the store"):
        adapters().storage.size(former)


def test_rows_with_an_address_that_it_had_are_emptied_unless_another_has_it_by_now(imports: Imports) -> None:
    head = CLIENTS.splitlines()[0]
    imports.load("clients", f"{head}\n7,Ana,first@x.org,1980-01-31,\n8,Rui,rui@x.org,1980-01-31,\n")
    imports.load("clients", f"{head}\n7,Ana,second@x.org,1980-01-31,\n8,Rui,first@x.org,1980-01-31,\n")
    imports.load("clients", f"{head}\n7,Ana,third@x.org,1980-01-31,\n")
    refused = imports.load(
        "clients", f"{head}\n,A,First@x.org,soon,\n,B,Second@x.org,soon,\n,C,third@x.org,soon,\n"
    )
    run_job(erase(imports, "7"), HANDLERS)
    assert [row.cells[1] for row in imports.rejects(imports.read(refused.id))] == ["A", "", ""]
    assert [row[1] for row in imports.read(refused.id).report["sample"]] == ["A"]


def test_no_refused_rows_are_left_where_no_import_names_them(imports: Imports) -> None:
    validated = imports.load("clients", CLIENTS, is_dry_run=True)
    with services() as s:
        former = s.file_rows.get(validated.rejects_file_id)
        run, _ = s.imports.run(validated, imports.owner, is_dry_run=False)
    assert run.rejects_file_id is None
    with services() as s:
        assert s.file_rows.find(former.id) is None
    with pytest.raises(Exception, match="no longer in the store"):
        adapters().storage.size(former.storage_key)
    assert imports.rejects(imports.run(run))


def test_what_is_left_can_still_be_corrected(imports: Imports) -> None:
    people = imports.load("clients", CLIENTS)
    run_job(erase(imports, "7"), HANDLERS)
    sheet = imports.table_of_rejects(people)
    sheet[2][3] = "1981-01-31"
    assert counts(imports.correct(people, sheet))["inserted"] == 1
    assert counts(imports.read(people.id)) == {"rows_read": 6, "inserted": 2, "rejected": 4}


def test_while_a_correction_runs_it_is_tried_again(imports: Imports, workshop: Workshop) -> None:
    people = imports.load("clients", CLIENTS)
    job_id = erase(imports, "7")
    with workshop.another_database().unit_of_work() as session:
        assert ImportRepository(session).try_hold(people.id)
        assert run_job(job_id, HANDLERS) is JobState.QUEUED
    assert imports.rejects(people)[0].cells[0] == "7"


def test_imports_in_flight_are_looked_at_once_they_are_over(imports: Imports) -> None:
    done = imports.load("clients", CLIENTS)
    in_flight = imports.start("atendimentos", VISITS)
    job_id = erase(imports, "7")
    assert run_job(job_id, HANDLERS) is JobState.QUEUED
    assert imports.rejects(imports.read(done.id))[0].cells[0] == "", "nobody waits for another's import"
    imports.run(in_flight)
    with services() as s:
        job = s.job_rows.get(job_id)
        assert job.args["left"] == [str(in_flight.id)], "what is done is not done again"
        job.run_after = func.clock_timestamp()
    assert run_job(job_id, HANDLERS) is JobState.DONE
    assert [row.cells[0] for row in imports.rejects(imports.read(in_flight.id))] == ["", "8", "8"]
    with services() as s:
        assert s.job_rows.get(job_id).result == {"rows": 4}


@pytest.mark.parametrize(
    ("cells", "is_shapeless", "is_found"),
    [
        (["7", "x"], False, True),
        ([" 7 ", "x"], False, True),
        (["x", "7"], False, False),
        (["x", "ANA@x.pt"], False, True),
        (["x", "old@x.pt"], False, True),
        (["70", "bana@x.pt"], False, False),
        (["1;7;x"], True, True),
        (['1,"Ana@x.pt'], True, True),
        (["1;70"], True, False),
    ],
)
def test_a_trace_is_found_where_it_means_the_client(
    cells: list[str], is_shapeless: bool, is_found: bool
) -> None:
    trace = Trace.of("7", ["old@x.pt", "ana@x.pt"])
    assert trace.is_in(cells, {0}, is_shapeless=is_shapeless) is is_found
    assert Trace.of("nobody", []).is_in(cells, {0}, is_shapeless=is_shapeless) is False

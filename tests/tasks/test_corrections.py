"""Corrections: mended rejects go into their import, whose totals then tell of the whole file as it is now."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from src.domain.jobs import JobState
from src.services.accounts import actor_of
from src.services.corrections import NothingToCorrect
from src.services.imports import NotInThisState
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import services
from tests.committing import Workshop
from tests.engine.making import with_cells, with_error_cells, workbook_bytes
from tests.factories.imports import Imports, as_csv, codes, counts, job_of, table

VISITS = """id_atendimento,id_cliente,angel,polo,data_limite,data_de_atendimento
1,c1,Ana,Norte,2021-06-30 15:30,2021-06-30 15:00
2,c2,,Sul,2021-07-01 12:00,
3,c1,Ana,Sul,nonsense,2021-07-03 12:00
1,c3,Rui,Sul,2021-07-02 12:00,
"""
CLIENTS = "client_id,name,email,date_of_birth,account_balance\n"
ANGEL, LIMIT, ID = 2, 4, 0


@pytest.fixture
def imports(workshop: Workshop) -> Imports:
    return Imports(workshop.app)


def visits() -> list[tuple[Any, ...]]:
    return table(
        "SELECT v.external_id, a.name, data_limite FROM atendimento v JOIN angel a ON a.id = angel_id ORDER BY 1"
    )


class TestTotals:
    def test_they_move_to_what_became_of_the_rows_and_the_list_shows_what_is_left(
        self, imports: Imports
    ) -> None:
        first = imports.load("atendimentos", VISITS)
        assert counts(first) == {"rows_read": 4, "inserted": 1, "duplicate": 1, "rejected": 2}
        sheet = imports.table_of_rejects(first)
        sheet[1][ANGEL], sheet[3][ID] = "Eva", "4"
        done = imports.correct(first, sheet)
        assert counts(done) == {"rows_read": 3, "inserted": 2, "rejected": 1}
        whole = imports.read(first.id)
        assert counts(whole) == {"rows_read": 4, "inserted": 3, "rejected": 1}
        assert whole.report["summary"] == {"data_limite": {"not_a_date": 1}}
        assert codes(imports.rejects(whole)) == [(4, "data_limite", "not_a_date")]
        assert [row[0] for row in visits()] == ["1", "2", "4"]
        again = imports.table_of_rejects(whole)
        again[1][LIMIT] = "2021-07-05"
        assert counts(imports.correct(whole, again)) == {"rows_read": 1, "inserted": 1}
        whole = imports.read(first.id)
        assert (counts(whole), whole.rejects_file_id) == ({"rows_read": 4, "inserted": 4}, None)
        with services() as s:
            assert [counts(one)["rows_read"] for one in s.import_rows.corrections_of(first.id)] == [3, 1]

    def test_what_was_mended_in_part_is_kept_for_the_next_time(self, imports: Imports) -> None:
        first = imports.load("atendimentos", VISITS.replace("2,c2,,Sul,2021-07-01", "2,c2,,Sul,soon"))
        sheet = imports.table_of_rejects(first)
        sheet[1][ANGEL] = "Eva"
        imports.correct(first, sheet)
        row = imports.rejects(imports.read(first.id))[0]
        assert (row.line, row.cells[ANGEL], [fault.code for fault in row.faults]) == (
            3,
            "Eva",
            ["not_a_date"],
        )

    def test_a_table_that_was_sent_before_loads_nothing_twice_and_says_so(self, imports: Imports) -> None:
        keyless = "id_cliente,angel,polo,data_limite\nc1,,Sul,2021-07-01\nc2,,Sul,2021-07-02\n"
        first = imports.load("atendimentos", keyless)
        sheet = imports.table_of_rejects(first)
        sheet[1][1] = "Ana"
        imports.correct(first, sheet)
        again = imports.correct(first, sheet)
        assert counts(again) == {"rows_read": 2, "duplicate": 1, "rejected": 1}
        assert codes(imports.rejects(again)) == [(2, "_line", "already_loaded"), (3, "angel", "missing")]
        assert counts(imports.read(first.id)) == {"rows_read": 2, "inserted": 1, "rejected": 1}

    def test_twice_at_the_same_moment_it_is_one(self, imports: Imports, workshop: Workshop) -> None:
        first = imports.load("atendimentos", VISITS)
        sheet = imports.table_of_rejects(first)
        sheet[1][ANGEL] = "Eva"
        ids = workshop.together(lambda _: imports.send_back(first, as_csv(sheet)).id, 3)
        assert len(set(ids)) == 1

    def test_an_admin_who_sends_it_twice_for_its_owner_sends_one(
        self, imports: Imports, workshop: Workshop
    ) -> None:
        first = imports.load("atendimentos", VISITS)
        sheet = imports.table_of_rejects(first)
        sheet[1][ANGEL] = "Eva"
        admin = actor_of(workshop.accounts.grant("admin").account)
        sent = [imports.send_back(first, as_csv(sheet), by).id for by in (admin, admin, imports.owner)]
        assert len(set(sent)) == 1

    def test_two_of_one_import_wait_for_each_other(self, imports: Imports, workshop: Workshop) -> None:
        keyless = "id_cliente,angel,polo,data_limite\nc1,,Sul,2021-07-01\nc1,,Sul,2021-07-02\n"
        first = imports.load("atendimentos", keyless)
        sheets = []
        for name in ("Ana", "Rui"):
            sheet = imports.table_of_rejects(first)
            sheet[1][1] = name
            sheets.append(imports.send_back(first, as_csv(sheet)))

        def run(number: int) -> None:
            job_id = sheets[number].job_id
            assert job_id
            while run_job(job_id, HANDLERS) is JobState.QUEUED:
                with services() as s:
                    s.session.execute(text("UPDATE job SET run_after = clock_timestamp()"))

        workshop.together(run, 2)
        ids = [one.id for one in sheets]
        assert sorted((done.inserted, done.duplicate) for done in map(imports.read, ids)) == [(0, 1), (1, 0)]
        assert len(visits()) == 1


class TestReading:
    def test_dates_and_numbers_are_read_as_the_whole_file_was(self, imports: Imports) -> None:
        rows = "c1;Ana;a@x.pt;13/02/1980;1.234,50\nc2;;b@x.pt;03/04/1980;1.234\n"
        first = imports.load("clients", CLIENTS.replace(",", ";") + rows)
        sheet = imports.table_of_rejects(first)
        sheet[1][1] = "Rui"
        assert counts(imports.correct(first, sheet)) == {"rows_read": 1, "inserted": 1}
        assert table("SELECT date_of_birth::text, account_balance FROM client WHERE external_id = 'c2'") == [
            ("1980-04-03", Decimal("1234.00"))
        ]

    def test_the_sender_may_say_that_a_spreadsheet_has_changed_them(self, imports: Imports) -> None:
        first = imports.load("clients", CLIENTS + "c1,,a@x.pt,1980-04-03,1234.5\nc2,,b@x.pt,1980-04-05,7\n")
        sheet = imports.table_of_rejects(first)
        for row, day, amount in ((sheet[1], "03/04/1980", "1.234,5"), (sheet[2], "05/04/1980", "7,25")):
            row[3], row[4] = day, amount
        sheet[1][1] = "Ana"
        content = (
            as_csv(sheet).replace(b",", b";").replace(b'"1.234;5"', b"1.234,5").replace(b'"7;25"', b"7,25")
        )
        done = imports.run(imports.send_back(first, content, decimal=",", date_order="dmy"))
        assert counts(done) == {"rows_read": 2, "inserted": 1, "rejected": 1}
        assert table("SELECT date_of_birth::text, account_balance FROM client") == [
            ("1980-04-03", Decimal("1234.50"))
        ]
        left = imports.rejects(imports.read(first.id))[0]
        assert left.cells[3:5] == ("1980-04-05", "7.25")  # and so the next time without options

    def test_values_that_look_like_formulas_are_as_they_were(self, imports: Imports) -> None:
        rows = "c1,-7a,nonsense,1980-04-03,\nc2,'=x,b@x.pt,soon,\n"
        first = imports.load("clients", CLIENTS + rows)
        sheet = imports.table_of_rejects(first)
        assert (sheet[1][1], sheet[2][1]) == ("-7a", "'=x")
        sheet[1][2], sheet[2][3] = "a@x.pt", "1980-04-03"
        imports.correct(first, sheet)
        assert table("SELECT name FROM client ORDER BY external_id") == [("-7a",), ("'=x",)]


class TestUndo:
    def test_corrections_go_with_their_import(self, imports: Imports) -> None:
        first = imports.load("atendimentos", VISITS)
        sheet = imports.table_of_rejects(first)
        sheet[1][ANGEL] = "Eva"
        done = imports.correct(first, sheet)
        assert imports.undo(first)["removed"] == 2
        assert visits() == table("SELECT 1 FROM angel") == []
        assert imports.read(done.id).undone_at is not None

    def test_what_a_clerk_changed_in_between_is_not_taken_for_the_imports_own(self, imports: Imports) -> None:
        imports.load("clients", CLIENTS + "c1,Ana,a@x.pt,1980-04-03,1\nc2,Rui,b@x.pt,1980-04-03,1\n")
        second = imports.load(
            "clients",
            CLIENTS
            + "c1,Ana,a@x.pt,1980-04-03,2\nc2,Rui,b@x.pt,1980-04-03,2\nc1,Ana,a@x.pt,soon,3\nc2,Rui,b@x.pt,soon,3\n",
        )
        with services() as s:
            client = s.client_rows.get_by_external_id("c1", is_locked=True)
            s.clients.update(client, {"name": "Anna"}, imports.owner)
        sheet = imports.table_of_rejects(second)
        sheet[1][3] = sheet[2][3] = "1980-04-03"
        assert counts(imports.correct(second, sheet)) == {"rows_read": 2, "updated": 2}
        undone = imports.undo(second)
        assert (undone["kept"], undone["kept_rows"]) == (1, ["c1"])
        assert table("SELECT name, account_balance FROM client ORDER BY external_id") == [
            ("Anna", Decimal("2.00")),
            ("Rui", Decimal("1.00")),
        ]

    def test_a_row_that_it_made_and_its_correction_changed_goes_unless_a_clerk_was_there(
        self, imports: Imports
    ) -> None:
        first = imports.load(
            "clients",
            CLIENTS
            + "c1,A,a@x.pt,1980-04-03,2\nc2,B,b@x.pt,1980-04-03,2\nc1,A,a@x.pt,soon,3\nc2,B,b@x.pt,soon,3\n",
        )
        with services() as s:
            client = s.client_rows.get_by_external_id("c2", is_locked=True)
            s.clients.update(client, {"name": "Bea"}, imports.owner)
        sheet = imports.table_of_rejects(first)
        sheet[1][3] = sheet[2][3] = "1980-04-03"
        imports.correct(first, sheet)
        undone = imports.undo(first)
        assert (undone["removed"], undone["kept_rows"]) == (1, ["c2"])
        assert table("SELECT name, account_balance FROM client") == [("Bea", Decimal("2.00"))]

    def test_a_correction_after_the_undo_loads_nothing(self, imports: Imports) -> None:
        first = imports.load("atendimentos", VISITS)
        late = imports.send_back(first, as_csv(imports.table_of_rejects(first)))
        imports.undo(first)
        assert job_of(imports.run(late)).state == "failed"
        assert visits() == []
        with pytest.raises(NotInThisState):
            imports.send_back(first, as_csv(imports.table_of_rejects(first)))


BREAK = """
    CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';
    CREATE TRIGGER break BEFORE INSERT ON atendimento EXECUTE FUNCTION break();
    ALTER TABLE atendimento ENABLE ALWAYS TRIGGER break
"""


class TestFailure:
    def test_a_table_that_is_not_understood_leaves_everything_as_it_was(self, imports: Imports) -> None:
        first = imports.load("atendimentos", VISITS)
        sheet = imports.table_of_rejects(first)
        sheet[1][ANGEL], sheet[2][6] = "Eva", "3"
        failed = imports.correct(first, sheet)
        assert (job_of(failed).error or {})["slug"] == "bad-corrections"
        assert counts(imports.read(first.id)) == counts(first)
        assert len(visits()) == 1

    def test_names_that_were_made_for_it_go(self, imports: Imports) -> None:
        first = imports.load("atendimentos", VISITS)
        sheet = imports.table_of_rejects(first)
        sheet[1][ANGEL] = "Eva"
        started = imports.send_back(first, as_csv(sheet))
        with services() as s:
            s.session.execute(text("UPDATE job SET max_attempts = 1 WHERE id = :id"), {"id": started.job_id})
            s.session.execute(text(BREAK))
        imports.run(started)
        assert ("Eva",) in table("SELECT name FROM angel")
        with services() as s:
            s.housekeeping.remove_unused_names()
        assert table("SELECT name FROM angel") == [("Ana",)]

    def test_there_must_be_something_to_correct(self, imports: Imports) -> None:
        first = imports.load("atendimentos", "".join(VISITS.splitlines(keepends=True)[:2]))
        with pytest.raises(NothingToCorrect):
            imports.send_back(first, as_csv(imports.table_of_rejects(first)))


@pytest.mark.parametrize("options", [{}, {"encoding": "utf-16-le"}])
def test_utf_16_without_a_mark_is_loaded_and_corrected(imports: Imports, options: dict[str, str]) -> None:
    first = imports.load("atendimentos", VISITS.replace("Ana", "José").encode("utf-16-le"), options=options)
    assert counts(first) == {"rows_read": 4, "inserted": 1, "duplicate": 1, "rejected": 2}
    sheet = imports.table_of_rejects(first)
    sheet[1][ANGEL] = "Eça"
    content = as_csv(sheet).decode().encode("utf-16-le")
    assert counts(imports.run(imports.send_back(first, content, **options)))["inserted"] == 1
    assert [row[1] for row in visits()] == ["José", "Eça"]


def test_errors_of_a_workbook_are_refused_until_somebody_says_what_is_meant(imports: Imports) -> None:
    header = VISITS.splitlines()[0].split(",")
    rows = [[str(n), "c1", "Ana", "Sul", "2021-07-01 12:00", "2021-07-01"] for n in range(1, 6)]
    errors = {"A2": "#N/A", "F3": "#DIV/0!", "C4": "#N/A", "E5": "#REF!", "D5": "#N/A"}
    book = with_error_cells(workbook_bytes({"A": [header, *rows]}), errors)
    first = imports.load("atendimentos", book)
    assert counts(first) == {"rows_read": 5, "inserted": 1, "rejected": 4}
    found = imports.rejects(first)
    assert codes(found) == [
        (2, "id_atendimento", "error_value"),
        (3, "data_de_atendimento", "error_value"),
        (4, "angel", "error_value"),
        (5, "polo", "error_value"),
        (5, "data_limite", "error_value"),
    ]
    assert [row.cells for row in found][1] == ("2", "c1", "Ana", "Sul", "2021-07-01 12:00", "#DIV/0!")
    table = imports.table_of_rejects(first)
    table[1][0], table[4][LIMIT] = "7", "2021-07-04 12:00"  # the others come back as they were
    table[3][table[0].index("_code")] = ""  # this angel has such a name
    done = imports.correct(first, table)
    assert counts(done) == {"rows_read": 4, "inserted": 2, "rejected": 2}
    left = [(3, "data_de_atendimento", "error_value"), (5, "polo", "error_value")]
    assert codes(imports.rejects(done)) == codes(imports.rejects(imports.read(first.id))) == left
    assert [(key, angel) for key, angel, _ in visits()] == [("3", "#N/A"), ("5", "Ana"), ("7", "Ana")]


def test_a_number_that_may_have_lost_digits_is_refused_until_it_comes_as_a_text(imports: Imports) -> None:
    header = VISITS.splitlines()[0].split(",")
    rest = ["c1", "Ana", "Sul", "2021-07-01 12:00", "2021-07-01"]
    book = workbook_bytes({"A": [header, *([number, *rest] for number in (1234567890123456, 1e17, 1e18))]})
    first = imports.load("atendimentos", book)
    assert counts(first) == {"rows_read": 3, "inserted": 1, "rejected": 2}
    table = imports.table_of_rejects(first)
    table[1][0] = "100000000000000001"
    done = imports.correct(first, table)
    assert codes(imports.rejects(done)) == [(4, "id_atendimento", "inexact_number")]
    assert [key for key, _, _ in visits()] == ["100000000000000001", "1234567890123456"]


def test_a_formula_without_its_result_stays_refused_until_its_cell_is_mended(imports: Imports) -> None:
    header = VISITS.splitlines()[0].split(",")
    rows = [[str(n), "c1", "Ana", "Sul", "2021-07-01 12:00", "2021-07-01"] for n in (1, 2, 3)]
    book = workbook_bytes({"A": [header, *rows]})
    first = imports.load("atendimentos", with_cells(book, dict.fromkeys(("C3", "C4"), "><f>A1</f></c>")))
    table = imports.table_of_rejects(first)
    table[1][ANGEL] = "Eva"
    done = imports.correct(first, table)
    assert codes(imports.rejects(done)) == [(4, "angel", "unsaved_formula")]
    assert [(key, angel) for key, angel, _ in visits()] == [("1", "Ana"), ("2", "Eva")]


def test_an_error_in_a_workbook_of_corrections_is_refused_and_such_a_text_in_a_csv_is_not(
    imports: Imports,
) -> None:
    first = imports.load("atendimentos", VISITS)
    table = imports.table_of_rejects(first)
    table[1][ANGEL], table[2][LIMIT], table[2][ANGEL] = "#N/A", "2021-07-01 12:00", "x"
    book = with_error_cells(workbook_bytes({"A": table[:3]}), {"C3": "#VALUE!"})
    done = imports.run(imports.send_back(first, book))
    assert codes(imports.rejects(done)) == [(4, "angel", "error_value")]
    assert [(key, angel) for key, angel, _ in visits()] == [("1", "Ana"), ("2", "#N/A")]


def test_typed_cells_of_a_workbook_are_kept_as_they_were_read(imports: Imports, tmp_path: Any) -> None:
    import xlsxwriter

    path = tmp_path / "clients.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, CLIENTS.strip().split(","))
        sheet.write_row(1, 0, ["c1", "Ana", "a@x.pt", "1980-04-03", "1.234,5"])
        sheet.write_row(2, 0, ["c2", "", "b@x.pt", "1980-04-03", 1.234])
        sheet.write_row(3, 0, ["c3", "", "c@x.pt", "1980-04-03", 10.5])
        sheet.write_datetime(2, 3, datetime(1980, 4, 3), book.add_format({"num_format": "dd/mm/yyyy"}))
    first = imports.load("clients", path.read_bytes())
    rejects = imports.table_of_rejects(first)
    for row in rejects[1:]:
        row[1] = "Eva"
    done = imports.correct(first, rejects)
    assert counts(done) == {"rows_read": 2, "inserted": 1, "rejected": 1}
    assert codes(imports.rejects(done)) == [(3, "account_balance", "too_many_decimals")]
    assert table("SELECT account_balance FROM client WHERE external_id = 'c3'") == [(Decimal("10.50"),)]

"""Imports, from the file to the table: what is loaded, what is refused, what is proven, what is taken back."""

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from src.database import WORKER
from src.domain.errors import Invalid
from src.domain.jobs import JobState
from src.domain.mapping import MissingColumns
from src.domain.roles import Role
from src.services.imports import LoadedByAnother, NotInThisState
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import services
from tests.committing import Workshop
from tests.factories.clients import a_client
from tests.factories.imports import Imports, codes, counts, job_of, table

VISITS = """id_atendimento,id_cliente,angel,polo,data_limite,data_de_atendimento
1,c1,Ana,Norte,2021-06-30 15:30,2021-06-30 15:00
2,c2,Rui,Sul,2021-07-01 12:00,
3,c1,Ana,Sul,2021-07-02 12:00,2021-07-03 12:00
"""
CLIENTS = """client_id,name,email,date_of_birth,country,account_balance
c1,Ana,ana@example.org,1980-01-31,Portugal,10.50
c2,Rui,rui@example.org,1990-12-01,,
"""
MOVED = "id_atendimento,id_cliente,angel,polo,data_limite\n1,{2},{0},{1},2021-06-30 15:30\n"
TRADES = """transaction_id,client_id,transaction_type,transaction_date,currency,amount
t1,c1,buy,2021-06-30 15:30:00,EUR,10.00
t2,c2,SELL,2019-01-01,usd,-5
"""


@pytest.fixture
def imports(workshop: Workshop) -> Imports:
    return Imports(workshop.app)


def visits() -> list[tuple[Any, ...]]:
    return table(
        """SELECT a.external_id, c.external_id, g.name, p.name, data_limite, data_de_atendimento, status
           FROM atendimento a JOIN client c ON c.id = client_id JOIN angel g ON g.id = angel_id
           JOIN polo p ON p.id = polo_id WHERE a.deleted_at IS NULL ORDER BY a.external_id"""
    )


def clients() -> list[tuple[Any, ...]]:
    return table("SELECT external_id, name, email, account_balance FROM client ORDER BY external_id")


def names() -> list[str]:
    made = "SELECT name FROM angel UNION ALL SELECT name FROM polo UNION ALL SELECT external_id FROM client"
    return [name for (name,) in table(f"{made} ORDER BY 1")]


class TestInsert:
    def test_the_rows_of_a_file_become_records_and_the_names_they_need_are_made(
        self, imports: Imports
    ) -> None:
        done = imports.load("atendimentos", VISITS)
        assert counts(done) == {"rows_read": 3, "inserted": 3}
        assert done.committed_at is not None
        assert visits() == [
            ("1", "c1", "Ana", "Norte", datetime(2021, 6, 30, 15, 30), datetime(2021, 6, 30, 15), "PENDING"),
            ("2", "c2", "Rui", "Sul", datetime(2021, 7, 1, 12), None, "PENDING"),
            ("3", "c1", "Ana", "Sul", datetime(2021, 7, 2, 12), datetime(2021, 7, 3, 12), "PENDING"),
        ]
        assert table("SELECT count(*) FROM angel") == [(2,)]

    def test_transactions_go_to_the_partition_of_their_date(self, imports: Imports) -> None:
        imports.load("clients", CLIENTS)
        done = imports.load("transactions", TRADES)
        assert counts(done) == {"rows_read": 2, "inserted": 2}
        assert table(
            "SELECT tableoid::regclass::text, transaction_id, transaction_type, currency, amount "
            "FROM transaction ORDER BY 2"
        ) == [
            ("partitions.transaction_2020", "t1", "buy", "EUR", Decimal("10.00")),
            ("partitions.transaction_2015", "t2", "sell", "USD", Decimal("-5.00")),
        ]

    def test_a_bad_row_costs_only_itself_and_is_told_with_all_that_is_wrong(self, imports: Imports) -> None:
        bad = VISITS + '4,c9,,Norte,2021-02-30,\n5,c9,"A\nna",Norte,2021-07-02,never\n6,c9,Ana\n'
        done = imports.load("atendimentos", bad)
        assert counts(done) == {"rows_read": 6, "inserted": 3, "rejected": 3}
        rejects = imports.rejects(done)
        assert codes(rejects)[:2] == [(5, "angel", "missing"), (5, "data_limite", "not_a_date")]
        assert ("data_de_atendimento", "not_a_date") in [(column, code) for _, column, code in codes(rejects)]
        assert codes(rejects)[-1] == (8, "", "wrong_column_count")
        assert rejects[-1].cells == ("6", "c9", "Ana")
        assert done.report["summary"][""] == {"wrong_column_count": 1}
        assert table("SELECT count(*) FROM client WHERE external_id = 'c9'") == [(0,)]

    def test_a_key_counts_once_in_the_file_and_in_the_table(self, imports: Imports) -> None:
        imports.load("atendimentos", VISITS)
        done = imports.load("atendimentos", VISITS + "7,c1,Ana,Sul,2022-01-01,\n7,c2,Ana,Sul,2022-01-02,\n")
        assert counts(done) == {"rows_read": 5, "inserted": 1, "duplicate": 4}
        rejects = imports.rejects(done)
        assert codes(rejects) == [
            *((line, "id_atendimento", "already_there") for line in (2, 3, 4)),
            (6, "id_atendimento", "duplicate"),
        ]
        assert "line 5" in rejects[-1].faults[0].message

    def test_rows_without_a_key_are_all_loaded(self, imports: Imports) -> None:
        keyless = "id_cliente,angel,polo,data_limite\nc1,Ana,Sul,2022-01-01\nc1,Ana,Sul,2022-01-01\n"
        assert counts(imports.load("atendimentos", keyless)) == {"rows_read": 2, "inserted": 2}

    def test_a_transaction_of_an_unknown_client_is_refused(self, imports: Imports) -> None:
        imports.load("clients", CLIENTS)
        done = imports.load("transactions", TRADES + "t3,nobody,buy,2021-01-01,EUR,1\n")
        assert counts(done) == {"rows_read": 3, "inserted": 2, "rejected": 1}
        assert codes(imports.rejects(done)) == [(4, "client_id", "unknown_client")]

    def test_a_row_that_only_the_database_refuses_counts_against_the_budget(
        self, imports: Imports, workshop: Workshop
    ) -> None:
        with workshop.database.unit_of_work() as session:
            session.execute(text("ALTER TABLE atendimento ADD CONSTRAINT odd CHECK (external_id <> '2')"))
        failed = imports.load("atendimentos", VISITS, on_error="reject_file")
        assert (job_of(failed).state, failed.inserted, failed.rejected) == ("failed", 0, 1)
        assert visits() == []

    def test_the_order_of_dates_is_that_of_the_whole_file_not_of_its_head(self, imports: Imports) -> None:
        rows = ["c1,Ana,Sul,03/04/2021\n"] * 700 + ["c1,Ana,Sul,04/25/2021\n"] * 800
        done = imports.load("atendimentos", "id_cliente,angel,polo,data_limite\n" + "".join(rows))
        assert counts(done) == {"rows_read": 1500, "inserted": 1500}
        assert min(row[4] for row in visits()) == datetime(2021, 3, 4)

    def test_a_row_that_only_the_database_refuses_becomes_a_reject(
        self, imports: Imports, workshop: Workshop
    ) -> None:
        with workshop.database.unit_of_work() as session:
            session.execute(text("ALTER TABLE atendimento ADD CONSTRAINT odd CHECK (external_id <> '2')"))
        done = imports.load("atendimentos", VISITS)
        assert counts(done) == {"rows_read": 3, "inserted": 2, "rejected": 1}
        assert codes(imports.rejects(done)) == [(3, "", "refused")]
        assert [row[0] for row in visits()] == ["1", "3"]

    def test_it_comes_after_whatever_the_session_did_before(
        self, imports: Imports, workshop: Workshop
    ) -> None:
        """Refreshes and undos have temporary tables as well, after which a session takes no other buffers."""
        for _ in range(2 * WORKER.pool_size):  # each of its sessions in turn
            with workshop.database.unit_of_work() as session:
                session.execute(text("CREATE TEMP TABLE used ON COMMIT DROP AS SELECT 1 AS number"))
        assert counts(imports.load("atendimentos", VISITS)) == {"rows_read": 3, "inserted": 3}


class TestUpsert:
    def test_rows_are_made_changed_or_found_equal(self, imports: Imports) -> None:
        imports.load("clients", CLIENTS)
        changed = CLIENTS.replace("10.50", "11") + "c3,Eva,eva@example.org,2000-01-01,,7\n"
        done = imports.load("clients", changed)
        assert counts(done) == {"rows_read": 3, "inserted": 1, "updated": 1, "unchanged": 1}
        assert clients() == [
            ("c1", "Ana", "ana@example.org", Decimal("11.00")),
            ("c2", "Rui", "rui@example.org", Decimal("0.00")),
            ("c3", "Eva", "eva@example.org", Decimal("7.00")),
        ]

    def test_columns_that_are_not_in_the_file_stay(self, imports: Imports) -> None:
        imports.load("clients", CLIENTS)
        imports.load("clients", "client_id,name,email,date_of_birth\nc1,Anna,ana@example.org,1980-01-31\n")
        assert clients()[0] == ("c1", "Anna", "ana@example.org", Decimal("10.50"))

    def test_two_clients_can_swap_their_addresses(self, imports: Imports) -> None:
        imports.load("clients", CLIENTS)
        swapped = CLIENTS.replace("ana@", "x@").replace("rui@", "ana@").replace("x@", "rui@")
        assert counts(imports.load("clients", swapped)) == {"rows_read": 2, "updated": 2}
        assert [row[2] for row in clients()] == ["rui@example.org", "ana@example.org"]

    def test_an_address_that_another_client_keeps_is_taken(self, imports: Imports) -> None:
        imports.load("clients", CLIENTS)
        done = imports.load(
            "clients",
            "client_id,name,email,date_of_birth\nc3,Eva,ANA@example.org,2000-01-01\n"
            "c4,Ivo,ivo@example.org,2000-01-01\nc5,Ida,ivo@example.org,2000-01-01\n",
        )
        assert counts(done) == {"rows_read": 3, "inserted": 1, "rejected": 2}
        assert codes(imports.rejects(done)) == [(2, "email", "email_taken"), (4, "email", "email_taken")]

    def test_a_refused_row_keeps_its_address_and_so_on(self, imports: Imports) -> None:
        """c1 would free ana@ for c2, and c2 rui@ for c3; but c1 wants one that stays taken."""
        imports.load("clients", CLIENTS + "c9,Eva,eva@example.org,2000-01-01,,\n")
        chain = (
            "client_id,name,email,date_of_birth\nc1,Ana,eva@example.org,1980-01-31\n"
            "c2,Rui,ana@example.org,1990-12-01\nc3,Ida,rui@example.org,2000-01-01\n"
        )
        done = imports.load("clients", chain)
        assert counts(done) == {"rows_read": 3, "rejected": 3}

    def test_a_client_known_only_from_a_visit_is_filled(self, imports: Imports) -> None:
        imports.load("atendimentos", VISITS)
        assert clients() == [("c1", None, None, Decimal(0)), ("c2", None, None, Decimal(0))]
        assert counts(imports.load("clients", CLIENTS)) == {"rows_read": 2, "updated": 2}
        assert clients()[0][1] == "Ana"

    def test_without_a_key_or_where_it_makes_no_sense_it_is_refused(self, imports: Imports) -> None:
        keyless = "id_cliente,angel,polo,data_limite\nc1,Ana,Sul,2022-01-01\n"
        with pytest.raises(Invalid, match="id_atendimento"):
            imports.start("atendimentos", keyless, mode="upsert")
        with pytest.raises(Invalid, match="only be inserted"):
            imports.start("transactions", TRADES, mode="upsert")


class TestFailure:
    @pytest.mark.parametrize(
        ("terms", "told"),
        [
            ({"on_error": "reject_file"}, "1 row is wrong, and the file was to be loaded whole."),
            ({"max_errors": 0}, "1 row is wrong; at most 0 may be."),
            ({"max_error_rate": Decimal("0.2")}, "1 row is wrong out of 4; at most 20% may be."),
        ],
    )
    def test_too_many_bad_rows_keep_nothing_but_the_report(
        self, imports: Imports, terms: dict[str, Any], told: str
    ) -> None:
        failed = imports.load("atendimentos", VISITS + "4,c9,,Norte,2021-02-28,\n", **terms)
        job = job_of(failed)
        assert (job.state, (job.error or {})["slug"]) == ("failed", "too-many-errors")
        assert (job.error or {})["detail"] == told
        assert (failed.rejected, failed.committed_at) == (1, None)
        assert codes(imports.rejects(failed)) == [(5, "angel", "missing")]
        assert visits() == []

    def test_a_column_that_is_missing_is_told_with_what_is_accepted(self, imports: Imports) -> None:
        with pytest.raises(MissingColumns) as caught:
            imports.start("atendimentos", "id_cliente,angel,data_limite\nc1,Ana,2022-01-01\n")
        assert caught.value.members == {"missing": ["polo"], "found": ["id_cliente", "angel", "data_limite"]}
        assert "hub" in caught.value.errors[0].message

    @pytest.mark.parametrize(
        ("dates", "slug"),
        [
            (("03/04/2021", "05/06/2021"), "ambiguous-dates"),
            (("03/04/2021", "13/06/2021"), None),
            (("2021-06-05", "03/04/2021"), "ambiguous-dates"),
            (("2021-06-05", "2021-06-05", "03/04/2021", "13/06/2021"), None),
            (("13/06/2021", "06/13/2021", "03/04/2021"), "ambiguous-dates"),
        ],
    )
    def test_dates_that_can_be_read_two_ways_are_asked_about(
        self, imports: Imports, dates: tuple[str, ...], slug: str | None
    ) -> None:
        rows = "".join(f"c1,Ana,Sul,{day}\n" for day in dates)
        done = imports.load("atendimentos", "id_cliente,angel,polo,data_limite\n" + rows)
        assert (job_of(done).error or {}).get("slug") == slug
        settled = imports.load(
            "atendimentos", "id_cliente,angel,polo,data_limite\n" + rows, options={"date_order": "dmy"}
        )
        assert settled.inserted == sum(day != "06/13/2021" for day in dates)
        assert min(row[4] for row in visits()) == datetime(2021, 4, 3)


@pytest.mark.parametrize("bad", ["{broken", "[1,2]"])
def test_a_broken_line_near_the_top_of_json_lines_costs_no_other(imports: Imports, bad: str) -> None:
    keys = ("id_atendimento", "id_cliente", "angel", "polo", "data_limite")
    lines = [
        json.dumps(dict(zip(keys, (str(n), "c1", "Ana", "Sul", "2021-07-01"), strict=True))) for n in (1, 2)
    ]
    done = imports.load("atendimentos", "\n".join([lines[0], bad, lines[1]]))
    assert counts(done) == {"rows_read": 3, "inserted": 2, "rejected": 1}
    assert codes(imports.rejects(done)) == [(2, "", "not_json")]


def test_a_row_whose_id_could_not_be_asked_for_is_refused_and_the_others_are_loaded(imports: Imports) -> None:
    rows = VISITS.replace("c2", '"c\n2"').replace("\n3,c1", "\n3,c1/events")
    done = imports.load("atendimentos", f'{rows}4,..,Ana,Sul,2021-07-02,\n"5\t",c5,Ana,Sul,2021-07-02,\n')
    assert counts(done) == {"rows_read": 5, "inserted": 2, "rejected": 3}
    assert codes(imports.rejects(done)) == [
        (3, "id_cliente", "control_character"),
        (5, "id_cliente", "out_of_range"),
        (6, "id_cliente", "out_of_range"),
    ]
    assert [(row[0], row[1]) for row in visits()] == [("1", "c1"), ("5", "c5")]


def test_a_row_with_a_stray_nul_is_refused_and_the_others_are_loaded(imports: Imports) -> None:
    done = imports.load("atendimentos", VISITS.replace("Rui", "R\0ui"))
    assert counts(done) == {"rows_read": 3, "inserted": 2, "rejected": 1}
    assert codes(imports.rejects(done)) == [(3, "angel", "control_character")]
    sheet = imports.table_of_rejects(done)
    sheet[1][2] = "Rui"
    assert counts(imports.correct(done, sheet)) == {"rows_read": 1, "inserted": 1}


class TestWhatIsThereAlready:
    def test_the_record_and_its_import_are_named(self, imports: Imports) -> None:
        first = imports.load("atendimentos", VISITS)
        again = imports.load("atendimentos", VISITS.replace("Norte", "Leste"))
        assert counts(again) == {"rows_read": 3, "duplicate": 3}
        ids = dict(table("SELECT external_id, id FROM atendimento"))
        assert [row.faults[0].detail for row in imports.rejects(again)] == [
            f"It is record {ids[key]} of import {first.id}." for key in ("1", "2", "3")
        ]

    def test_whose_address_it_is_is_told(self, imports: Imports) -> None:
        imports.load("clients", CLIENTS)
        later = imports.load("clients", CLIENTS.splitlines()[0] + "\nc3,Eva,ANA@example.org,2000-01-01,,\n")
        (fault,) = imports.rejects(later)[0].faults
        assert (fault.code, fault.detail) == ("email_taken", "It is that of «c1».")


MANY = 3_000


def chain(addresses: list[int]) -> str:
    """Clients c0, c1, … with these addresses."""
    rows = (f"c{n},N,a{address}@x.pt,1980-01-01,,\n" for n, address in enumerate(addresses))
    return CLIENTS.splitlines()[0] + "\n" + "".join(rows)


class TestAddressesOfMany:
    def test_each_takes_that_of_the_next_and_the_last_that_of_the_first(self, imports: Imports) -> None:
        imports.load("clients", chain(list(range(MANY))))
        ring = imports.load("clients", chain([(n + 1) % MANY for n in range(MANY)]))
        assert counts(ring) == {"rows_read": MANY, "updated": MANY}

    def test_if_the_last_one_may_not_nobody_may(self, imports: Imports) -> None:
        imports.load("clients", chain(list(range(MANY + 1))))
        stuck = imports.load("clients", chain([n + 1 for n in range(MANY)]))
        assert counts(stuck) == {"rows_read": MANY, "rejected": MANY}
        assert {fault.code for row in imports.rejects(stuck) for fault in row.faults} == {"email_taken"}


class TestDryRun:
    def test_it_tells_the_same_and_keeps_nothing(self, imports: Imports) -> None:
        imports.load("clients", CLIENTS)
        before = clients()
        content = (
            CLIENTS.replace("10.50", "11") + "c3,Eva,nonsense,2000-01-01,,7\nc4,Ivo,i@x.pt,2000-01-01,,\n"
        )
        dry = imports.load("clients", content, is_dry_run=True)
        assert clients() == before
        assert (job_of(dry).state, dry.committed_at) == ("done", None)
        real = imports.load("clients", content)
        assert counts(dry) == counts(real) != {}
        assert codes(imports.rejects(dry)) == codes(imports.rejects(real)) == [(4, "email", "not_an_email")]

    def test_names_are_not_made(self, imports: Imports) -> None:
        assert imports.load("atendimentos", VISITS, is_dry_run=True).inserted == 3
        assert table("SELECT count(*) FROM angel") == [(0,)]


class TestUndo:
    def test_what_it_made_goes_and_so_do_names_that_nothing_uses(self, imports: Imports) -> None:
        first = imports.load("atendimentos", VISITS)
        imports.load("atendimentos", "id_cliente,angel,polo,data_limite\nc1,Ana,Leste,2022-01-01\n")
        undone = imports.undo(first)
        assert (undone["removed"], undone["kept"]) == (3, 0)
        assert table("SELECT name FROM angel UNION ALL SELECT name FROM polo ORDER BY 1") == [
            ("Ana",),
            ("Leste",),
        ]
        assert len(visits()) == 1
        assert imports.read(first.id).undone_at is not None
        with pytest.raises(NotInThisState):
            imports.undo(first)

    def test_what_it_changed_is_as_before(self, imports: Imports) -> None:
        imports.load("clients", CLIENTS)
        before = clients()
        second = imports.load("clients", CLIENTS.replace("Rui", "Ruy").replace("10.50", "99"))
        undone = imports.undo(second)
        assert (undone["removed"], undone["restored"]) == (0, 2)
        assert clients() == before

    def test_imports_are_undone_one_after_the_other_back_to_nothing(self, imports: Imports) -> None:
        done = [imports.load("clients", CLIENTS.replace("10.50", f"{n}.00")) for n in range(3)]
        for one in reversed(done):
            assert imports.undo(one)["kept"] == 0
        assert clients() == []

    def test_what_was_changed_or_is_used_since_is_kept_and_named(self, imports: Imports) -> None:
        first = imports.load("clients", CLIENTS)
        second = imports.load("clients", CLIENTS.replace("10.50", "11"))
        imports.load("clients", CLIENTS.replace("10.50", "12"))
        imports.load("transactions", TRADES.splitlines(keepends=True)[0] + "t1,c2,buy,2021-01-01,EUR,1\n")
        undone = imports.undo(second)
        assert (undone["restored"], undone["kept_rows"]) == (0, ["c1"])
        undone = imports.undo(first)
        assert (undone["removed"], undone["kept_rows"]) == (0, ["c1", "c2"])
        assert clients()[0][3] == Decimal("12.00")

    def test_a_dry_run_tells_and_does_nothing(self, imports: Imports) -> None:
        first = imports.load("atendimentos", VISITS)
        assert imports.undo(first, is_dry_run=True)["removed"] == 3
        assert len(visits()) == 3
        assert imports.read(first.id).undone_at is None

    def test_a_row_whose_former_value_somebody_has_by_now_is_kept_and_named(self, imports: Imports) -> None:
        imports.load("clients", CLIENTS)
        second = imports.load("clients", CLIENTS.replace("ana@", "new@").replace("rui@", "neu@"))
        imports.load("clients", CLIENTS.splitlines()[0] + "\nc9,Eva,ana@example.org,2000-01-01,,\n")
        undone = imports.undo(second)
        assert (undone["restored"], undone["kept"], undone["kept_rows"]) == (1, 1, ["c1"])
        assert [row[2] for row in clients()] == ["new@example.org", "rui@example.org", "ana@example.org"]

    def test_a_former_value_that_somebody_takes_meanwhile_is_told(
        self, imports: Imports, workshop: Workshop
    ) -> None:
        imports.load("clients", CLIENTS)
        second = imports.load("clients", CLIENTS.replace("ana@", "new@"))
        with services() as s:
            job = s.imports.undo(second, imports.owner, is_dry_run=False)
        with workshop.another_database().unit_of_work() as other:
            other.execute(text("INSERT INTO client (external_id, email) VALUES ('c9', 'ana@example.org')"))
            undone = workshop.in_thread(lambda: run_job(job.id, HANDLERS))
            workshop.await_lock_waiters(1)
        assert undone.result(timeout=30) is JobState.FAILED
        with services() as s:
            assert (s.job_rows.get(job.id).error or {})["slug"] == "former-values-taken"
        assert imports.undo(second)["kept_rows"] == ["c1"]

    def test_what_a_kept_row_does_not_give_back_is_put_back_to_nobody(self, imports: Imports) -> None:
        """Each took the address of the next; beside that, two others swapped theirs."""
        header = CLIENTS.splitlines()[0]
        before, after = "abcde", "bcxed"
        for addresses in (before, after):
            rows = [f"c{n},Eva,{name}@example.org,2000-01-01,," for n, name in enumerate(addresses)]
            changed = imports.load("clients", "\n".join([header, *rows]))
        assert changed.updated == 5
        imports.load("clients", f"{header}\nc9,Eva,a@example.org,2000-01-01,,\n")
        undone = imports.undo(changed)
        assert (undone["restored"], undone["kept_rows"]) == (2, ["c0", "c1", "c2"])
        assert "".join(row[2][0] for row in clients()) == "bcxdea"

    def test_names_that_only_a_changed_row_used_go_with_the_change(self, imports: Imports) -> None:
        imports.load("atendimentos", MOVED.format("Ana", "Leste", "c1"))
        second = imports.load("atendimentos", MOVED.format("Nia", "Norte", "c2"), mode="upsert")
        assert second.updated == 1
        assert imports.undo(second)["names_removed"] == {"angel": 1, "polo": 1, "client": 1}
        assert names() == ["Ana", "Leste", "c1"]

    def test_in_any_order_what_a_row_pointed_to_is_there_to_be_put_back(self, imports: Imports) -> None:
        first = imports.load("atendimentos", MOVED.format("Ana", "Leste", "c1"))
        second = imports.load("atendimentos", MOVED.format("Nia", "Norte", "c2"), mode="upsert")
        undone = imports.undo(first)
        assert (undone["kept"], undone["names_removed"]) == (1, {})
        assert imports.undo(second)["restored"] == 1
        assert names() == ["Ana", "Leste", "c1"]

    def test_transactions_give_their_keys_back(self, imports: Imports) -> None:
        imports.load("clients", CLIENTS)
        first = imports.load("transactions", TRADES)
        assert imports.undo(first)["removed"] == 2
        assert imports.load("transactions", TRADES).inserted == 2


class TestSameFile:
    def test_the_same_file_again_is_the_import_there_is(self, imports: Imports) -> None:
        first = imports.load("atendimentos", VISITS)
        assert imports.start("atendimentos", VISITS).id == first.id
        assert imports.start("atendimentos", VISITS, is_forced=True).id != first.id

    def test_unless_it_was_undone_or_failed_or_is_loaded_otherwise(self, imports: Imports) -> None:
        first = imports.load("atendimentos", VISITS)
        imports.undo(first)
        second = imports.load("atendimentos", VISITS)
        assert (second.id != first.id, second.inserted) == (True, 3)
        other = imports.start("atendimentos", VISITS, mode="upsert")
        assert other.id != second.id

    def test_what_another_account_has_loaded_is_loaded_twice_only_if_that_is_wanted(
        self, imports: Imports
    ) -> None:
        first = imports.load("atendimentos", VISITS)
        admin, operator = (imports.another(role) for role in (Role.ADMIN, Role.OPERATOR))
        assert admin.start("atendimentos", VISITS).id == first.id
        with pytest.raises(LoadedByAnother, match="force=true"):
            operator.start("atendimentos", VISITS)
        assert operator.load("atendimentos", VISITS, is_forced=True).duplicate == 3
        imports.undo(first)
        assert operator.start("atendimentos", VISITS).id != first.id

    def test_twins_at_the_same_moment_are_one(self, imports: Imports, workshop: Workshop) -> None:
        found = workshop.together(lambda _: imports.start("atendimentos", VISITS).id, 4)
        assert len(set(found)) == 1

    def test_an_old_job_that_is_tried_again_loads_nothing(self, imports: Imports, workshop: Workshop) -> None:
        keyless = "id_cliente,angel,polo,data_limite\nc1,Ana,Sul,2022-01-01\nc1,,Sul,2022-01-01\n"
        failed = imports.load("atendimentos", keyless, max_errors=0)
        old = failed.job_id
        with services() as s:
            row = s.import_rows.get_own(failed.id, None)
            row.max_errors = None
            s.imports.run(row, imports.owner, is_dry_run=False)
        assert imports.run(imports.read(failed.id)).inserted == 1
        assert old is not None
        with services() as s:
            s.jobs.retry(s.job_rows.get(old), imports.owner)
        assert run_job(old, HANDLERS) is JobState.FAILED
        assert len(visits()) == 1

    def test_a_job_that_is_tried_again_loads_no_file_that_was_sent_anew(self, imports: Imports) -> None:
        keyless = "id_cliente,angel,polo,data_limite\nc1,Ana,Sul,2022-01-01\n"
        given_up = imports.start("atendimentos", keyless)
        with services() as s:
            s.jobs.cancel(s.job_rows.get(given_up.job_id), imports.owner)
        assert imports.load("atendimentos", keyless).inserted == 1
        with services() as s:
            assert s.jobs.retry_many(imports.owner, kind="import", state=None) == [given_up.job_id]
        assert given_up.job_id is not None
        assert run_job(given_up.job_id, HANDLERS) is JobState.FAILED
        with services() as s:
            assert s.job_rows.get(given_up.job_id).error["slug"] == "import-loaded-meanwhile"
        assert len(visits()) == 1

    @pytest.mark.parametrize("forced", [(True, True), (False, True)])
    def test_one_that_was_forced_is_loaded_beside_the_other(
        self, imports: Imports, forced: tuple[bool, bool]
    ) -> None:
        keyless = "id_cliente,angel,polo,data_limite\nc1,Ana,Sul,2022-01-01\n"
        first, second = (imports.start("atendimentos", keyless, is_forced=one) for one in forced)
        assert imports.run(second).inserted == 1
        assert imports.run(first).inserted == 1
        assert len(visits()) == 2


def test_what_an_attempt_has_refused_is_gone_when_the_next_one_refuses_nothing(imports: Imports) -> None:
    header = "transaction_id,client_id,transaction_type,transaction_date,currency,amount\n"
    failed = imports.load(
        "transactions", f"{header}1,c-new,buy,2024-01-31,EUR,1.00\n", on_error="reject_file"
    )
    assert codes(imports.rejects(failed)) == [(2, "client_id", "unknown_client")]
    a_client("c-new")
    with services() as s:
        s.jobs.retry(s.job_rows.get(failed.job_id), imports.owner)
    loaded = imports.run(failed)
    assert (counts(loaded), loaded.rejects_file_id) == ({"rows_read": 1, "inserted": 1}, None)


def test_two_imports_at_once_share_the_names_they_need(imports: Imports, workshop: Workshop) -> None:
    started = [
        imports.start(
            "atendimentos",
            VISITS.replace("\n1,", f"\n1{n},").replace("\n2,", f"\n2{n},").replace("\n3,", f"\n3{n},"),
        )
        for n in range(4)
    ]
    done = workshop.together(lambda n: imports.run(started[n]), 4)
    assert [counts(one) for one in done] == [{"rows_read": 3, "inserted": 3}] * 4
    assert table("SELECT count(*) FROM angel") == [(2,)]
    assert [state for (state,) in table("SELECT state FROM job WHERE kind = 'import'")] == [JobState.DONE] * 4


def test_values_mean_what_the_dataset_says(imports: Imports) -> None:
    done = imports.load(
        "clients",
        "Código do Cliente;Nome;E-mail;Data de Nascimento;País;Saldo\n007; Zoé ;ZOE@Example.org;31/01/1980;;1.234,50\n",
    )
    assert counts(done) == {"rows_read": 1, "inserted": 1}
    assert table("SELECT external_id, name, email, date_of_birth, country, account_balance FROM client") == [
        ("007", "Zoé", "zoe@example.org", date(1980, 1, 31), None, Decimal("1234.50"))
    ]

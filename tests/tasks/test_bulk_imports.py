"""The bulk way: indexes go and come back, whatever happens, and what is loaded is the same."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from src.domain.errors import Invalid
from src.domain.roles import Role, RoleTooLow
from src.wiring import services
from tests.committing import Workshop
from tests.factories.imports import Imports, codes, counts, job_of, table

HEADER = "id_atendimento,id_cliente,angel,polo,data_limite,data_de_atendimento\n"
VISITS = HEADER + "1,c1,Ana,Norte,2021-06-30 15:30,2021-06-30 15:00\n2,c2,Rui,Sul,2021-07-01 12:00,\n"
FOLD_LOCK = text("SELECT pg_advisory_xact_lock(7012003)")


@pytest.fixture
def imports(workshop: Workshop) -> Imports:
    imports = Imports(workshop.app)
    imports.owner = replace(imports.owner, role=Role.ADMIN)
    return imports


def schema(name: str) -> list[tuple[Any, ...]]:
    """The indexes and constraints of a table and its partitions, each usable."""
    return table(
        f"""SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid FROM pg_index
            WHERE indrelid IN (SELECT relid FROM pg_partition_tree('{name}')
                UNION SELECT CAST('{name}' AS regclass))
            UNION ALL SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
            WHERE conrelid = CAST('{name}' AS regclass) ORDER BY 1, 2"""
    )


def rollups() -> list[tuple[Any, ...]]:
    return table("SELECT sum(on_time)::int, sum(late)::int, sum(open)::int FROM indicator_angel")


def test_the_rows_are_there_and_the_table_is_as_it_was(imports: Imports) -> None:
    before = schema("atendimento")
    assert counts(imports.load("atendimentos", VISITS, is_bulk=True)) == {"rows_read": 2, "inserted": 2}
    assert (schema("atendimento"), rollups()) == (before, [(1, 0, 1)])


def test_what_is_there_already_is_told_by_line_as_ever(imports: Imports) -> None:
    imports.load("atendimentos", VISITS)
    more = VISITS + "3,c3,Ana,Sul,2021-07-02 12:00,2021-07-03 12:00\n3,c4,Ana,Sul,2021-07-02,\n"
    done = imports.load("atendimentos", more, is_bulk=True)
    assert counts(done) == {"rows_read": 4, "inserted": 1, "duplicate": 3}
    assert [code for _, _, code in codes(imports.rejects(done))] == ["already_there"] * 2 + ["duplicate"]
    assert rollups() == [(1, 1, 1)]


def test_the_indexes_of_all_partitions_come_back(imports: Imports) -> None:
    imports.load("clients", "client_id,name,email,date_of_birth\nc1,Ana,a@example.org,1980-01-01\n")
    before = schema("transaction")
    trades = "transaction_id,client_id,transaction_type,transaction_date,currency,amount\n"
    trades += "t1,c1,buy,2021-06-30,EUR,1\nt2,c1,sell,1999-01-01,EUR,-1\n"
    assert imports.load("transactions", trades, is_bulk=True).inserted == 2
    assert schema("transaction") == before


def test_a_crash_in_the_middle_leaves_the_old_schema_and_no_rows(
    imports: Imports, workshop: Workshop
) -> None:
    before = schema("atendimento")
    started = imports.start("atendimentos", VISITS, is_bulk=True)
    with workshop.another_database().unit_of_work() as other:
        other.execute(FOLD_LOCK)
        run = workshop.in_thread(lambda: imports.run(started))
        workshop.await_lock_waiters(1)  # without its indexes, and about to fold
        other.execute(
            text(
                """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'"""
            )
        )
        assert run.result(timeout=30).committed_at is None
    assert (schema("atendimento"), table("SELECT count(*) FROM atendimento")) == (before, [(0,)])


def test_a_dry_run_locks_nothing_that_others_need(imports: Imports, workshop: Workshop) -> None:
    started = imports.start("atendimentos", VISITS, is_bulk=True, is_dry_run=True)
    with workshop.another_database().unit_of_work() as other:
        other.execute(text("SELECT count(*) FROM atendimento"))  # read, and not let go
        assert imports.run(started).inserted == 2


def test_two_at_once_take_turns(imports: Imports, workshop: Workshop) -> None:
    started = [
        imports.start(
            "atendimentos", VISITS.replace("\n1", f"\n1{n}").replace("\n2", f"\n2{n}"), is_bulk=True
        )
        for n in range(2)
    ]
    done = workshop.together(lambda n: imports.run(started[n]), 2)
    assert [one.inserted for one in done] == [2, 2]
    assert [job_of(one).state for one in done] == ["done", "done"]


def test_only_administrators_may_and_only_to_insert(imports: Imports) -> None:
    with pytest.raises(Invalid, match="upsert"):
        imports.start("atendimentos", VISITS, is_bulk=True, mode="upsert")
    imports.owner = replace(imports.owner, role=Role.OPERATOR)
    with pytest.raises(RoleTooLow):
        imports.start("atendimentos", VISITS, is_bulk=True)
    with services() as s:
        assert list(s.session.execute(text("SELECT FROM import"))) == []

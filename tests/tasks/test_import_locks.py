"""Imports beside others: what they hold and when, so that nobody waits long and none in a circle."""

from functools import partial

import pytest
from sqlalchemy import text

from src.domain.jobs import JobState
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import services
from tests.committing import Workshop
from tests.factories.imports import Imports, counts, table

HEADER = "id_atendimento,id_cliente,angel,polo,data_limite,data_de_atendimento\n"
FIRST = HEADER + "1,c1,Ana,Norte,2021-06-30 15:30,2021-06-30 15:00\n2,c2,Rui,Sul,2021-07-01 12:00,\n"
A_VISIT = text(
    """INSERT INTO atendimento (client_id, angel_id, polo_id, data_limite)
       SELECT c.id, a.id, p.id, '2022-01-01' FROM client c, angel a, polo p
       WHERE c.external_id = 'c1' AND a.name = 'Ana' AND p.name = 'Norte'"""
)
NAMES = "SELECT name FROM angel UNION ALL SELECT name FROM polo ORDER BY 1"


@pytest.fixture
def imports(workshop: Workshop) -> Imports:
    return Imports(workshop.app)


@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_while_an_import_waits_for_its_row_others_can_still_write(
    imports: Imports, workshop: Workshop, mode: str
) -> None:
    """Its row comes before the rollups, as in an undo."""
    imports.load("atendimentos", FIRST)
    second = imports.start("atendimentos", FIRST.replace("Ana", "Eva").replace("\n2", "\n3"), mode=mode)
    with workshop.another_database().unit_of_work() as other:
        other.execute(text("SELECT FROM import WHERE id = :id FOR UPDATE"), {"id": second.id})
        done = workshop.in_thread(lambda: imports.run(second))
        workshop.await_lock_waiters(1)
        with services() as s:
            s.session.execute(A_VISIT)
    assert done.result(timeout=30).committed_at is not None
    assert table("SELECT sum(on_time + late + open)::int FROM indicator_angel") == [(4,)]


def test_names_are_there_for_others_before_the_imports_that_made_them_end(
    imports: Imports, workshop: Workshop
) -> None:
    """Two imports that need the same new ones, beside a request that is not at its end."""
    imports.load("atendimentos", FIRST)
    started = [
        imports.start("atendimentos", FIRST.replace("\n1,", f"\nx{n},").replace("\n2,", f"\ny{n},Eva "))
        for n in range(2)
    ]
    with workshop.another_database().unit_of_work() as other:
        other.execute(A_VISIT)
        done = [workshop.in_thread(partial(imports.run, one)) for one in started]
        workshop.await_lock_waiters(2)  # at their very end, for the rollups
        assert ("Eva c2",) in table("SELECT external_id FROM client")
        assert table("SELECT count(*) FROM atendimento") == [(2,)]
    assert [counts(one.result(timeout=60)) for one in done] == [{"rows_read": 2, "inserted": 2}] * 2
    assert table("SELECT count(*) FROM atendimento") == [(7,)]


def test_an_undo_leaves_the_names_that_somebody_is_about_to_use(imports: Imports, workshop: Workshop) -> None:
    first = imports.load("atendimentos", FIRST)
    with services() as s:
        job = s.imports.undo(first, imports.owner, is_dry_run=False)
    with workshop.another_database().unit_of_work() as other:
        other.execute(A_VISIT)
        undone = workshop.in_thread(lambda: run_job(job.id, HANDLERS))
        workshop.await_lock_waiters(1)  # for the rollups, which the visit holds; not for a name
    assert undone.result(timeout=30) is JobState.DONE
    assert table(NAMES) == [("Ana",), ("Norte",)]


def test_an_undo_removes_many_names_at_once(imports: Imports) -> None:
    rows = "".join(f"v{n},c{n},angel {n},polo {n % 50},2021-06-30,\n" for n in range(2_000))
    first = imports.load("atendimentos", HEADER + rows)
    assert imports.undo(first)["names_removed"] == {"angel": 2_000, "client": 2_000, "polo": 50}
    assert table("SELECT count(*) FROM client") == [(0,)]


def test_more_names_than_are_made_at_a_time_are_all_made(imports: Imports) -> None:
    rows = "".join(f"v{n},c{n},Ana,Norte,2021-06-30,\n" for n in range(45_000))
    assert counts(imports.load("atendimentos", HEADER + rows)) == {"rows_read": 45_000, "inserted": 45_000}
    assert table("SELECT count(*) FROM client") == [(45_000,)]


def test_a_file_that_has_to_be_whole_is_read_until_the_first_bad_row(imports: Imports) -> None:
    """A dry run tells of all of them."""
    good = "".join(f"v{n},c1,{'Ana' * 30},Norte,2021-06-30,\n" for n in range(49_999))
    rows = f"{HEADER}v,c1,,Norte,2021-06-30,\n{good}"
    failed = imports.load("atendimentos", rows, on_error="reject_file")
    assert (failed.rejected, failed.inserted) == (1, 0)
    assert failed.rows_read < 50_000
    validated = imports.load("atendimentos", rows, on_error="reject_file", is_dry_run=True)
    assert (validated.rejected, validated.rows_read) == (1, 50_000)

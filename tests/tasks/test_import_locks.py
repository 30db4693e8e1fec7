"""Imports beside others: what they hold and when, so that nobody waits long and none in a circle."""

from functools import partial

import pytest
from sqlalchemy import text

from src.domain.jobs import JobState
from src.repositories.landing import Landed, Landing
from src.services.imports import NotInThisState
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import services
from tests.committing import Workshop
from tests.factories.imports import Imports, codes, counts, table

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


THEIRS = text(
    """INSERT INTO atendimento (external_id, client_id, angel_id, polo_id, data_limite)
       SELECT 'v' || n, c.id, a.id, p.id, '2022-01-01'
       FROM generate_series(21, 100) AS n, client c, angel a, polo p
       WHERE c.external_id = 'c1' AND a.name = 'Ana' AND p.name = 'Norte'"""
)


@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_rows_that_others_make_meanwhile_are_judged_together(
    imports: Imports, workshop: Workshop, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """Not one by one, while everybody else waits; a row that is there already stops no upsert."""
    imports.load("atendimentos", FIRST)
    tries, written = [], Landing._written

    def counting(landing: Landing, low: int, high: int) -> Landed:
        tries.append((low, high))
        return written(landing, low, high)

    monkeypatch.setattr(Landing, "_written", counting)
    rows = "".join(f"v{n},c1,Ana,Norte,2021-06-30,\n" for n in range(1, 101))
    mine = imports.start("atendimentos", HEADER + rows, mode=mode)
    with workshop.another_database().unit_of_work() as other:
        other.execute(THEIRS)
        done = workshop.in_thread(lambda: imports.run(mine))
        workshop.await_lock_waiters(1)
    taken = {"duplicate": 80} if mode == "insert" else {"updated": 80}
    assert counts(done.result(timeout=30)) == {"rows_read": 100, "inserted": 20, **taken}
    assert len(tries) == 2
    there = table(
        "SELECT data_limite::date::text, count(*) FROM atendimento WHERE external_id ~ 'v' GROUP BY 1"
    )
    assert dict(there) == ({"2022-01-01": 80, "2021-06-30": 20} if mode == "insert" else {"2021-06-30": 100})


def test_addresses_that_others_take_meanwhile_are_refused_together(
    imports: Imports, workshop: Workshop
) -> None:
    header = "client_id,name,email,date_of_birth\n"
    rows = "".join(f"c{n},Ana,a{n}@example.org,1990-01-01\n" for n in range(50))
    mine = imports.start("clients", header + rows)
    with workshop.another_database().unit_of_work() as other:
        taken = "INSERT INTO client (external_id, email) SELECT 'x' || n, 'a' || n || '@example.org' FROM"
        other.execute(text(f"{taken} generate_series(10, 39) AS n"))
        done = workshop.in_thread(lambda: imports.run(mine))
        workshop.await_lock_waiters(1)
    finished = done.result(timeout=30)
    assert counts(finished) == {"rows_read": 50, "inserted": 20, "rejected": 30}
    assert codes(imports.rejects(finished)) == [(line, "email", "email_taken") for line in range(12, 42)]


A_JOB_FOR_IT = text(
    """WITH fresh AS (
        INSERT INTO job SELECT (jsonb_populate_record(job, '{"state": "queued"}' || jsonb_build_object('id', new))).*
        FROM job, gen_random_uuid() AS new WHERE job.id = (SELECT job_id FROM import WHERE id = :done) RETURNING id
    ) UPDATE import SET job_id = (SELECT id FROM fresh) WHERE id = :draft"""
)


def test_a_draft_that_another_request_has_just_committed_is_none_any_more(
    imports: Imports, workshop: Workshop
) -> None:
    done = imports.load("atendimentos", FIRST)
    draft = imports.draft("atendimentos", FIRST + "3,c2,Rui,Sul,2021-07-01 12:00,\n")

    def validate() -> None:
        with services() as s:
            s.imports.run(draft, imports.owner, is_dry_run=True)

    with workshop.another_database().unit_of_work() as other:
        other.execute(text("SELECT FROM import WHERE id = :draft FOR UPDATE"), {"draft": draft.id})
        validated = workshop.in_thread(validate)
        workshop.await_lock_waiters(1)
        other.execute(A_JOB_FOR_IT, {"done": done.id, "draft": draft.id})
    with pytest.raises(NotInThisState):
        validated.result(timeout=30)


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

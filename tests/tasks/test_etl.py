"""Both files as one job: in order, each step once, stopped by the first that fails."""

import pytest
from sqlalchemy import select, text

from src.domain.datasets import DATASETS
from src.domain.jobs import JobState
from src.domain.mapping import MissingColumns
from src.domain.roles import Actor
from src.models import File, Import, Job, ViewRefresh
from src.services.etl import KIND, Source
from src.services.import_terms import Terms
from src.services.looks import look_at
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import adapters, services
from tests.committing import Workshop
from tests.factories.workers import run_all

CLIENTS = """client_id,name,email,date_of_birth
c1,Ana,ana@example.org,1980-01-31
c2,,invalid-email,invalid-date
"""
TRADES = """transaction_id,client_id,transaction_type,transaction_date,currency,amount
t1,c1,buy,2021-06-30 15:30:00,EUR,10.00
t2,c1,SELL,2019-01-01,usd,-5
t3,c2,buy,2019-01-01,usd,5
"""


@pytest.fixture
def owner(workshop: Workshop) -> Actor:
    return workshop.files.owner()


def source(file: File, step: str) -> Source:
    mine = adapters()
    return Source(
        file, look_at(mine.storage, mine.readers, file.storage_key, file.detected, DATASETS[step], {})
    )


def start(
    workshop: Workshop, owner: Actor, clients: str = CLIENTS, trades: str = TRADES, *, is_forced: bool = False
) -> Job:
    files = [workshop.files.add(owner, content=content.encode()) for content in (clients, trades)]
    first, second = source(files[0], "clients"), source(files[1], "transactions")
    with services() as s:
        return s.etl.start(first, second, owner, Terms(), is_forced=is_forced)


def states(workshop: Workshop, job: Job) -> list[str]:
    """Of the jobs of the two imports; a draft has none."""
    with services() as s:
        return [row.job.state if row.job else "draft" for row in s.etl.imports_of(workshop.jobs.read(job.id))]


def test_clients_come_first_then_their_transactions_then_the_statistics(
    workshop: Workshop, owner: Actor
) -> None:
    job = start(workshop, owner)
    assert states(workshop, job) == ["queued", "draft"]
    run_all()
    done = workshop.jobs.read(job.id)
    assert done.state == JobState.DONE
    assert done.attempts == 1, "waiting for a step is no failed attempt"
    result = done.result
    assert result is not None
    counts = {
        name: {key: count for key, count in result[name].items() if isinstance(count, int) and count}
        for name in result
    }
    assert counts == {
        "clients": {"rows_read": 2, "inserted": 1, "rejected": 1},
        "transactions": {"rows_read": 3, "inserted": 2, "rejected": 1},
        "statistics": {"rows": 2},
    }
    with services() as s:
        client = s.client_rows.get_by_external_id("c1")
        found, as_of = s.view_rows.statistics_of(client.id)
    assert [(one.currency, one.transactions) for one in found] == [("EUR", 1), ("USD", 1)]
    assert as_of is not None


def test_one_import_of_transactions_asks_for_one_refresh_and_its_undoing_for_another(
    workshop: Workshop, owner: Actor
) -> None:
    job = start(workshop, owner)
    assert asked() == 0
    run_all()
    assert asked() == 1
    with services() as s:
        s.imports.undo(s.etl.imports_of(workshop.jobs.read(job.id))[1], owner, is_dry_run=False)
    run_all()
    assert asked() == 2
    with services() as s:
        client = s.client_rows.get_by_external_id("c1")
        assert s.view_rows.statistics_of(client.id)[0] == []


def test_an_import_that_changes_no_transaction_asks_for_none(workshop: Workshop, owner: Actor) -> None:
    start(workshop, owner, trades=TRADES.replace("c1", "nobody"))
    run_all()
    assert asked() == 0


def asked() -> int:
    """How many refreshes were asked for, besides the one that the migration notes."""
    with services() as s:
        return len(list(s.session.scalars(select(ViewRefresh)))) - 1


def test_while_a_step_runs_it_holds_no_worker(workshop: Workshop, owner: Actor) -> None:
    job = start(workshop, owner)
    assert run_job(job.id, HANDLERS) is JobState.QUEUED
    assert workshop.jobs.read(job.id).attempts == 0
    assert states(workshop, job) == ["queued", "draft"]


def test_a_step_that_fails_stops_it_and_what_was_done_stays(workshop: Workshop, owner: Actor) -> None:
    ambiguous = TRADES.replace("2021-06-30 15:30:00", "03/04/2021").replace("2019-01-01", "05/06/2021")
    job = start(workshop, owner, trades=ambiguous)
    run_all()
    failed = workshop.jobs.read(job.id)
    assert failed.state == JobState.FAILED
    assert failed.error is not None
    assert failed.error["slug"] == "etl-stopped"
    assert failed.error["detail"].startswith("The import of transactions is failed. ")
    assert states(workshop, job) == ["done", "failed"]
    with services() as s:
        assert s.client_rows.get_by_external_id("c1").name == "Ana"


def test_transactions_wait_in_vain_for_clients_that_failed(workshop: Workshop, owner: Actor) -> None:
    job = start(workshop, owner)
    with services() as s:
        s.session.execute(text("UPDATE job SET state = 'dead' WHERE kind = 'import'"))
    run_all()
    assert workshop.jobs.read(job.id).state == JobState.FAILED
    assert states(workshop, job) == ["dead", "draft"]


def test_a_cancelled_one_starts_no_further_step(workshop: Workshop, owner: Actor) -> None:
    job = start(workshop, owner)
    with services() as s:
        s.jobs.cancel(s.job_rows.get(job.id), owner)
    run_all()
    assert workshop.jobs.read(job.id).state == JobState.CANCELLED
    assert states(workshop, job) == ["done", "draft"]


def test_statistics_that_cannot_be_refreshed_fail_it_after_the_rows_are_loaded(
    workshop: Workshop, owner: Actor
) -> None:
    with services() as s:
        s.session.execute(text("DROP INDEX uq_transaction_statistics"))
    job = start(workshop, owner)
    run_all()
    failed = workshop.jobs.read(job.id)
    assert failed.state == JobState.FAILED
    assert failed.error is not None
    assert "not refreshed" in failed.error["detail"]
    assert states(workshop, job) == ["done", "done"]


def test_the_same_files_again_load_nothing_twice_unless_it_is_forced(
    workshop: Workshop, owner: Actor
) -> None:
    first = start(workshop, owner)
    run_all()
    again = start(workshop, owner)
    assert (again.args["clients"], again.args["transactions"]) == (
        first.args["clients"],
        first.args["transactions"],
    )
    run_all()
    assert workshop.jobs.read(again.id).state == JobState.DONE
    forced = start(workshop, owner, is_forced=True)
    run_all()
    result = workshop.jobs.read(forced.id).result
    assert result is not None
    assert (result["clients"]["unchanged"], result["transactions"]["duplicate"]) == (1, 2)
    with services() as s:
        assert len(list(s.session.scalars(select(Import)))) == 4


def test_what_the_heads_of_the_files_show_is_said_at_once_and_nothing_is_begun(
    workshop: Workshop, owner: Actor
) -> None:
    for wrong in ({"clients": TRADES}, {"trades": CLIENTS}):
        with pytest.raises(MissingColumns):
            start(workshop, owner, **wrong)
    with services() as s:
        assert list(s.session.scalars(select(Job))) == []
        assert list(s.session.scalars(select(Import))) == []


def test_one_of_the_past_stays_when_other_jobs_go(workshop: Workshop) -> None:
    for kind in (KIND, "profile"):
        workshop.jobs.add_over(kind=kind, ago=1_000 * 24 * 3600)
    with services() as s:
        assert s.housekeeping.delete_old_rows()["jobs"] == 1
        assert [job.kind for job in s.session.scalars(select(Job))] == [KIND]


def test_old_refreshes_go_but_never_the_last_good_one(workshop: Workshop) -> None:
    with services() as s:
        s.session.execute(text("DELETE FROM view_refresh"))
        for number, (ago, error) in enumerate(((300, None), (200, None), (100, "no room"))):
            s.session.execute(
                text("""INSERT INTO view_refresh (id, view, started_at, finished_at, error)
                SELECT :id, 'transaction_statistics', t, t, :error
                FROM (SELECT now() - :ago * interval '1 day') AS past (t)"""),
                {"id": f"01900000-0000-7000-8000-00000000000{number}", "ago": ago, "error": error},
            )
        assert s.housekeeping.delete_old_rows()["view refreshes"] == 1
        left = list(s.session.scalars(select(ViewRefresh.error).order_by(ViewRefresh.id)))
    assert left == [None, "no room"]

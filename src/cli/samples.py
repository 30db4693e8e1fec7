"""The files in samples/, given to the first administrator and loaded: something for a newcomer to look at."""

import time
from pathlib import Path

import click

from src.cli.files import store
from src.cli.output import domain_errors_as_messages, fail
from src.domain.datasets import ATENDIMENTOS, CLIENTS, TRANSACTIONS, Dataset
from src.domain.imports import ImportState, state_of
from src.domain.paging import PageQuery
from src.domain.roles import Role
from src.models import Account, Import
from src.services.accounts import actor_of
from src.services.etl import Source
from src.services.import_terms import Terms
from src.services.looks import look_at
from src.wiring import adapters, services

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
PATIENCE = 120.0
SHOWN = 5


def load_samples() -> list[str]:
    """Store each and start its import; answers what to tell the operator."""
    with services() as s:
        admin = s.account_rows.search(PageQuery("id", per_page=1), role=Role.ADMIN).rows[0]
    visits = _source(ATENDIMENTOS, admin)
    clients, transactions = _source(CLIENTS, admin), _source(TRANSACTIONS, admin)
    with services() as s:
        by = actor_of(admin)
        imported, _ = s.imports.start(visits.file, ATENDIMENTOS, visits.look, Terms(), by, is_forced=False)
        etl = s.etl.start(clients, transactions, by, Terms())
    return [
        "The samples are being loaded:",
        f"  /api/v1/imports/{imported.id}   {visits.file.name}",
        f"  /api/v1/jobs/{etl.id}   {clients.file.name}, then {transactions.file.name}",
    ]


@click.command("samples")
@domain_errors_as_messages
def samples() -> None:
    """Wait until the samples are loaded, and show what became of them and what they say."""
    deadline = time.monotonic() + PATIENCE
    while not all(map(_is_over, rows := _imports())):
        if time.monotonic() > deadline:
            fail("The samples are still being loaded. Is a worker running?")
        time.sleep(0.5)
    click.echo("The samples:")
    for row in rows:
        loaded = row.inserted + row.updated  # who was visited before may be known by the id already
        counts = f"{loaded} loaded, {row.duplicate} there already, {row.rejected} refused"
        click.echo(f"  {row.file_name:<18} {row.rows_read} rows: {counts} (/api/v1/imports/{row.id}/rejects)")
    with services() as s:
        _, figures = s.indicator_rows.angel_productivity(SHOWN)
    click.echo("Who attends on time (/api/v1/atendimento/angel_productivity):")
    for one in figures:
        click.echo(f"  {one.name:<22} {one.on_time:>3} of {one.attended:>3}, {one.on_time_percentage:.2f} %")


def _source(dataset: Dataset, owner: Account) -> Source:
    file, mine = store(SAMPLES / f"{dataset.name}.csv", owner), adapters()
    look = look_at(mine.storage, mine.readers, file.storage_key, file.detected, dataset, {})
    return Source(file, look)


def _imports() -> list[Import]:
    names = [path.name for path in SAMPLES.glob("*.csv")]
    with services() as s:
        found = s.import_rows.search(
            PageQuery("id", per_page=10), owner_id=None, dataset=None, parent_id=None
        )
        return [row for row in found.rows if row.file_name in names]


def _is_over(row: Import) -> bool:
    state = state_of(row.undone_at, row.committed_at, row.job.state if row.job else None)
    return state not in (ImportState.DRAFT, ImportState.QUEUED, ImportState.RUNNING)

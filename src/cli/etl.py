"""flask etl: both files into the database, watched to the end."""

from pathlib import Path
from typing import Any
from uuid import UUID

import click
from flask.cli import AppGroup

from src.api.schemas.imports import IMPORT, OptionsSchema
from src.api.schemas.jobs import JOB
from src.cli.acting import LOADED_BEFORE, account_of, as_option, awaited, must_be_done, need_worker
from src.cli.files import FILE_ARGUMENT, how_option, store
from src.cli.output import checked, domain_errors_as_messages, json_option, show, show_one
from src.cli.watching import Watch, watching
from src.domain.datasets import DATASETS, Dataset
from src.domain.jobs import JobState
from src.models import Account, File, Import, Job
from src.services.accounts import actor_of
from src.services.etl import COUNTS, STEPS, Source
from src.services.import_terms import Terms
from src.services.looks import look_at
from src.wiring import adapters, services

group = AppGroup("etl", help="Clients and their transactions, in one go.")


@group.command("run")
@click.option("--clients-file", required=True, type=FILE_ARGUMENT, help="CSV, XLSX or another kind.")
@click.option("--transactions-file", required=True, type=FILE_ARGUMENT, help="Of the same kinds.")
@how_option
@as_option
@click.option("--force", "is_forced", is_flag=True, help="Load files again that were loaded before.")
@click.option("--verbose", "is_verbose", is_flag=True, help="Also tell what was wrong, by column and kind.")
@json_option
@domain_errors_as_messages
def run(
    clients_file: Path,
    transactions_file: Path,
    options: dict[str, str],
    login_name: str | None,
    *,
    is_forced: bool,
    is_verbose: bool,
    as_json: bool,
) -> None:
    """Import clients, then their transactions, then refresh the statistics; fails unless all succeed."""
    checked(OptionsSchema(), options)
    need_worker()
    owner = account_of(login_name)
    files = [store(path, owner) for path in (clients_file, transactions_file)]
    job_id = _started(files, owner, Terms(options=options), is_forced=is_forced)
    with watching(is_quiet=as_json) as watch:
        job, imports = awaited(lambda: _ended(job_id, watch))
    _summarise(job, imports, is_verbose=is_verbose, as_json=as_json)
    if not as_json:
        _tell_what_was_there(job)
    must_be_done(job)


def _started(files: list[File], owner: Account, terms: Terms, *, is_forced: bool) -> UUID:
    clients, transactions = (
        _looked_at(file, DATASETS[step], terms) for file, step in zip(files, STEPS, strict=True)
    )
    with services() as s:
        return s.etl.start(clients, transactions, actor_of(owner), terms, is_forced=is_forced).id


def _looked_at(file: File, dataset: Dataset, terms: Terms) -> Source:
    mine = adapters()
    key = file.storage_key
    return Source(file, look_at(mine.storage, mine.readers, key, file.detected, dataset, terms.options))


def _ended(job_id: UUID, watch: Watch) -> tuple[Job, list[Import]] | None:
    """The job if it is over; and tell how far its imports are."""
    with services() as s:
        job = s.job_rows.get(job_id)
        imports = s.etl.imports_of(job)
    for one in imports:
        watch.tell(one.dataset, IMPORT.dump(one)["state"], one.job.progress if one.job else None)
    is_last = all(one.committed_at for one in imports)
    watch.tell("statistics", job.state if is_last else "waiting", None)
    return (job, imports) if JobState(job.state).is_over else None


def _summarise(job: Job, imports: list[Import], *, is_verbose: bool, as_json: bool) -> None:
    shown: list[dict[str, Any]] = IMPORT.dump(imports, many=True)
    if as_json:
        show_one({"job": JOB.dump(job), "imports": shown}, as_json=True)
        return
    columns = ("dataset", "state", *COUNTS)
    show([{name: one[name] for name in columns} for one in shown], as_json=False, is_headed=True)
    if is_verbose:
        show([fault for one in shown for fault in _faults(one)], as_json=False)


def _tell_what_was_there(job: Job) -> None:
    """The counts above are then those of the first time."""
    with services() as s:
        before = s.etl.loaded_before(job)
    for one in before:
        if one.committed_at:
            click.echo(f"{one.dataset}: nothing was loaded now. {LOADED_BEFORE.format(one.id)}", err=True)


def _faults(one: dict[str, Any]) -> list[dict[str, Any]]:
    """What was wrong, by column and kind."""
    return [
        {"dataset": one["dataset"], "column": column or "(row)", "code": code, "rows": count}
        for column, codes in one["report"].get("summary", {}).items()
        for code, count in codes.items()
    ]

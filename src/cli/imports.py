"""flask import: run a file into a dataset and watch it to the end; undo."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from flask.cli import AppGroup

from src.api.schemas.imports import IMPORT, OptionsSchema
from src.api.schemas.jobs import JOB
from src.cli.acting import (
    LOADED_BEFORE,
    account_of,
    as_option,
    awaited,
    job_at_its_end,
    must_be_done,
    need_worker,
)
from src.cli.files import FILE_ARGUMENT, how_option, pairs, store
from src.cli.output import checked, domain_errors_as_messages, fail, json_option, show_one
from src.cli.watching import Watch, watching
from src.domain.datasets import DATASETS
from src.domain.jobs import JobState
from src.domain.mapping import mapping_of
from src.models import Account, Import
from src.services.accounts import actor_of
from src.services.import_terms import Terms, dataset_of
from src.services.imports import COUNTS
from src.services.looks import Look
from src.services.preparing import look_into
from src.wiring import adapters, services

group = AppGroup("import", help="Files into datasets, and back.")


@group.command("run")
@click.argument("path", metavar="FILE", type=FILE_ARGUMENT)
@click.option("--dataset", required=True, type=click.Choice(list(DATASETS)))
@click.option("--map", "mapping", multiple=True, callback=pairs, metavar="FIELD=COLUMN",
    help="Again for each field that the headers do not tell.")  # fmt: skip
@click.option("--mode", type=click.Choice(["insert", "upsert"]), help="Left out: the dataset's own.")
@click.option("--max-errors", type=click.IntRange(0), help="More wrong rows, and nothing is loaded.")
@how_option
@click.option("--recipe", "recipe_id", type=click.UUID, metavar="ID",
    help="Its steps run over FILE first, and what comes out is loaded.")  # fmt: skip
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Do all of it, and keep only the report.")
@click.option("--force", "is_forced", is_flag=True, help="Load a file again that was loaded before.")
@as_option
@json_option
@domain_errors_as_messages
def run(
    path: Path,
    dataset: str,
    mapping: dict[str, str],
    options: dict[str, str],
    login_name: str | None,
    *,
    recipe_id: UUID | None,
    is_forced: bool,
    as_json: bool,
    **terms: Any,
) -> None:
    """Load FILE into a dataset and wait for it; fails unless the import succeeds."""
    checked(OptionsSchema(), options)
    preparation = None
    if recipe_id:
        with services() as s:
            preparation = s.preparing.by_recipe(recipe_id, None, None)
    wanted = Terms(mapping=mapping, options=options, preparation=preparation, **terms)
    load(path, dataset, wanted, login_name, is_forced=is_forced, as_json=as_json)


def load(
    path: Path, dataset: str, terms: Terms, login_name: str | None, *, is_forced: bool, as_json: bool
) -> None:
    """Start the import, watch it to its end, and show what came of it; fails unless it succeeds."""
    need_worker()
    imported = _started(path, dataset, terms, account_of(login_name), is_forced=is_forced)
    with watching(is_quiet=as_json) as watch:
        done = awaited(lambda: _finished(imported, watch))
    shown: dict[str, Any] = IMPORT.dump(done)
    show_one(shown if as_json else _summary(shown), as_json=as_json)
    if shown["state"] not in ("done", "validated"):
        fail((shown["error"] or {}).get("detail", f"The import is {shown['state']}."))


@group.command("undo")
@click.argument("import_id", type=click.UUID)
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only tell what would be done.")
@as_option
@json_option
@domain_errors_as_messages
def undo(import_id: UUID, login_name: str | None, *, is_dry_run: bool, as_json: bool) -> None:
    """Take an import back and wait for that: what it made goes, what it changed is as before."""
    need_worker()
    by = actor_of(account_of(login_name))
    with services() as s:
        job_id = s.imports.undo(s.import_rows.get_own(import_id, None), by, is_dry_run=is_dry_run).id
    job = job_at_its_end(job_id, "undo", is_quiet=as_json)
    show_one(JOB.dump(job) if as_json else job.result or {}, as_json=as_json)
    must_be_done(job)


def _started(path: Path, dataset: str, terms: Terms, owner: Account, *, is_forced: bool) -> Import:
    file, mine = store(path, owner), adapters()
    how = terms.options, terms.preparation
    look = look_into(file, dataset_of(dataset), *how, mine.storage, mine.readers, mine.settings)
    wanted = Terms(**{**vars(terms), "mapping": _completed(terms.mapping or {}, look)})
    with services() as s:
        imported, is_new = s.imports.start(
            file, dataset_of(dataset), look, wanted, actor_of(owner), is_forced=is_forced
        )
    if not is_new:
        click.echo(LOADED_BEFORE.format(imported.id), err=True)
    return imported


def _completed(given: Mapping[str, str], look: Look) -> dict[str, str]:
    """The mapping that was given, and for all other fields and columns the one that the headers tell."""
    told = mapping_of(look.proposals).items()
    return {name: column for name, column in told if column not in given.values()} | dict(given)


def _finished(imported: Import, watch: Watch) -> Import | None:
    with services() as s:
        found = s.import_rows.get_own(imported.id, None)
    job = found.job
    watch.tell(found.dataset, IMPORT.dump(found)["state"], job.progress if job else None)
    return found if job is None or JobState(job.state).is_over else None


def _summary(shown: dict[str, Any]) -> dict[str, Any]:
    """What people want to know first; the faults as column, code and number."""
    faults = {
        f"{column or '(row)'} {code}": count
        for column, codes in shown["report"].get("summary", {}).items()
        for code, count in codes.items()
    }
    return {name: shown[name] for name in ("id", "state", *COUNTS)} | faults

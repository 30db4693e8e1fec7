"""One file into its dataset's table, in one transaction: staged, checked, written, and proven to add up."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from sqlalchemy.orm import Session

from src.database import Database
from src.domain.datasets import DATASETS, Mode
from src.engine.imports.loading import Loaded, LoadPlan, load
from src.models import Import
from src.repositories import bulk
from src.repositories.made_names import make_names
from src.repositories.staging import Staging
from src.repositories.targets import TARGETS
from src.services.landing import land_rows
from src.services.load_results import NamesGone, Staged, Timed, staging_of
from src.services.sources import Source


class _GivenUp(Exception):
    """What was written is not to be kept."""


class StagingService:
    def __init__(self, session: Session, database: Database) -> None:
        self.session = session
        self.database = database  # names that rows point to are committed ahead, so that nobody waits

    def stage(self, imported: Import, plan: LoadPlan, source: Source) -> Staged:
        """Read the file and check its rows. The names they need are made, and no record is written yet."""
        is_appended = DATASETS[imported.dataset].is_appended  # then each row is checked in its turn
        staging = staging_of(self.session, TARGETS[imported.dataset], imported, plan)
        if imported.is_bulk:
            bulk.take_turns(self.session, staging.target.dataset.table)
        began = time.monotonic()
        with staging.receive() as write:
            loaded = self._read(imported, plan, source, write)
        source.prove()
        loading = Staged(staging=staging, loaded=loaded, compared=source.compared)
        loading.seconds["read"] = time.monotonic() - began
        if staging.count() != loaded.rows_good:
            raise RuntimeError(f"{loaded.rows_good} good rows were sent, {staging.count()} came")
        staging.refused.receive(source.refused)
        with Timed(loading, "check"):
            if loaded.is_whole and not is_appended:
                staging.check(cast("Mode", imported.mode))
            loading.note_faults(imported)
            if loading.error is None and not is_appended:
                staging.gather_names()
                if not imported.is_dry_run:
                    self._make_names_ahead(imported, staging)
        return loading

    def land(self, imported: Import, loading: Staged) -> bool:
        """Write the rows, or with a dry run do the same and keep nothing; a failure keeps nothing either.

        What it locks, others wait for until the end of the job: call it last. Answers whether the database
        refused rows that were thought to be good.
        """
        counts, refused_before = loading.counts, loading.counts.refused
        with Timed(loading, "write"), suppress(_GivenUp), self.session.begin_nested():
            if imported.is_dry_run:
                for reference, names in loading.staging.missing_names():
                    make_names(self.session, reference, names, imported.id)
            if not loading.staging.lock_references():
                raise NamesGone("The import is tried again.")
            counts.inserted, counts.updated, counts.unchanged = land_rows(
                self.session, imported, loading.staging
            )
            loading.note_faults(imported)  # the database may have refused some more
            if loading.error:
                counts.inserted = counts.updated = counts.unchanged = 0
            if imported.is_dry_run or loading.error:
                raise _GivenUp
        if loading.error is None:
            counts.check()
        return counts.refused > refused_before

    def _read(
        self, imported: Import, plan: LoadPlan, source: Source, write: Callable[[bytes], None]
    ) -> Loaded:
        return load(
            source.path,
            plan,
            work_dir=source.folder,
            faults=source.faults,
            on_block=write,
            refused=source.refused,
            most_rejects=most_rejects(imported),
            on_progress=source.on_progress,
            should_stop=source.should_stop,
            limits=source.limits,
        )

    def _make_names_ahead(self, imported: Import, staging: Staging) -> None:
        for reference, names in staging.missing_names():
            with self.database.unit_of_work() as ahead:
                make_names(ahead, reference, names, imported.id)


def most_rejects(imported: Import) -> int | None:
    """After how many bad rows there is no need to read on; a dry run tells of all of them."""
    if imported.is_dry_run:
        return None
    return 0 if imported.on_error == "reject_file" else imported.max_errors

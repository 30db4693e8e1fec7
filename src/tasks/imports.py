"""The jobs of imports: load a file, or only see what that would give; and take an import back."""

from contextlib import ExitStack
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from src.database import savepoint
from src.domain.datasets import DATASETS
from src.engine.imports.loading import LoadPlan
from src.engine.sandbox import Stopped
from src.models import File, Import
from src.repositories.targets import TARGETS
from src.repositories.undoing import Undoing
from src.services.event_imports import AppendingService
from src.services.files import checked_beside
from src.services.load_plans import plan_of, settled_readings
from src.services.load_results import Loading, Staged, collect_rejects
from src.services.looks import look_at
from src.services.reading import read_limits
from src.services.scratch import scratch_folder
from src.services.sources import Source
from src.tasks.running import JobRun, Outcome, Postponed
from src.wiring import Services

LOOK_AGAIN = timedelta(seconds=1)


def load_import(run: JobRun) -> Outcome:
    """Load the file of the job's import; all it writes is written in the transaction that ends the job."""
    imported, file = _prepared(run, UUID(run.job.args["import_id"]))
    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder(run.adapters.settings, run.job))
        path = stack.enter_context(run.adapters.storage.local_path(file.storage_key))
        prove = stack.enter_context(checked_beside(path, file, run.should_stop))
        source = Source(
            path=path,
            limits=read_limits(run.adapters.settings),
            folder=folder,
            on_progress=run.progress,
            should_stop=run.should_stop,
            prove=prove,
        )
        try:
            plan = plan_of(imported, source, run.adapters.settings.business_time_zone)
        except Stopped:
            run.check()
            raise

        def save(s: Services) -> Outcome:
            try:
                return _loaded(s, run, imported, plan, source)
            except Stopped:
                run.check()
                raise

        return Outcome(save=save, held=stack.pop_all())


def _prepared(run: JobRun, import_id: UUID) -> tuple[Import, File]:
    """The import and its file; where a recipe comes first, what that has made of the one that was sent."""
    with run.services() as s:
        imported = s.imports.to_finish(import_id, run.job.id)
        s.housekeeping.sweep_scratch()
        made = (
            s.preparing.result(imported.operation_id)
            if imported.operation_id
            else s.file_rows.get(imported.file_id)
        )
    if made is None:
        raise Postponed(LOOK_AGAIN)
    if made.id == imported.file_id:
        return imported, made
    mine, dataset = run.adapters, DATASETS[imported.dataset]
    look = look_at(mine.storage, mine.readers, made.storage_key, made.detected, dataset, imported.options)
    with run.services() as s:
        imported = s.imports.to_finish(import_id, run.job.id)
        s.preparing.adopt(imported, made, look)
    return imported, made


def _loaded(s: Services, run: JobRun, imported: Import, plan: LoadPlan, source: Source) -> Outcome:
    """What others may wait for is locked last: the import's row, then records, and with them the rollups.

    Rejects go to the store before that, where they are known by then. That there are none is kept, too: an
    attempt before this one may have left some.
    """
    if copied := s.copying.run(imported, plan, source):
        row = s.imports.to_finish(imported.id, run.job.id)
        s.rejects.keep(row, copied.rejects)
        s.copying.count(copied)
        return _noted(s, row, plan, copied)
    loading = s.staging.stage(imported, plan, source)
    is_appended = DATASETS[imported.dataset].is_appended
    if is_appended:
        mine = run.adapters
        AppendingService(s.session, mine.database, mine.intake.memory).run(imported, loading, source)
    rejects = collected(plan, loading, source)
    row = s.imports.to_finish(imported.id, run.job.id)
    if loading.error is None and not is_appended and s.staging.land(imported, loading):
        rejects = collected(plan, loading, source)
    s.rejects.keep(row, rejects)
    return _noted(s, row, plan, loading)


def _noted(s: Services, row: Import, plan: LoadPlan, loading: Loading) -> Outcome:
    """What came of it, in the import's row and for the job."""
    row.report = {**row.report, "readings": settled_readings(plan), **loading.report}
    for name, count in asdict(loading.counts).items():
        setattr(row, name, count)
    result: dict[str, Any] = {"import_id": str(row.id), "import": f"/api/v1/imports/{row.id}"}
    if loading.error is None and not row.is_dry_run:
        result["refreshes"] = s.imports.landed(row)
    return Outcome(result | asdict(loading.counts), error=loading.error)


def collected(plan: LoadPlan, loading: Staged, source: Source) -> Path | None:
    """The rows that are not loaded, if there are any."""
    if not loading.counts.refused:
        return None
    return collect_rejects(plan, loading.loaded.encoding, source, source.faults, source.compared)


def undo_import(run: JobRun) -> Outcome:
    """Take the import of the job's arguments back, or see what that would do."""
    import_id, is_dry_run = UUID(run.job.args["import_id"]), run.job.args["is_dry_run"]

    def save(s: Services) -> Outcome:
        if not s.import_rows.try_hold(import_id):
            raise Postponed(LOOK_AGAIN)
        row = s.imports.to_undo(import_id)
        with savepoint(s.session, is_kept=not is_dry_run):
            corrections = [one.id for one in s.import_rows.corrections_of(import_id)]
            undone = Undoing(s.session, TARGETS[row.dataset], import_id, corrections).run()
        if not is_dry_run:
            s.imports.undone(row)
        return Outcome({"import_id": str(import_id), "is_dry_run": is_dry_run, **asdict(undone)})

    return Outcome(save=save)

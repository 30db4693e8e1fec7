"""The job of a correction: mended rejects into their import, in the transaction that ends the job."""

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

from src.engine.imports.correcting import Work, mend, merge
from src.engine.sandbox import Stopped
from src.engine.values import Detected
from src.services.corrections import Held
from src.services.files import check_content
from src.services.reading import read_limits
from src.services.scratch import scratch_folder
from src.services.sources import Source
from src.tasks.imports import LOOK_AGAIN, collected
from src.tasks.running import JobRun, Outcome, Postponed
from src.wiring import Services


def load_correction(run: JobRun) -> Outcome:
    """One correction of an import after the other: each sees what the one before has left of the rejects."""
    import_id, settings = UUID(run.job.args["import_id"]), run.adapters.settings
    with run.services() as s:
        file = s.file_rows.get(s.import_rows.get_own(import_id, None).file_id)
        s.housekeeping.sweep_scratch()
    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder(settings, run.job))
        path = Path(stack.enter_context(run.adapters.storage.local_path(file.storage_key)))
        check_content(path, file)
        work = Work(
            folder=folder,
            limits=read_limits(settings),
            on_progress=run.progress,
            should_stop=run.should_stop,
        )

        def save(s: Services) -> Outcome:
            held = s.corrections.hold(import_id, run.job.id, settings.business_time_zone)
            if held is None:
                raise Postponed(LOOK_AGAIN)
            try:
                with run.adapters.storage.local_path(held.rejects.storage_key) as former:
                    return _loaded(s, held, path, Path(former), work)
            except Stopped:
                run.check()
                raise

        return Outcome(save=save, held=stack.pop_all())


def _loaded(s: Services, held: Held, path: Path, former: Path, work: Work) -> Outcome:
    correction, plan = held.correction, held.plan
    table = Detected.from_json(correction.detected)
    mended = mend(
        path,
        table,
        rejects=former,
        headers=held.headers,
        marks=plan.marks,
        is_encoding_given="encoding" in correction.options or table.is_utf16,
        is_sheet_given="sheet" in correction.options,
        work=work,
    )
    source = Source(
        path=work.rows,
        limits=work.limits,
        folder=work.folder,
        on_progress=work.on_progress,
        should_stop=work.should_stop,
    )
    loading = s.staging.stage(correction, plan, source)
    s.staging.land(correction, loading)
    own, left = merge(
        former=former,
        collected=collected(plan, loading, source),
        plan=plan,
        first_plan=held.first_plan,
        work=work,
    )
    s.corrections.note(held, loading, mended, own, left)
    s.rejects.keep(correction, work.own if own.summary else None)
    s.rejects.keep(held.whole, work.whole if left.summary else None)
    result: dict[str, Any] = {"import_id": str(correction.id), "import": f"/api/v1/imports/{held.whole.id}"}
    result["refreshes"] = s.imports.landed(correction)
    return Outcome(result | asdict(loading.counts))

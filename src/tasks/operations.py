"""The job of an operation: its steps run as one plan over the whole file, and the result is a new file."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from src.engine.queries.running import run_query
from src.engine.queries.values import Query, Ran
from src.engine.reading.detect import detect
from src.engine.sandbox import Stopped
from src.engine.values import Detected
from src.integrations.storage_upload import Upload
from src.models import File, Operation
from src.services.operations import INPUT, Wish, joined_files, name_of, plan
from src.services.reading import cluster_of, read_limits
from src.services.scratch import scratch_folder
from src.tasks.running import JobRun, Outcome
from src.tasks.tables import Tables, stored
from src.wiring import Services


@dataclass(frozen=True)
class Work:
    """An operation with the files that it reads, by what they are called in its plan."""

    operation: Operation
    files: Mapping[str, File]

    @property
    def others(self) -> dict[str, File]:
        """The joined files by id."""
        ids = joined_files(self.operation.steps)
        return {id_: self.files[name_of(place)] for place, id_ in enumerate(ids)}


def run_operation(run: JobRun) -> Outcome:
    """Profile what has no profile yet, run the steps, and keep the result with where it comes from."""
    work = _work(run)
    limits, began = read_limits(run.adapters.settings), time.monotonic()
    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder(run.adapters.settings, run.job))
        try:
            tables = Tables(run, folder, stack)
            sources = {name: tables.table(file).file for name, file in work.files.items()}
            result = folder / f"result.{work.operation.output}"
            wish = Wish(steps=work.operation.steps, types=work.operation.types)
            others = {id_: sources[name_of(place)].detected for place, id_ in enumerate(work.others)}
            rows = plan(wish, sources[INPUT].detected, others)
            ran = run_query(
                Query(rows, sources, work.operation.output),  # type: ignore[arg-type]  # the table allows no other
                result,
                work_dir=folder,
                on_progress=run.progress,
                should_stop=run.should_stop,
                limits=limits,
                cluster=cluster_of(run.adapters.settings),
            )
        except Stopped:
            run.check()
            raise
        detected = detect(result, result.name, limits)
        upload = stored(run, result)
    lineage = _lineage(work, ran, time.monotonic() - began)
    return Outcome(save=lambda s: _kept(s, work, upload, detected, ran, lineage))


def _work(run: JobRun) -> Work:
    with run.services() as s:
        operation = s.operation_rows.get_own(UUID(run.job.args["operation_id"]), None)
        files = {INPUT: s.file_rows.get(operation.file_id)}
        for place, id_ in enumerate(joined_files(operation.steps)):
            files[name_of(place)] = s.file_rows.get(UUID(id_))  # who asked for it may see it: admins, others'
        s.housekeeping.sweep_scratch()
    return Work(operation, files)


def _lineage(work: Work, ran: Ran, seconds: float) -> dict[str, Any]:
    """What the result was made of, with which engine."""
    sources = [
        {"file_id": str(file.id), "name": file.name, "sha256": file.sha256, "rows": ran.rows_in[name]}
        for name, file in work.files.items()
    ]
    return {"sources": sources, "engine": ran.engine, "seconds": round(seconds, 3)}


def _kept(
    s: Services, work: Work, upload: Upload, detected: Detected, ran: Ran, lineage: dict[str, Any]
) -> Outcome:
    operation = work.operation
    name = f"{Path(operation.file_name).stem}-result.{operation.output}"
    file = s.files.keep_produced(upload, owner_id=operation.owner_id, name=name, detected=detected)
    s.operations.finish(operation.id, file, ran, {**lineage, "sha256": file.sha256})
    return Outcome(
        {
            "operation_id": str(operation.id),
            "operation": f"/api/v1/operations/{operation.id}",
            "file_id": str(file.id),
            "original_rows": ran.rows_in[INPUT],
            "processed_rows": ran.rows_out,
        }
    )

"""The job that makes a report: profiles what was not profiled, plans, writes, and keeps what came of it."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID

from src.domain.rules_reading import read_rules
from src.engine.queries.running import Question, Ran, run_queries
from src.engine.queries.values import EngineName
from src.engine.reports.formats import WRITERS
from src.engine.reports.making import Making
from src.engine.reports.planning import plan_of
from src.engine.reports.sheet import Sheet
from src.engine.reports.values import Made, Table
from src.engine.sandbox import Stopped
from src.integrations.storage_upload import Upload
from src.models import File, Report
from src.services.reading import cluster_of, read_limits
from src.services.reports import values_of
from src.services.scratch import scratch_folder
from src.tasks.running import JobRun, Outcome
from src.tasks.tables import Tables, stored
from src.wiring import Services


def make_report(run: JobRun) -> Outcome:
    """Make the report of the job's arguments; its files are named in the transaction that ends the job."""
    report_id = UUID(run.job.args["report_id"])
    with run.services() as s:
        report = s.report_rows.get_own(report_id, None)
        input_file, reference_file = s.reports.files_of(report)
        s.housekeeping.sweep_scratch()
    started = time.monotonic()
    with scratch_folder(run.adapters.settings, run.job) as folder, ExitStack() as stack:
        try:
            work, tables = _Work(run, folder), Tables(run, folder, stack)
            table = tables.table(input_file)
            reference = tables.table(reference_file) if reference_file else None
            made, kept = work.made(report, table, reference)
        except Stopped:
            run.check()
            raise
        manifest = _manifest(
            report, input_file, reference_file, made, kept, work.engine, time.monotonic() - started
        )

    def save(s: Services) -> Outcome:
        row = s.report_rows.get_own(report_id, None)
        for name, (upload, file_name, media_type) in kept.items():
            file = s.files.keep_produced(upload, owner_id=row.owner_id, name=file_name, media_type=media_type)
            setattr(row, name, file.id)
        row.file_id = row.file_id or row.table_file_id
        row.manifest = manifest
        links = {"report": f"/api/v1/reports/{report_id}", "output_file_id": str(row.file_id)}
        return Outcome({"report_id": str(report_id), **links, **made.figures})

    return Outcome(save=save)


Kept = dict[str, tuple[Upload, str, str]]


@dataclass
class _Work:
    """One attempt: its folder, and the engine that found the rows."""

    run: JobRun
    folder: Path
    engine: EngineName | None = None

    def made(self, report: Report, table: Table, reference: Table | None) -> tuple[Made, Kept]:
        rules = read_rules(report.document)
        plan = plan_of(rules, table, reference, values_of(rules, report.parameters), "csv")
        made = Making(plan, table, reference, self.folder, partial(self.answers, plan.memory)).make()
        kept: Kept = {"table_file_id": self.kept(made.report, f"{report.name}.csv", "csv")}
        if report.format != "csv":
            target = self.folder / f"report.{report.format}"
            with target.open("wb") as out:
                for piece in WRITERS[report.format][0](Sheet(made.report, report.name, made.columns)):
                    self.run.check()
                    out.write(piece)
            kept["file_id"] = self.kept(target, f"{report.name}.{report.format}", report.format)
        for name, path in (("unmatched", made.unmatched), ("uncomputable", made.uncomputable)):
            if path is not None:
                kept[f"{name}_file_id"] = self.kept(path, f"{report.name}-{name}.csv", "csv")
        return made, kept

    def answers(self, memory: int, questions: Sequence[Question]) -> list[Ran]:
        found = run_queries(
            questions,
            work_dir=self.folder,
            memory_limit=memory,
            on_progress=self.run.progress,
            should_stop=self.run.should_stop,
            limits=read_limits(self.run.adapters.settings),
            cluster=cluster_of(self.run.adapters.settings),
        )
        self.engine = found[-1].engine
        return found

    def kept(self, path: Path, name: str, form: str) -> tuple[Upload, str, str]:
        return stored(self.run, path), name, WRITERS[form][1].partition(";")[0]


def _manifest(
    report: Report,
    source: File,
    reference: File | None,
    made: Made,
    kept: Kept,
    engine: EngineName | None,
    seconds: float,
) -> dict[str, Any]:
    """All that says how the report came about."""
    files = {"input": source} | ({"reference": reference} if reference else {})
    output = kept.get("file_id", kept["table_file_id"])[0]
    return {
        **{
            name: {"file_id": str(file.id), "name": file.name, "sha256": file.sha256}
            for name, file in files.items()
        },
        "rules": {"id": str(report.rules_id) if report.rules_id else None, "version": report.rules_version},
        "parameters": report.parameters,
        "engine": {**(engine or {}), "ibis": version("ibis-framework")},
        **made.figures,
        "columns": made.columns,
        "output": {"format": report.format, "sha256": output.sha256, "size": output.size},
        "seconds": round(seconds, 3),
    }

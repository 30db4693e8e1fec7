"""The job that tests a rule on history: some clients at a time, every hit into a file as it is found."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from src.domain.alerts.backtests import Findings
from src.domain.files import storage_key
from src.domain.ids import uuid7
from src.engine.export import csv_lines
from src.models import File
from src.services.backtests import CLIENTS_AT_ONCE, Backtest
from src.services.files import inspect
from src.services.scratch import scratch_folder
from src.tasks.running import JobRun, Outcome
from src.wiring import Services

COLUMNS = ["change", "client_id", "t", "type", "amount"]


def backtest_rule(run: JobRun) -> Outcome:
    """Compare what the rule of the job's arguments finds with what its live version does."""
    with run.services() as s:
        test = s.backtests.wanted_by(run.job)
        s.housekeeping.sweep_scratch()
    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder(run.adapters.settings, run.job))
        path = folder / "hits.csv"
        findings = _test(run, test, path)

        def save(s: Services) -> Outcome:
            file = _keep(s, run, test, path)
            made = {"output_file_id": str(file.id), "file": f"/api/v1/files/{file.id}/content"}
            return Outcome(_told(test) | findings.to_json() | made)

        return Outcome(save=save, held=stack.pop_all())


def _test(run: JobRun, test: Backtest, path: Path) -> Findings:
    findings = Findings()
    with path.open("w", encoding="utf-8", newline="") as out:
        out.writelines(csv_lines(COLUMNS, _rows(run, test, findings)))
    return findings


def _rows(run: JobRun, test: Backtest, findings: Findings) -> Iterator[list[Any]]:
    """The hits, counted on their way, some clients in a transaction; `last` keeps out what came since."""
    with run.services() as s:
        total = s.backtest_rows.count_clients()
    low, done = 0, 0
    while True:
        with run.services() as s:
            span = s.backtests.next_span(test, low)
            if span is None:
                return
            for change, hit in s.backtests.changes(test, span):
                findings.add(change, hit)
                yield [change.value, hit.client, hit.t, hit.type, str(hit.amount)]
            findings.events += s.backtest_rows.count_events(span)
        low, done = span.high, done + CLIENTS_AT_ONCE
        run.progress(min(done, total), total, "clients")
        run.check()


def _keep(s: Services, run: JobRun, test: Backtest, path: Path) -> File:
    """The hits as a file of who wanted them; a crash leaves the bytes to the sweep."""
    name = f"alert-rule-{test.rule.code}-backtest.csv"
    with run.adapters.storage.create(storage_key(uuid7())) as upload:
        with path.open("rb") as content:
            while block := content.read(1024 * 1024):
                upload.write(block)
        detected = inspect(run.adapters.storage, run.adapters.readers, upload, name)
    return s.files.keep_produced(upload, owner_id=test.owner_id, name=name, detected=detected)


def _told(test: Backtest) -> dict[str, Any]:
    return {
        "rule_id": str(test.rule.id),
        "code": test.rule.code,
        "version": None if test.is_draft else test.rule.version,
        "live_version": test.live.version,
        "from": test.first,
        "to": test.last,
    }

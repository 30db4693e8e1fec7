"""The job that tests a rule on history: some clients at a time, every hit into a file as it is found."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from src.domain.alerts.backtests import Findings
from src.engine.export import csv_lines
from src.engine.reading.detect import detect
from src.services.backtests import CLIENTS_AT_ONCE, Backtest
from src.services.reading import read_limits
from src.services.scratch import scratch_folder
from src.tasks.running import JobRun, Outcome
from src.tasks.tables import stored
from src.wiring import Services

COLUMNS = ["change", "client_id", "t", "type", "amount"]


def backtest_rule(run: JobRun) -> Outcome:
    """Compare what the rule of the job's arguments finds with what its live version does."""
    with run.services() as s:
        test = s.backtests.wanted_by(run.job)
        s.housekeeping.sweep_scratch()
    name = f"alert-rule-{test.rule.code}-backtest.csv"
    with scratch_folder(run.adapters.settings, run.job) as folder:
        findings = _test(run, test, folder / name)
        detected = detect(folder / name, name, read_limits(run.adapters.settings))
        upload = stored(run, folder / name)

    def save(s: Services) -> Outcome:
        file = s.files.keep_produced(upload, owner_id=test.owner_id, name=name, detected=detected)
        made = {"output_file_id": str(file.id), "file": f"/api/v1/files/{file.id}/content"}
        return Outcome(_told(test) | findings.to_json() | made)

    return Outcome(save=save)


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


def _told(test: Backtest) -> dict[str, Any]:
    return {
        "rule_id": str(test.rule.id),
        "code": test.rule.code,
        "version": None if test.is_draft else test.rule.version,
        "live_version": test.live.version,
        "from": test.first,
        "to": test.last,
    }

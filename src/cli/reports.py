"""flask reports: a report from files at hand, watched to the end, into a file at hand."""

from pathlib import Path
from uuid import UUID

import click
from flask.cli import AppGroup

from src.api.schemas.reports import REPORT
from src.cli.acting import account_of, as_option, awaited, need_worker
from src.cli.files import FILE_ARGUMENT, store
from src.cli.output import domain_errors_as_messages, fail, json_option, show_one
from src.cli.watching import Watch, watching
from src.domain.documents import read_document
from src.domain.jobs import JobState
from src.domain.rules import FORMATS
from src.domain.rules_reading import read_rules
from src.models import Report
from src.services.reports import Order
from src.wiring import adapters, services

group = AppGroup("reports", help="Files made by rules.")
SHOWN = ("id", "name", "state", "format", "file_id")


@group.command("run")
@click.option("--input", "input_path", required=True, type=FILE_ARGUMENT, help="What it is made of.")
@click.option("--reference", "reference_path", type=FILE_ARGUMENT, help="Where rows are looked up.")
@click.option("--rules", "rules_path", required=True, type=FILE_ARGUMENT, help="JSON or YAML.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="Left out: that of the rules, or CSV.")
@click.option("--parameter", "given", multiple=True, help="name=value; may be repeated.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where to write it.")
@as_option
@json_option
@domain_errors_as_messages
def run(
    input_path: Path,
    reference_path: Path | None,
    rules_path: Path,
    form: str | None,
    given: tuple[str, ...],
    out: Path | None,
    login_name: str | None,
    *,
    as_json: bool,
) -> None:
    """Make a report; fails unless it is made."""
    need_worker()
    document = read_document(rules_path.read_bytes())
    read_rules(document)
    parameters = dict(_pair(one) for one in given)
    owner = account_of(login_name)
    source = store(input_path, owner)
    reference = store(reference_path, owner) if reference_path else None
    order = Order(input=source, reference=reference, document=document, format=form, parameters=parameters)
    with services() as s:
        report_id = s.reports.start(order, owner_id=owner.id).id
    with watching(is_quiet=as_json) as watch:
        report = awaited(lambda: _ended(report_id, watch))
    _tell(report, out, as_json=as_json)


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found:
        raise click.BadParameter(f"«{text}» is not name=value.")
    return name, value


def _ended(report_id: UUID, watch: Watch) -> Report | None:
    """The report if its job is over; and tell how far it is."""
    with services() as s:
        report = s.report_rows.get_own(report_id, None)
    job = report.job
    if job is None:
        fail("The report's job is gone.")
    watch.tell("report", job.state, job.progress)
    return report if JobState(job.state).is_over else None


def _tell(report: Report, out: Path | None, *, as_json: bool) -> None:
    shown = REPORT.dump(report)
    if as_json:
        show_one(shown, as_json=True)
    elif report.manifest:
        counts = {name: report.manifest[name] for name in ("rows_in", "rows_out", "uncomputable")}
        missed = sum(one["rows"] for one in report.manifest["unmatched"])
        show_one(
            {**{name: shown[name] for name in SHOWN}, **counts, "rows without a match": missed}, as_json=False
        )
    if report.job is None or report.job.state != JobState.DONE:
        fail((shown["error"] or {}).get("detail", f"The job is {shown['state']}."))
    if out is not None:
        with services() as s:
            file, _ = s.reports.made_file(report, report.format)
        with adapters().storage.open(file.storage_key) as content, out.open("wb") as target:
            while block := content.read(1 << 20):
                target.write(block)

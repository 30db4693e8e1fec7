"""Reports: asked for, made by a job, kept with all that says how they came about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn
from uuid import UUID

from sqlalchemy.orm import Session

from src.domain.errors import Conflict, FieldError, Gone, Invalid
from src.domain.formulas import Value
from src.domain.ids import uuid7
from src.domain.jobs import JobState
from src.domain.rules import Rules
from src.domain.rules_reading import read_rules
from src.models import File, Report, RuleSet
from src.repositories.files import FileRepository
from src.repositories.reports import ReportRepository
from src.repositories.rules import RuleSetVersionRepository
from src.services.jobs import JobService

KIND = "report"
STREAMED = ("csv", "jsonl", "json")  # written while they are sent, row by row
MOST_CONVERTED = 50_000  # rows of a report that a request makes a workbook or a page of
BOOLEANS = {"true": True, "false": False}


class BadParameters(Invalid):
    slug = "bad-parameters"
    title = "The parameters do not fit the rules"


class ReportNotReady(Conflict):
    slug = "report-not-ready"
    title = "The report is not made yet"


class ReportExpired(Gone):
    slug = "report-expired"
    title = "The report's file is deleted"


class TooLongToConvert(Conflict):
    slug = "too-long-to-convert"
    title = "The report is too long to be converted while you wait"


class InputGone(Gone):
    slug = "report-input-gone"
    title = "A file that the report was made of is deleted"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a report is to be made of. Without `format`, that of the rules."""

    input: File
    reference: File | None = None
    rules: RuleSet | None = None
    document: Any = None
    name: str | None = None
    format: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


class ReportService:
    def __init__(self, session: Session, jobs: JobService) -> None:
        self.session = session
        self.reports = ReportRepository(session)
        self.files = FileRepository(session)
        self.versions = RuleSetVersionRepository(session)
        self.jobs = jobs

    def start(self, order: Order, *, owner_id: UUID) -> Report:
        """The report and its job, in the caller's transaction; what can be known to be wrong is raised."""
        document = self.document_of(order)
        rules = read_rules(document)
        values_of(rules, order.parameters)
        report = self.reports.add(
            Report(
                id=uuid7(),
                owner_id=owner_id,
                name=order.name or rules.title or order.input.name.rpartition(".")[0] or order.input.name,
                input_file_id=order.input.id,
                reference_file_id=order.reference.id if order.reference else None,
                has_reference=order.reference is not None,
                rules_id=order.rules.id if order.rules else None,
                rules_version=order.rules.version if order.rules else None,
                document=document,
                parameters=dict(order.parameters),
                format=order.format or rules.format,
            )
        )
        return self._enqueued(report)

    def document_of(self, order: Order) -> Any:
        """The rules that came along, or those that were named, as they are now."""
        if order.rules is None:
            return order.document
        return self.versions.get_version(order.rules.id, order.rules.version).document

    def rerun(self, report: Report, form: str | None = None) -> Report:
        """The same once more, perhaps in another format: the same files, rules and parameters."""
        input_file, _ = self.files_of(report)
        again = Report(
            id=uuid7(),
            owner_id=report.owner_id,
            rerun_of=report.id,
            input_file_id=input_file.id,
            **{
                name: getattr(report, name)
                for name in (
                    "name",
                    "reference_file_id",
                    "has_reference",
                    "rules_id",
                    "rules_version",
                    "document",
                    "parameters",
                )
            },
            format=form or report.format,
        )
        return self._enqueued(self.reports.add(again))

    def files_of(self, report: Report) -> tuple[File, File | None]:
        """The input and the reference; both must still be there."""
        source = self._file(report.input_file_id, InputGone("The input is deleted."))
        if not report.has_reference:
            return source, None
        return source, self._file(report.reference_file_id, InputGone("The reference is deleted."))

    def made_file(self, report: Report, form: str) -> tuple[File, bool]:
        """The file to answer with, and whether it has this form already."""
        if report.job is None or report.job.state != JobState.DONE:
            state = report.job.state if report.job else "gone"
            raise ReportNotReady(f"Its job is {state}.", job_state=str(state))
        expired = ReportExpired("Make it again with POST /api/v1/reports/{id}/rerun.")
        if form == report.format:
            return self._file(report.file_id, expired), True
        if form not in STREAMED and report.manifest.get("rows_out", 0) > MOST_CONVERTED:
            raise TooLongToConvert(
                f"It has more than {MOST_CONVERTED:,} rows. A job makes it: ask for it with "
                f"POST /api/v1/reports/{report.id}/rerun and the format {form}.",
                errors=[FieldError("/format", "too_long", "Make the report again in this format.")],
            )
        return self._file(report.table_file_id, expired), form == "csv"

    def _enqueued(self, report: Report) -> Report:
        job = self.jobs.enqueue(KIND, {"report_id": str(report.id)}, owner_id=report.owner_id)
        report.job_id = job.id
        self.session.flush()
        return self.reports.get_own(report.id, None)

    def _file(self, file_id: UUID | None, gone: Gone) -> File:
        found = self.files.find(file_id)
        if found is None:
            raise gone
        return found


def values_of(rules: Rules, given: Mapping[str, Any]) -> dict[str, Value]:
    """The parameters' values: those given, else the defaults; raise what is unknown or can't be read."""
    errors = [
        FieldError(f"/parameters/{name}", "unknown_parameter", f"The rules have no parameter «{name}».")
        for name in given
        if name not in rules.parameters
    ]
    values: dict[str, Value] = {}
    for name, (kind, default) in rules.parameters.items():
        text = given.get(name, default)
        if text is None:
            errors.append(FieldError(f"/parameters/{name}", "required", f"«{name}» needs a value."))
            continue
        try:
            values[name] = _value(str(text), kind)
        except (ValueError, KeyError, InvalidOperation):
            errors.append(FieldError(f"/parameters/{name}", kind, f"«{text}» is no {kind}."))
    if errors:
        raise BadParameters(errors[0].message, errors=errors)
    return values


def _value(text: str, kind: str) -> Value:
    if kind == "text":
        return text
    if kind == "date":
        return date.fromisoformat(text)
    if kind == "datetime":  # of the wall clock, as formulas know no others
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is None else _no(text)
    if kind == "boolean":
        return BOOLEANS[text.lower()]
    number = Decimal(text)
    return number if number.is_finite() else _no(text)


def _no(text: str) -> NoReturn:
    raise ValueError(text)

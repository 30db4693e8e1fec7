"""Reports: asked for, made by a job, kept with all that says how they came about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from src.domain.errors import Conflict, FieldError, Gone, Invalid
from src.domain.formulas import Value
from src.domain.ids import uuid7
from src.domain.jobs import JobState
from src.domain.rules import FORMATS, Rules
from src.domain.rules_reading import read_rules
from src.models import File, Report, RuleSet
from src.repositories.files import FileRepository
from src.repositories.reports import ReportRepository
from src.repositories.rules import RuleSetVersionRepository
from src.services.jobs import JobService

KIND = "report"


class BadParameters(Invalid):
    slug = "bad-parameters"
    title = "The parameters do not fit the rules"


class ReportNotReady(Conflict):
    slug = "report-not-ready"
    title = "The report is not made yet"


class ReportExpired(Gone):
    slug = "report-expired"
    title = "The report's file is deleted"


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
        document = order.document
        if order.rules is not None:
            document = self.versions.get_version(order.rules.id, order.rules.version).document
        rules = read_rules(document)
        values_of(rules, order.parameters)
        report = self.reports.add(
            Report(
                id=uuid7(),
                owner_id=owner_id,
                name=order.name or rules.title or order.input.name.rpartition(".")[0] or order.input.name,
                input_file_id=order.input.id,
                reference_file_id=order.reference.id if order.reference else None,
                rules_id=order.rules.id if order.rules else None,
                rules_version=order.rules.version if order.rules else None,
                document=document,
                parameters=dict(order.parameters),
                format=order.format or rules.format,
            )
        )
        return self._enqueued(report)

    def rerun(self, report: Report) -> Report:
        """The same once more: the same files, rules and parameters, and so the same bytes."""
        input_file = self._file(report.input_file_id, InputGone("Upload it again, and ask for a new report."))
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
                    "rules_id",
                    "rules_version",
                    "document",
                    "parameters",
                    "format",
                )
            },
        )
        return self._enqueued(self.reports.add(again))

    def files_of(self, report: Report) -> tuple[File, File | None]:
        """The input and the reference, for the job."""
        gone = InputGone("Upload it again, and ask for a new report.")
        input_file = self._file(report.input_file_id, gone)
        return input_file, self.files.find(report.reference_file_id) if report.reference_file_id else None

    def made_file(self, report: Report, form: str) -> tuple[File, bool]:
        """The file to answer with, and whether it has this form already."""
        if report.job is None or report.job.state != JobState.DONE:
            state = report.job.state if report.job else "gone"
            raise ReportNotReady(f"Its job is {state}.", job_state=str(state))
        expired = ReportExpired("Make it again with POST /api/v1/reports/{id}/rerun.")
        if form == report.format:
            return self._file(report.file_id, expired), True
        return self._file(report.table_file_id, expired), form == "csv"

    def _enqueued(self, report: Report) -> Report:
        job = self.jobs.enqueue(KIND, {"report_id": str(report.id)}, owner_id=report.owner_id)
        report.job_id = job.id
        self.session.flush()
        return self.reports.get_own(report.id, None)

    def _file(self, file_id: UUID | None, gone: Gone) -> File:
        found = self.files.find(file_id) if file_id else None
        if found is None:
            raise gone
        return found


def check_format(form: str | None) -> None:
    if form is not None and form not in FORMATS:
        message = f"«{form}» is none of {', '.join(FORMATS)}."
        raise Invalid(message, errors=[FieldError("/format", "choice", message)])


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
        except (ValueError, InvalidOperation):
            errors.append(FieldError(f"/parameters/{name}", kind, f"«{text}» is no {kind}."))
    if errors:
        raise BadParameters(errors[0].message, errors=errors)
    return values


def _value(text: str, kind: str) -> Value:
    if kind == "text":
        return text
    if kind == "date":
        return date.fromisoformat(text)
    if kind == "datetime":
        return datetime.fromisoformat(text)
    if kind == "boolean":
        return (
            {"true": True, "false": False}[text.lower()] if text.lower() in ("true", "false") else _no(text)
        )
    number = Decimal(text)
    return number if number.is_finite() else _no(text)


def _no(text: str) -> Value:
    raise ValueError(text)

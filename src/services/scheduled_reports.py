"""Reports by the clock: what a schedule's terms are, how one is started, and what goes when it is too old."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from src.domain.roles import Actor
from src.domain.rules_reading import read_rules
from src.models import File, RuleSet
from src.repositories.files import FileRepository
from src.repositories.reports import ReportRepository
from src.repositories.rules import RuleSetRepository, RuleSetVersionRepository
from src.services.files import FileService
from src.services.reports import Order, ReportService, values_of
from src.services.schedules import Started, Work

PRODUCTS = ("file_id", "table_file_id", "unmatched_file_id", "uncomputable_file_id")


class ScheduledReports:
    def __init__(self, session: Session, reports: ReportService, files: FileService) -> None:
        self.session = session
        self.rows = ReportRepository(session)
        self.file_rows = FileRepository(session)
        self.rules = RuleSetRepository(session)
        self.versions = RuleSetVersionRepository(session)
        self.reports = reports
        self.files = files

    def as_work(self) -> Work:
        return Work(self.check, self.start, self.throw_away)

    def check(self, terms: dict[str, Any], owner: Actor) -> None:
        """Raise unless rules and reference are there for this account, and the parameters fit."""
        rules, _ = self._named(terms, owner)
        document = terms.get("rules")
        if rules is not None:
            document = self.versions.get_version(rules.id, rules.version).document
        values_of(read_rules(document), terms.get("parameters") or {})

    def start(self, terms: dict[str, Any], file: File, owner: Actor) -> Started:
        """A report by the rules as they are now."""
        rules, reference = self._named(terms, owner)
        order = Order(
            input=file,
            reference=reference,
            rules=rules,
            document=terms.get("rules"),
            name=terms.get("name"),
            format=terms.get("format"),
            parameters=terms.get("parameters") or {},
        )
        report = self.reports.start(order, owner_id=owner.account_id)
        assert report.job_id is not None  # noqa: S101  it was enqueued just now
        result = {"report_id": str(report.id), "report": f"/api/v1/reports/{report.id}"}
        return Started(report.job_id, result, has_product=True)

    def throw_away(self, result: dict[str, Any]) -> None:
        """The report of an old run, with its files; whoever deleted some of it before us was right."""
        report = self.rows.find(UUID(result["report_id"]))
        if report is None:
            return
        ids = {id_ for name in PRODUCTS if (id_ := getattr(report, name)) is not None}
        for id_ in ids:
            file = self.file_rows.find(id_)
            if file is not None:
                self.files.delete(file, None)
        self.session.delete(report)
        self.session.flush()

    def _named(self, terms: dict[str, Any], owner: Actor) -> tuple[RuleSet | None, File | None]:
        rules_id, reference_id = terms.get("rules_id"), terms.get("reference_file_id")
        rules = self.rules.get_own(UUID(rules_id), owner.sees) if rules_id else None
        reference = self.file_rows.get_own(UUID(reference_id), owner.sees) if reference_id else None
        return rules, reference

"""Backtests: a rule, one of its versions or a draft of it, over the events that there are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from src.domain.alerts import AskedOn, Rule, read_check, write_check
from src.domain.alerts.backtests import Change, HitEvent, compared
from src.domain.errors import FieldError, Invalid
from src.domain.roles import Actor
from src.models import AlertRule, AlertRuleVersion, Job
from src.repositories.alert_rules import AlertRuleRepository
from src.repositories.backtests import BacktestRepository, Span
from src.services.audit import AuditTrail
from src.services.jobs import JobService

KIND = "backtest"
CLIENTS_AT_ONCE = 1_000


class BadBacktest(Invalid):
    slug = "bad-backtest"
    title = "The backtest cannot be made like this"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be tested, and over which times; both included."""

    first: int | None = None
    last: int | None = None
    version: int | None = None
    draft: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Backtest:
    """A rule as it is to be tested, and as it was asked when the test was wanted."""

    rule: Rule
    live: Rule
    first: int
    last: int
    is_draft: bool
    owner_id: UUID

    @property
    def is_live(self) -> bool:
        """Whether there is nothing to compare: the live version itself is tested."""
        return not self.is_draft and self.rule.version == self.live.version


class BacktestService:
    def __init__(self, session: Session, jobs: JobService) -> None:
        self.rules = AlertRuleRepository(session)
        self.history = BacktestRepository(session)
        self.audit = AuditTrail(session)
        self.jobs = jobs

    def start(self, rule: AlertRule, wanted: Wanted, by: Actor) -> Job:
        """Put the test in line. What it compares with, and how far it goes, is settled now."""
        first = wanted.first or 0
        last = self.history.latest_t() if wanted.last is None else wanted.last
        if wanted.last is not None and first > last:
            raise _bad("/to", "It lies before `from`.")
        if wanted.version is not None and wanted.draft is not None:
            raise _bad("/draft", "Test a version or a draft, not both at once.")
        version = rule.version if wanted.version is None else wanted.version
        self.rules.get_version(rule.id, version)
        args = {
            "rule_id": str(rule.id),
            "live_version": rule.version,
            "version": version,
            "draft": _checked(wanted.draft) if wanted.draft else None,
            "first": first,
            "last": last,
            "owner_id": str(by.account_id),
        }
        self.audit.note(by, "alert-rule.backtested", "alert-rule", rule.id, version=version)
        return self.jobs.enqueue(KIND, args, owner_id=by.account_id)

    def wanted_by(self, job: Job) -> Backtest:
        """The test that a job was made for."""
        args, rule = job.args, self.rules.get(UUID(job.args["rule_id"]))
        live = self._rule(rule, args["live_version"])
        draft = args["draft"]
        tested = _drafted(live, draft) if draft else self._rule(rule, args["version"])
        owner_id = UUID(args["owner_id"])
        return Backtest(tested, live, args["first"], args["last"], draft is not None, owner_id)

    def next_span(self, test: Backtest, low: int) -> Span | None:
        """The next clients behind `low`; None when there are no more."""
        high = self.history.end_of_span(low, CLIENTS_AT_ONCE)
        return None if high is None else Span(low, high, test.first, test.last)

    def changes(self, test: Backtest, span: Span) -> Iterator[tuple[Change, HitEvent]]:
        """Each hit of the tested rule or of the live one, in order."""
        hits = self.history.hits(test.rule, span)
        if test.is_live:
            return ((Change.KEPT, hit) for hit in hits)
        return compared(hits, self.history.hits(test.live, span))

    def _rule(self, rule: AlertRule, version: int) -> Rule:
        return _asked(rule, self.rules.get_version(rule.id, version))


def _asked(rule: AlertRule, version: AlertRuleVersion) -> Rule:
    check = read_check(version.kind, version.parameters)
    return Rule(rule.id, version.version, rule.code, AskedOn(version.asked_on), check)


def _drafted(live: Rule, draft: Mapping[str, Any]) -> Rule:
    check = read_check(draft["kind"], draft["parameters"])
    return Rule(live.id, live.version, live.code, AskedOn(draft["asked_on"]), check)


def _checked(draft: Mapping[str, Any]) -> dict[str, Any]:
    check = read_check(draft["kind"], draft["parameters"], at="/draft")
    return {
        "kind": draft["kind"],
        "asked_on": draft["asked_on"],
        "parameters": write_check(draft["kind"], check),
    }


def _bad(pointer: str, message: str) -> BadBacktest:
    return BadBacktest(message, errors=[FieldError(pointer, "invalid", message)])

"""Alert rules: found, listed, given new versions, and read as the set that events are held against."""

from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Row, Select, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import joinedload

from src.domain.alerts import AskedOn, Rule, RuleSet, RuleState, read_check
from src.domain.errors import Conflict, NotFound
from src.domain.paging import Page, PageQuery
from src.models import AlertRule, AlertRuleRevision, AlertRuleVersion
from src.repositories.base import Repository, equal

GREATEST = 2**31 - 1
# One statement, one snapshot: a revision never comes with the rules of another.
ASKED = text("""
    SELECT c.revision, r.id, r.version, r.code, v.asked_on, v.kind, v.parameters,
        r.state = 'shadow' AS is_shadow
    FROM alert_rule_revision c LEFT JOIN (
        alert_rule r JOIN alert_rule_version v ON v.rule_id = r.id AND v.version = r.version
    ) ON r.state <> 'disabled'
""")


class AlertRuleNotFound(NotFound):
    slug = "alert-rule-not-found"
    title = "There is no such alert rule"


class AlertRuleVersionNotFound(NotFound):
    slug = "alert-rule-version-not-found"
    title = "The alert rule has no such version"


class CodeTaken(Conflict):
    slug = "alert-code-taken"
    title = "Another alert rule has this code"


class AlertRuleRepository(Repository[AlertRule]):
    model = AlertRule
    orderings: ClassVar = {"id": AlertRule.id, "code": AlertRule.code}
    missing = AlertRuleNotFound

    def asked(self) -> tuple[int, RuleSet]:
        """The rules that are asked, and the revision at which they are these."""
        rows = self.session.execute(ASKED).all()
        return rows[0].revision, RuleSet(_rule(row) for row in rows if row.id is not None)

    def hold(self, rule: Rule) -> bool:
        """Keep those who would change the rule waiting; False when somebody has changed it meanwhile."""
        is_asked = (AlertRule.version == rule.version) & (AlertRule.state != RuleState.DISABLED)
        statement = select(AlertRule.id).where(AlertRule.id == rule.id, is_asked)
        return self.session.scalar(statement.with_for_update(read=True)) is not None

    def changed(self) -> None:
        """Tell those who keep the set of rules; who changes them takes turns with others who do."""
        self.session.execute(update(AlertRuleRevision).values(revision=AlertRuleRevision.revision + 1))

    def get_current(self, id_: UUID, *, is_locked: bool = False) -> AlertRule:
        """The rule with its current version; locked, others who want to change it wait."""
        statement = self._select().where(AlertRule.id == id_)
        if is_locked:
            statement = statement.with_for_update(of=AlertRule).execution_options(populate_existing=True)
        found: AlertRule | None = self.session.scalar(statement)
        if found is None:
            raise AlertRuleNotFound
        return found

    def get_by_code(self, code: int) -> AlertRule:
        is_code = 0 < code <= GREATEST
        found = self.session.scalar(select(AlertRule).where(AlertRule.code == code)) if is_code else None
        if found is None:
            raise AlertRuleNotFound
        return found

    def search(self, query: PageQuery, *, state: str | None, kind: str | None) -> Page[AlertRule]:
        of_kind = [] if kind is None else [AlertRule.current.has(AlertRuleVersion.kind == kind)]
        return self.page(query, *equal({AlertRule.state: state}), *of_kind)

    def create(self, rule: AlertRule, version: AlertRuleVersion) -> None:
        """A new rule; raises CodeTaken when there is one of this code."""
        values = {"id": rule.id, "code": rule.code, "name": rule.name, "state": rule.state, "version": 1}
        statement = insert(AlertRule).values(values).on_conflict_do_nothing(index_elements=[AlertRule.code])
        if self.session.scalar(statement.returning(AlertRule.id)) is None:
            raise CodeTaken(f"Choose another code than {rule.code}; codes are never used again.")
        self.add_version(version)

    def add_version(self, version: AlertRuleVersion) -> None:
        self.session.add(version)
        self.session.flush()

    def get_version(self, rule_id: UUID, version: int) -> AlertRuleVersion:
        is_number = 0 < version <= GREATEST
        found = self.session.get(AlertRuleVersion, (rule_id, version)) if is_number else None
        if found is None:
            raise AlertRuleVersionNotFound
        return found

    def touch(self, rule: AlertRule) -> None:
        """Write what was changed; from its commit on, events are held against the rule as it is now."""
        rule.updated_at = func.clock_timestamp()
        self.changed()
        self.session.flush()
        self.session.expire(rule)

    def _select(self) -> Select[Any]:
        return select(AlertRule).options(joinedload(AlertRule.current))


class AlertRuleVersionRepository(Repository[AlertRuleVersion]):
    model = AlertRuleVersion
    orderings: ClassVar = {"id": AlertRuleVersion.version}

    def search(self, query: PageQuery, rule_id: UUID) -> Page[AlertRuleVersion]:
        return self.page(query, AlertRuleVersion.rule_id == rule_id)


def _rule(row: Row[Any]) -> Rule:
    check = read_check(row.kind, row.parameters)
    return Rule(row.id, row.version, row.code, AskedOn(row.asked_on), check, row.is_shadow)

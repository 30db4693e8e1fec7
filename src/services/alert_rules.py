"""Alert rules: made, given new versions, switched on and off; every change in the audit trail."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from src.domain.alerts import Gap, RuleState, read_check, write_check
from src.domain.ids import uuid7
from src.domain.roles import Actor
from src.models import AlertRule, AlertRuleVersion
from src.repositories.alert_rules import AlertRuleRepository
from src.repositories.gaps import GapRepository
from src.services.audit import AuditTrail

ACTIONS = {
    RuleState.ENABLED: "alert-rule.enabled",
    RuleState.SHADOW: "alert-rule.shadowed",
    RuleState.DISABLED: "alert-rule.disabled",
}


class AlertRuleService:
    def __init__(self, session: Session) -> None:
        self.rules = AlertRuleRepository(session)
        self.gaps = GapRepository(session)
        self.audit = AuditTrail(session)

    def create(
        self, code: int, name: str, state: RuleState, document: Mapping[str, Any], by: Actor
    ) -> AlertRule:
        """A rule with its first version; it is asked from its commit on, unless it is disabled."""
        rule = AlertRule(id=uuid7(), code=code, name=name, state=state)
        self.rules.create(rule, _version(rule, 1, document, by))
        self.rules.changed()
        self.audit.note(by, "alert-rule.created", "alert-rule", rule.id, code=code, state=state)
        return self._watched_anew(self.rules.get_current(rule.id))

    def add_version(self, rule: AlertRule, document: Mapping[str, Any], by: Actor) -> AlertRule:
        """From its commit on the rule is asked like this; what older versions found stays theirs."""
        rule.version += 1
        self.rules.add_version(_version(rule, rule.version, document, by))
        self.audit.note(by, "alert-rule.version-made", "alert-rule", rule.id, version=rule.version)
        return self._watched_anew(self._changed(rule))

    def rename(self, rule: AlertRule, name: str, by: Actor) -> AlertRule:
        if rule.name == name:
            return rule
        rule.name = name
        self.audit.note(by, "alert-rule.renamed", "alert-rule", rule.id)
        return self._changed(rule)

    def switch(self, rule: AlertRule, state: RuleState, by: Actor) -> AlertRule:
        """Enable, shadow or disable; what is so already stays as it is."""
        if rule.state == state:
            return rule
        was_asked, rule.state = rule.state != RuleState.DISABLED, state
        self.audit.note(by, ACTIONS[state], "alert-rule", rule.id, version=rule.version)
        return self._changed(rule) if was_asked else self._watched_anew(self._changed(rule))

    def _changed(self, rule: AlertRule) -> AlertRule:
        self.rules.touch(rule)
        return self.rules.get_current(rule.id)

    def _watched_anew(self, rule: AlertRule) -> AlertRule:
        """A rule that is swept finds the gaps that end from now on."""
        check = read_check(rule.current.kind, rule.current.parameters)
        self.gaps.restart(rule.id, check if isinstance(check, Gap) else None)
        return rule


def _version(rule: AlertRule, number: int, document: Mapping[str, Any], by: Actor) -> AlertRuleVersion:
    check = read_check(document["kind"], document["parameters"])
    return AlertRuleVersion(
        rule_id=rule.id,
        version=number,
        kind=document["kind"],
        asked_on=document["asked_on"],
        parameters=write_check(document["kind"], check),
        note=document["note"],
        created_by=by.account_id,
    )

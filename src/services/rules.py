"""Rules: made, given new versions, compared, deleted; every change in the audit trail."""

from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from src.database import savepoint
from src.domain.errors import Conflict
from src.domain.ids import uuid7
from src.domain.roles import Actor
from src.domain.rules_reading import changes, read_rules
from src.models import RuleSet, RuleSetVersion
from src.repositories.rules import RuleSetRepository, RuleSetVersionRepository
from src.services.audit import AuditTrail


class RulesInUse(Conflict):
    slug = "rules-in-use"
    title = "A schedule uses these rules"


class RulesService:
    def __init__(self, session: Session) -> None:
        self.session = session
        self.rules = RuleSetRepository(session)
        self.versions = RuleSetVersionRepository(session)
        self.audit = AuditTrail(session)

    def create(self, name: str, document: Any, by: Actor) -> RuleSet:
        """Rules with their first version."""
        read_rules(document)
        rules = self.rules.add(RuleSet(id=uuid7(), owner_id=by.account_id, name=name, version=1))
        self._add(rules, document)
        self.audit.note(by, "rules.created", "rules", rules.id, name=name)
        return rules

    def add_version(self, rules: RuleSet, document: Any, by: Actor) -> RuleSet:
        """Reports from now on are made like this; what older versions made stays as it is."""
        read_rules(document)
        rules.version += 1
        self._add(rules, document)
        self.rules.touch(rules)
        self.audit.note(by, "rules.version-made", "rules", rules.id, version=rules.version)
        return rules

    def difference(self, rules: RuleSet, old: int, new: int) -> list[dict[str, Any]]:
        """What changed from one version to another."""
        one, other = (self.versions.get_version(rules.id, number) for number in (old, new))
        return changes(one.document, other.document)

    def delete(self, rules: RuleSet, by: Actor) -> None:
        """Reports keep the document that they were made by; a schedule would be left without."""
        try:
            with savepoint(self.session):
                self.rules.delete(rules)
        except IntegrityError as error:
            raise RulesInUse("Delete the schedule first, or give it other rules.") from error
        self.audit.note(by, "rules.deleted", "rules", rules.id, name=rules.name)

    def _add(self, rules: RuleSet, document: Any) -> None:
        self.versions.add(RuleSetVersion(rules_id=rules.id, version=rules.version, document=document))

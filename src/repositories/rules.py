"""Rules: found by their owners, listed, given new versions."""

from typing import ClassVar
from uuid import UUID

from sqlalchemy import func

from src.domain.errors import NotFound
from src.domain.paging import Page, PageQuery
from src.models import RuleSet, RuleSetVersion
from src.repositories.base import Repository
from src.repositories.owned import OwnedRepository

GREATEST_VERSION = 2**31 - 1


class RulesNotFound(NotFound):
    slug = "rules-not-found"
    title = "There are no such rules, or they are not yours"


class RulesVersionNotFound(NotFound):
    slug = "rules-version-not-found"
    title = "The rules have no such version"


class RuleSetRepository(OwnedRepository[RuleSet]):
    model = RuleSet
    orderings: ClassVar = {"id": RuleSet.id, "name": RuleSet.name}
    missing = RulesNotFound

    def search(self, query: PageQuery, *, owner_id: UUID | None, name: str | None) -> Page[RuleSet]:
        called = [] if name is None else [RuleSet.name.icontains(name, autoescape=True)]
        return self.own_page(query, owner_id, {}, *called)

    def touch(self, rules: RuleSet) -> None:
        rules.updated_at = func.clock_timestamp()
        self.session.flush()
        self.session.refresh(rules)

    def delete(self, rules: RuleSet) -> None:
        self.session.delete(rules)
        self.session.flush()


class RuleSetVersionRepository(Repository[RuleSetVersion]):
    model = RuleSetVersion
    orderings: ClassVar = {"id": RuleSetVersion.version}
    missing = RulesVersionNotFound

    def get_version(self, rules_id: UUID, version: int) -> RuleSetVersion:
        if not 0 < version <= GREATEST_VERSION:
            raise RulesVersionNotFound
        return self.get((rules_id, version))

    def search(self, query: PageQuery, rules_id: UUID) -> Page[RuleSetVersion]:
        return self.page(query, RuleSetVersion.rules_id == rules_id)

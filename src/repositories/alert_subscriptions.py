"""Subscriptions of alerts, and the alerts that were told to nobody yet."""

from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from sqlalchemy import delete, func, or_, select, text

from src.domain.errors import NotFound
from src.domain.paging import Page, PageQuery
from src.models import Account, AlertSubscription
from src.repositories.owned import OwnedRepository

# Marked and gathered in one statement: what somebody else is at is left to him. The choice stands in a part
# of its own, for in a subquery it may be made again for each row, past its limit.
TAKE = text("""
    WITH untold AS MATERIALIZED (
        SELECT id FROM alert WHERE NOT is_told AND NOT is_shadow
        ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE alert SET is_told = true FROM untold WHERE alert.id = untold.id
        RETURNING alert.id, rule_id, code, client_id, t
    ), placed AS (
        SELECT *, row_number() OVER (PARTITION BY rule_id ORDER BY id) AS place FROM taken
    )
    SELECT p.rule_id, p.code, r.name, count(*) AS raised, count(DISTINCT p.client_id) AS clients,
        jsonb_agg(jsonb_build_object('id', p.id, 'client_id', c.external_id, 't', p.t) ORDER BY p.id)
            FILTER (WHERE p.place <= :shown) AS alerts
    FROM placed p JOIN alert_rule r ON r.id = p.rule_id JOIN client c ON c.id = p.client_id
    GROUP BY p.rule_id, p.code, r.name ORDER BY p.code
""")


class SubscriptionNotFound(NotFound):
    slug = "alert-subscription-not-found"
    title = "There is no such subscription, or it is not yours"


class Raised(NamedTuple):
    """Alerts of one rule that nobody was told of: how many, and the first of them."""

    rule_id: UUID
    code: int
    name: str
    raised: int
    clients: int
    alerts: list[dict[str, Any]]


class AlertSubscriptionRepository(OwnedRepository[AlertSubscription]):
    model = AlertSubscription
    orderings: ClassVar = {"id": AlertSubscription.id}
    missing = SubscriptionNotFound

    def search(self, query: PageQuery, *, owner_id: UUID | None) -> Page[AlertSubscription]:
        return self.own_page(query, owner_id)

    def count_of(self, owner_id: UUID) -> int:
        mine = select(func.count()).where(AlertSubscription.owner_id == owner_id)
        return int(self.session.scalar(mine) or 0)

    def remove(self, subscription: AlertSubscription) -> None:
        self.session.execute(delete(AlertSubscription).where(AlertSubscription.id == subscription.id))

    def of_rule(self, rule_id: UUID) -> list[AlertSubscription]:
        """Those that want to know of this rule's alerts, and whose accounts are not disabled."""
        is_meant = or_(AlertSubscription.rule_id == rule_id, AlertSubscription.rule_id.is_(None))
        able = select(AlertSubscription).join(Account, Account.id == AlertSubscription.owner_id)
        statement = able.where(is_meant, ~Account.is_disabled).order_by(AlertSubscription.id)
        return list(self.session.scalars(statement))

    def take_untold(self, *, most: int, shown: int) -> list[Raised]:
        """Alerts that nobody was told of, by rule; from now on they count as told."""
        return [Raised(*row) for row in self.session.execute(TAKE, {"most": most, "shown": shown})]

"""Telling of alerts: from the alerts' rows into the outbox, each once, gathered by rule."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from src.domain.deliveries import Channel, Target
from src.domain.errors import Conflict
from src.domain.roles import Actor
from src.models import AlertSubscription
from src.repositories.alert_rules import AlertRuleRepository
from src.repositories.alert_subscriptions import AlertSubscriptionRepository, Raised
from src.services.audit import AuditTrail
from src.services.deliveries import DeliveryService

WHAT = "alert.raised"
AT_ONCE = 5_000
SHOWN = 20
MOST_SUBSCRIPTIONS = 50


class TooManySubscriptions(Conflict):
    slug = "too-many-alert-subscriptions"
    title = "You have as many subscriptions as one account may have"


class AlertSubscriptionService:
    def __init__(self, session: Session, deliveries: DeliveryService) -> None:
        self.rules = AlertRuleRepository(session)
        self.subscriptions = AlertSubscriptionRepository(session)
        self.audit = AuditTrail(session)
        self.deliveries = deliveries

    def subscribe(
        self, targets: tuple[Target, ...], rule_id: UUID | None, every_seconds: int, by: Actor
    ) -> AlertSubscription:
        """From now on these are told of the rule's alerts, or of all; at most once in `every_seconds`."""
        if rule_id is not None:
            self.rules.get(rule_id)
        self.deliveries.check(targets, by.account_id, at="")
        if self.subscriptions.count_of(by.account_id) >= MOST_SUBSCRIPTIONS:
            raise TooManySubscriptions(f"Remove one of the {MOST_SUBSCRIPTIONS} first.")
        subscription = self.subscriptions.add(
            AlertSubscription(
                owner_id=by.account_id,
                rule_id=rule_id,
                targets=[{"channel": target.channel, "address": target.address} for target in targets],
                every_seconds=every_seconds,
            )
        )
        self.audit.note(by, "alert-subscription.made", "alert-subscription", subscription.id)
        return subscription

    def end(self, subscription: AlertSubscription, by: Actor) -> None:
        """What is in the outbox already still goes out."""
        self.subscriptions.remove(subscription)
        self.audit.note(by, "alert-subscription.ended", "alert-subscription", subscription.id)

    def tell(self) -> bool:
        """Put what was raised into the outbox, marked as told; answers whether there was any."""
        raised = self.subscriptions.take_untold(most=AT_ONCE, shown=SHOWN)
        for of_rule in raised:
            self._queue(of_rule, self.subscriptions.of_rule(of_rule.rule_id))
        return bool(raised)

    def _queue(self, raised: Raised, subscriptions: Iterable[AlertSubscription]) -> None:
        payload = {**raised._asdict(), "rule_id": str(raised.rule_id)}
        for subscription in subscriptions:
            for target in subscription.targets:
                self.deliveries.queue(
                    Target(Channel(target["channel"]), target["address"]),
                    WHAT,
                    payload,
                    owner_id=subscription.owner_id,
                    group=f"alert-rule {raised.rule_id}",
                    every=timedelta(seconds=subscription.every_seconds),
                )

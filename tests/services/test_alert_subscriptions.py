"""Telling of alerts: each once, by rule, to those who subscribed, never of the shadow."""

from typing import Any

import pytest
from sqlalchemy import text, update

from src.domain.deliveries import Channel, Target
from src.domain.errors import DomainError
from src.domain.roles import Actor
from src.models import Account, AlertRule, Client, Delivery
from src.scheduler import tell_alerts
from src.services import alert_subscriptions
from src.wiring import services
from tests.committing import Workshop
from tests.factories.alert_rules import an_alert_rule
from tests.factories.alerts import an_alert
from tests.factories.clients import a_client
from tests.factories.files import Files

HOOK = Target(Channel.WEBHOOK, "https://hooks.example.org/alerts")
OTHER = Target(Channel.WEBHOOK, "https://hooks.example.org/others")


@pytest.fixture
def by(app: Any) -> Actor:
    return an_owner(app)


def an_owner(app: Any) -> Actor:
    actor = Files(app).owner()
    with services() as s:
        s.deliveries.renew_secret(actor)
    return actor


@pytest.fixture
def rule(app: Any, by: Actor) -> AlertRule:
    return an_alert_rule(by)


@pytest.fixture
def ana(app: Any) -> Client:
    return a_client("ana")


def subscribe(by: Actor, *targets: Target, rule: AlertRule | None = None, every: int = 60) -> Any:
    with services() as s:
        return s.alert_subscriptions.subscribe(targets, rule.id if rule else None, every, by)


def told() -> list[Delivery]:
    """What is in the outbox about alerts."""
    with services() as s:
        return list(
            s.session.query(Delivery).filter_by(what="alert.raised").order_by(Delivery.address, Delivery.id)
        )


def test_alerts_are_told_once_gathered_by_rule(by: Actor, rule: AlertRule, ana: Client) -> None:
    other = an_alert_rule(by)
    subscribe(by, HOOK)
    alerts = [an_alert(rule, ana), an_alert(rule, a_client("rui")), an_alert(other, ana)]
    tell_alerts()
    tell_alerts()
    first, second = told()
    assert (first.owner_id, first.address, first.group_key) == (
        by.account_id,
        HOOK.address,
        f"alert-rule {rule.id}",
    )
    assert first.every.total_seconds() == 60
    assert first.payload == {
        "rule_id": str(rule.id),
        "code": rule.code,
        "name": "A rule",
        "raised": 2,
        "clients": 2,
        "alerts": [
            {"id": alerts[0].id, "client_id": "ana", "t": alerts[0].t},
            {"id": alerts[1].id, "client_id": "rui", "t": alerts[1].t},
        ],
    }
    assert (second.payload["code"], second.payload["raised"]) == (other.code, 1)


def test_alerts_of_the_shadow_are_told_to_nobody(by: Actor, rule: AlertRule, ana: Client) -> None:
    subscribe(by, HOOK)
    an_alert(rule, ana, is_shadow=True)
    tell_alerts()
    assert told() == []


def test_who_asked_for_one_rule_is_told_of_that(app: Any, by: Actor, rule: AlertRule, ana: Client) -> None:
    other, somebody = an_alert_rule(by), an_owner(app)
    subscribe(by, HOOK, rule=rule)
    subscribe(somebody, OTHER, HOOK, every=0)
    an_alert(rule, ana)
    an_alert(other, ana)
    tell_alerts()
    rows = sorted((row.owner_id, row.address, row.payload["code"]) for row in told())
    everything = [
        (somebody.account_id, address, code)
        for address in (HOOK.address, OTHER.address)
        for code in (rule.code, other.code)
    ]
    assert rows == sorted([*everything, (by.account_id, HOOK.address, rule.code)])


def test_a_disabled_account_is_told_of_nothing(app: Any, by: Actor, rule: AlertRule, ana: Client) -> None:
    somebody = an_owner(app)
    subscribe(by, HOOK)
    subscribe(somebody, OTHER)
    with services() as s:
        disabled = update(Account).where(Account.id == somebody.account_id).values(is_disabled=True)
        s.session.execute(disabled)
    an_alert(rule, ana)
    tell_alerts()
    assert [row.owner_id for row in told()] == [by.account_id]


def test_what_was_raised_before_anybody_subscribed_is_told_to_nobody(
    by: Actor, rule: AlertRule, ana: Client
) -> None:
    an_alert(rule, ana)
    tell_alerts()
    subscribe(by, HOOK)
    tell_alerts()
    assert told() == []


def test_many_alerts_are_one_message_that_shows_the_first(
    by: Actor, rule: AlertRule, ana: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_subscriptions, "SHOWN", 2)
    subscribe(by, HOOK)
    for _ in range(5):
        an_alert(rule, ana)
    tell_alerts()
    (row,) = told()
    assert (row.payload["raised"], row.payload["clients"], len(row.payload["alerts"])) == (5, 1, 2)


def test_a_long_backlog_is_told_in_slices(
    by: Actor, rule: AlertRule, ana: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_subscriptions, "AT_ONCE", 2)
    subscribe(by, HOOK)
    for _ in range(5):
        an_alert(rule, ana)
    tell_alerts()
    assert [row.payload["raised"] for row in told()] == [2, 2, 1]


def test_who_ended_the_subscription_is_told_no_more(by: Actor, rule: AlertRule, ana: Client) -> None:
    subscription = subscribe(by, HOOK)
    with services() as s:
        s.alert_subscriptions.end(s.alert_subscription_rows.get(subscription.id), by)
    an_alert(rule, ana)
    tell_alerts()
    assert told() == []


def test_where_nothing_may_be_delivered_nothing_is_subscribed(by: Actor) -> None:
    with pytest.raises(DomainError) as refused:
        subscribe(by, Target(Channel.WEBHOOK, "https://127.0.0.1/x"))
    assert refused.value.slug == "bad-target"


def test_an_account_has_so_many_subscriptions(by: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_subscriptions, "MOST_SUBSCRIPTIONS", 2)
    subscribe(by, HOOK)
    subscribe(by, OTHER)
    with pytest.raises(DomainError) as refused:
        subscribe(by, HOOK)
    assert refused.value.slug == "too-many-alert-subscriptions"


class Killed(Exception):
    """The scheduler dies here."""


def test_a_scheduler_that_dies_before_its_commit_has_told_nobody(
    by: Actor, rule: AlertRule, ana: Client
) -> None:
    subscribe(by, HOOK)
    an_alert(rule, ana)
    with pytest.raises(Killed), services() as s:
        assert s.alert_subscriptions.tell()
        raise Killed
    assert told() == []
    tell_alerts()
    assert len(told()) == 1


def test_of_several_schedulers_one_tells_of_an_alert(workshop: Workshop) -> None:
    by = an_owner(workshop.app)
    rule, ana = an_alert_rule(by), a_client("ana")
    subscribe(by, HOOK)
    for _ in range(40):
        an_alert(rule, ana)
    workshop.together(lambda _: tell_alerts(), 4)
    assert sum(row.payload["raised"] for row in told()) == 40
    with services() as s:
        assert s.session.scalars(text("SELECT count(*) FROM alert WHERE NOT is_told")).one() == 0

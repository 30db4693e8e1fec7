"""Subscriptions of alerts: who is told, by webhook, e-mail or folder."""

from typing import Any
from uuid import UUID

from flask import Response, json

from src.api.authentication import actor, owner_filter
from src.api.blueprint import OPERATOR, VIEWER, Blueprint
from src.api.lists import listing
from src.api.schemas.alert_subscriptions import (
    SUBSCRIPTION,
    AlertSubscriptionCreateSchema,
    AlertSubscriptionList,
    AlertSubscriptionSchema,
)
from src.api.schemas.lists import ListQuery
from src.api.schemas.notify import targets_of
from src.wiring import services

blp = Blueprint(
    "alert-subscriptions",
    url_prefix="/api/v1/alert-subscriptions",
    description="Who is told of alerts.",
    for_keys=True,
    scope="alerts",
)


@blp.get("", needs=VIEWER)
@blp.arguments(ListQuery, location="query")
@blp.lists(AlertSubscriptionList)
def list_subscriptions(query: dict[str, Any]) -> Response:
    """My subscriptions, newest first; for administrators, everybody's."""
    owner_id = owner_filter()
    return listing(
        query,
        SUBSCRIPTION,
        lambda s, page: s.alert_subscription_rows.search(page, owner_id=owner_id),
        "alert-subscriptions",
    )


@blp.post("", needs=OPERATOR)
@blp.arguments(AlertSubscriptionCreateSchema)
@blp.response(201, AlertSubscriptionSchema)
def create_subscription(body: dict[str, Any]) -> Response:
    """Be told of alerts, of one rule or of all, from now on."""
    with services() as s:
        made = s.alert_subscriptions.subscribe(
            targets_of(body), body["rule_id"], body["every_seconds"], actor()
        )
    answer = Response(json.dumps(SUBSCRIPTION.dump(made)), status=201, mimetype="application/json")
    answer.headers["Location"] = f"/api/v1/alert-subscriptions/{made.id}"
    return answer


@blp.get("/<uuid:subscription_id>", needs=VIEWER)
@blp.response(200, AlertSubscriptionSchema)
def get_subscription(subscription_id: UUID) -> Any:
    """One subscription."""
    with services() as s:
        return s.alert_subscription_rows.get_own(subscription_id, owner_filter())


@blp.delete("/<uuid:subscription_id>", needs=OPERATOR)
@blp.response(204)
def end_subscription(subscription_id: UUID) -> None:
    """Be told no more; what waits in the outbox still goes out."""
    with services() as s:
        s.alert_subscriptions.end(s.alert_subscription_rows.get_own(subscription_id, owner_filter()), actor())

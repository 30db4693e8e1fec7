"""Deliveries: what was sent to the world outside, what was not, and why; and the secret of webhooks."""

from typing import Any
from uuid import UUID

from flask import Response, json

from src.api.authentication import actor, owner_filter
from src.api.blueprint import OPERATOR, VIEWER, Blueprint
from src.api.lists import listing
from src.api.schemas.deliveries import (
    DELIVERY,
    NEW_SECRET,
    DeliveryList,
    DeliveryQuery,
    DeliverySchema,
    NewWebhookSecretSchema,
    WebhookSecretSchema,
)
from src.wiring import services

blp = Blueprint(
    "deliveries",
    url_prefix="/api/v1/deliveries",
    description="What is told to the world outside.",
    for_keys=True,
)


@blp.get("", needs=VIEWER)
@blp.arguments(DeliveryQuery, location="query")
@blp.lists(DeliveryList)
def list_deliveries(query: dict[str, Any]) -> Response:
    """My deliveries, newest first; for administrators, everybody's."""
    filters = {name: query.get(name) for name in ("state", "job_id")} | {"owner_id": owner_filter()}
    return listing(query, DELIVERY, lambda s, page: s.delivery_rows.search(page, **filters), "deliveries")


@blp.get("/<uuid:delivery_id>", needs=VIEWER)
@blp.response(200, DeliverySchema)
def get_delivery(delivery_id: UUID) -> Any:
    """One delivery: how often it was tried, what went wrong, when it is tried next."""
    with services() as s:
        return s.delivery_rows.get_own(delivery_id, owner_filter())


@blp.post("/<uuid:delivery_id>/retry", needs=OPERATOR)
@blp.response(200, DeliverySchema)
def retry_delivery(delivery_id: UUID) -> Any:
    """Send again what failed, or what was sent and is missing."""
    with services() as s:
        row = s.delivery_rows.get_own(delivery_id, owner_filter(), is_locked=True)
        return s.deliveries.resend(row, actor())


@blp.get("/secret", needs=OPERATOR)
@blp.response(200, WebhookSecretSchema)
def get_secret() -> Any:
    """When my secret was made, if there is one; without the secret."""
    with services() as s:
        return s.webhook_secret_rows.find(actor().account_id) or {"created_at": None, "former_until": None}


@blp.post("/secret", needs=OPERATOR, people_only=True)
@blp.response(201, NewWebhookSecretSchema)
def renew_secret() -> Response:
    """A new secret to sign my webhooks with, shown this once. The former one is good for another day."""
    with services() as s:
        found = s.deliveries.renew_secret(actor())
    return Response(json.dumps(NEW_SECRET.dump(found)), status=201, mimetype="application/json")

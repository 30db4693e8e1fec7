"""Alerts: which rules fired, why, and what was done about it."""

from datetime import timedelta
from typing import Any

from flask import Response, json

from src.api.authentication import actor
from src.api.blueprint import OPERATOR, VIEWER, Blueprint
from src.api.clients import blp as clients
from src.api.lists import listing
from src.api.ranges import check_range
from src.api.schemas.alerts import (
    ALERT,
    WHY,
    AlertCountQuery,
    AlertCountsSchema,
    AlertHandlingSchema,
    AlertList,
    AlertNoteCreateSchema,
    AlertQuery,
    AlertSnoozeSchema,
    ClientAlertQuery,
    OneAlertSchema,
)
from src.domain.errors import FieldError, Invalid
from src.models import Alert
from src.wiring import Services, services

blp = Blueprint(
    "alerts", url_prefix="/api/v1/alerts", description="Which rules fired, and why.", for_keys=True
)
LONGEST_COUNT = timedelta(days=32)
NAMES = ("client", "code", "rule_id", "state", "since", "until")


@blp.get("", needs=VIEWER)
@blp.arguments(AlertQuery, location="query")
@blp.lists(AlertList)
def list_alerts(query: dict[str, Any]) -> Response:
    """Alerts of all clients, newest first; those of rules in the shadow only when asked for."""
    return _listed(query)


@clients.get("/<outside_id:client_id>/alerts", needs=VIEWER, scope="alerts")
@clients.arguments(ClientAlertQuery, location="query")
@clients.lists(AlertList)
def list_client_alerts(query: dict[str, Any], client_id: str) -> Response:
    """A client's alerts, newest first."""
    with services() as s:
        client = s.client_rows.get_by_external_id(client_id).external_id
    return _listed(query | {"client": client})


@blp.get("/counts", needs=VIEWER)
@blp.arguments(AlertCountQuery, location="query")
@blp.response(200, AlertCountsSchema)
def count_alerts(query: dict[str, Any]) -> Any:
    """How many alerts there were, by rule and hour of UTC."""
    if not timedelta(0) <= query["until"] - query["since"] <= LONGEST_COUNT:
        message = f"It must lie behind `from`, by at most {LONGEST_COUNT.days} days."
        raise Invalid(message, errors=[FieldError("/to", "invalid", message)])
    with services() as s:
        return {"data": s.alert_rows.counts(query["since"], query["until"])}


@blp.get("/<int(min=1):alert_id>", needs=VIEWER)
@blp.response(200, OneAlertSchema)
def get_alert(alert_id: int) -> Response:
    """One alert: the rule as it was asked, the events that made it fire, and what was noted."""
    with services() as s:
        return _told(s, s.alert_rows.get_with_client(alert_id))


@blp.post("/<int(min=1):alert_id>/ack", needs=OPERATOR)
@blp.arguments(AlertHandlingSchema)
@blp.response(200, OneAlertSchema)
def acknowledge_alert(body: dict[str, Any], alert_id: int) -> Response:
    """Say that it was seen to."""
    with services() as s:
        return _told(s, s.alerts.acknowledge(_to_handle(s, alert_id), body["note"], actor()))


@blp.post("/<int(min=1):alert_id>/snooze", needs=OPERATOR)
@blp.arguments(AlertSnoozeSchema)
@blp.response(200, OneAlertSchema)
def snooze_alert(body: dict[str, Any], alert_id: int) -> Response:
    """Put it aside until then; afterwards it is open again."""
    with services() as s:
        alert = s.alerts.snooze(_to_handle(s, alert_id), body["until"], body["note"], actor())
        return _told(s, alert)


@blp.post("/<int(min=1):alert_id>/reopen", needs=OPERATOR)
@blp.arguments(AlertHandlingSchema)
@blp.response(200, OneAlertSchema)
def reopen_alert(body: dict[str, Any], alert_id: int) -> Response:
    """Take an acknowledgement or a snooze back."""
    with services() as s:
        return _told(s, s.alerts.reopen(_to_handle(s, alert_id), body["note"], actor()))


@blp.post("/<int(min=1):alert_id>/note", needs=OPERATOR)
@blp.arguments(AlertNoteCreateSchema)
@blp.response(200, OneAlertSchema)
def note_alert(body: dict[str, Any], alert_id: int) -> Response:
    """Write something down beside it."""
    with services() as s:
        return _told(s, s.alerts.note(_to_handle(s, alert_id), body["text"], actor()))


def _listed(query: dict[str, Any]) -> Response:
    check_range(query.get("since"), query.get("until"), "to")
    filters = {name: query.get(name) for name in NAMES} | {"is_shadow": query["shadow"]}
    return listing(query, ALERT, lambda s, page: s.alert_rows.search(page, **filters), "alerts")


def _to_handle(s: Services, alert_id: int) -> Alert:
    return s.alert_rows.get_with_client(alert_id, is_locked=True)


def _told(s: Services, alert: Alert) -> Response:
    """The alert with why, so that nobody has to look for it in three places."""
    version = s.alert_rows.version_of(alert)
    why = {
        "kind": version.kind,
        "asked_on": version.asked_on,
        "parameters": version.parameters,
        "events": s.alert_rows.causes_of(alert),
        "notes": s.alert_rows.notes_of(alert),
    }
    return Response(json.dumps(ALERT.dump(alert) | WHY.dump(why)), mimetype="application/json")

"""Alerts for tests, put straight into the tables with the events that caused them."""

from itertools import count
from typing import Any

from sqlalchemy import text

from src.models import Alert, AlertRule, Client
from src.wiring import services
from tests.domain.alerts.model import Past
from tests.factories.histories import store

_times = count(1_000)


def an_alert(rule: AlertRule, client: Client, *, is_shadow: bool = False, **columns: Any) -> Alert:
    """An alert on a deposit of 150.00, and on a withdraw before it."""
    first, second = next(_times), next(_times)
    with services() as s:
        store(s.session, {client.id: [Past(0, first, "withdraw", 50), Past(0, second, "deposit", 15_000)]})
        alert = Alert(
            rule_id=rule.id,
            rule_version=rule.version,
            code=rule.code,
            client_id=client.id,
            t=second,
            causes=[first, second],
            is_shadow=is_shadow,
        )
        s.session.add(alert)
        s.session.flush()
        for name, value in columns.items():
            s.session.execute(
                text(f"UPDATE alert SET {name} = :value WHERE id = :id"), {"value": value, "id": alert.id}
            )
        return alert

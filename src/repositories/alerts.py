"""Alerts: found, listed by client, code, state and time, and counted by rule and hour."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Select, func, select, text
from sqlalchemy.orm import joinedload

from src.domain.errors import NotFound
from src.domain.paging import Page, PageQuery
from src.models import Alert, AlertNote, AlertRuleVersion, Client, Event
from src.repositories.base import Repository

GREATEST_ID = 2**63 - 1
CONDITIONS: dict[str, Callable[[Any], ColumnElement[bool]]] = {
    "client": lambda external_id: (
        Alert.client_id == select(Client.id).where(Client.external_id == external_id).scalar_subquery()
    ),
    "code": lambda code: Alert.code == code,
    "rule_id": lambda rule_id: Alert.rule_id == rule_id,
    "state": lambda state: Alert.state == state,
    "is_shadow": lambda is_shadow: Alert.is_shadow == is_shadow,
    "since": lambda moment: Alert.created_at >= moment,
    "until": lambda moment: Alert.created_at <= moment,
}
COUNTS = text("""
    SELECT a.rule_id, a.code, r.name, a.is_shadow, date_trunc('hour', a.created_at, 'UTC') AS hour,
        count(*) AS alerts, count(DISTINCT a.client_id) AS clients,
        count(*) FILTER (WHERE a.acknowledged_at IS NOT NULL) AS acknowledged
    FROM alert a JOIN alert_rule r ON r.id = a.rule_id
    WHERE a.created_at BETWEEN :since AND :until
    GROUP BY a.rule_id, a.code, r.name, a.is_shadow, hour
    ORDER BY hour DESC, a.code, a.is_shadow
""")


class AlertNotFound(NotFound):
    slug = "alert-not-found"
    title = "There is no such alert"


class AlertRepository(Repository[Alert]):
    model = Alert
    orderings: ClassVar = {"id": Alert.id}
    missing = AlertNotFound

    def get_with_client(self, id_: int, *, is_locked: bool = False) -> Alert:
        """The alert; locked, others who want to handle it wait."""
        statement = self._select().where(Alert.id == id_)
        if is_locked:
            statement = statement.with_for_update(of=Alert).execution_options(populate_existing=True)
        found: Alert | None = self.session.scalar(statement) if id_ <= GREATEST_ID else None
        if found is None:
            raise AlertNotFound
        return found

    def search(self, query: PageQuery, **filters: Any) -> Page[Alert]:
        """One page with the clients, in one statement."""
        conditions = [CONDITIONS[name](value) for name, value in filters.items() if value is not None]
        return self.page(query, *conditions)

    def flush(self, alert: Alert) -> Alert:
        """Write what was changed, and read what the clock makes of it."""
        self.session.flush()
        self.session.expire(alert)
        return self.get_with_client(alert.id)

    def add_note(self, note: AlertNote) -> None:
        self.session.add(note)
        self.session.flush()

    def notes_of(self, alert: Alert) -> Sequence[AlertNote]:
        return self.session.scalars(
            select(AlertNote).where(AlertNote.alert_id == alert.id).order_by(AlertNote.id)
        ).all()

    def version_of(self, alert: Alert) -> AlertRuleVersion:
        """How the rule was asked when it fired."""
        return self.session.get_one(AlertRuleVersion, (alert.rule_id, alert.rule_version))

    def causes_of(self, alert: Alert) -> Sequence[Event]:
        """The events that made the rule fire, in order."""
        is_cause = (Event.client_id == alert.client_id) & Event.t.in_(alert.causes)
        return self.session.scalars(select(Event).where(is_cause).order_by(Event.t)).all()

    def counts(self, since: datetime, until: datetime) -> list[dict[str, Any]]:
        """How many alerts there were, by rule and hour of UTC, the latest hour first."""
        values = {"since": since, "until": until}
        return [dict(row) for row in self.session.execute(COUNTS, values).mappings()]

    def of_last_hour(self) -> dict[tuple[int, bool], int]:
        """How many alerts there were by code, for the metrics; those in the shadow apart."""
        recent = Alert.created_at > func.statement_timestamp() - text("interval '1 hour'")
        statement = select(Alert.code, Alert.is_shadow, func.count()).where(recent)
        rows = self.session.execute(statement.group_by(Alert.code, Alert.is_shadow))
        return {(code, is_shadow): count for code, is_shadow, count in rows}

    def oldest_untold_seconds(self) -> float:
        """How long the oldest alert waits that is to be told."""
        waited = func.extract("epoch", func.clock_timestamp() - Alert.created_at)
        untold = select(waited).where(Alert.is_told.is_(False), Alert.is_shadow.is_(False))
        return float(self.session.scalar(untold.order_by(Alert.id).limit(1)) or 0)

    def _select(self) -> Select[Any]:
        return select(Alert).options(joinedload(Alert.client))

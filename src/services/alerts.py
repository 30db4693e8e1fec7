"""Alerts: acknowledged, snoozed, reopened, and noted; who did what is in the audit trail."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from src.domain.alerts.handling import LONGEST_SNOOZE_DAYS, BadSnooze
from src.domain.errors import FieldError
from src.domain.roles import Actor
from src.models import Alert, AlertNote
from src.repositories.alerts import AlertRepository
from src.services.audit import AuditTrail


class AlertService:
    def __init__(self, session: Session) -> None:
        self.session = session
        self.alerts = AlertRepository(session)
        self.audit = AuditTrail(session)

    def acknowledge(self, alert: Alert, note: str | None, by: Actor) -> Alert:
        """Somebody has seen to it. The first who says so is the one who is named."""
        if alert.acknowledged_at is None:
            alert.acknowledged_at, alert.acknowledged_by = func.clock_timestamp(), by.account_id
            alert.snoozed_until = None
            self.audit.note(by, "alert.acknowledged", "alert", str(alert.id))
        return self._noted(alert, note, by)

    def snooze(self, alert: Alert, until: datetime, note: str | None, by: Actor) -> Alert:
        """Not now: it is open again when the time is over. What was acknowledged is so no more."""
        now: datetime = self.session.scalars(select(func.clock_timestamp())).one()
        if not 0 < (until - now).total_seconds() <= LONGEST_SNOOZE_DAYS * 86_400:
            message = f"Choose a time in the next {LONGEST_SNOOZE_DAYS} days."
            raise BadSnooze(message, errors=[FieldError("/until", "invalid", message)])
        alert.acknowledged_at = alert.acknowledged_by = None
        alert.snoozed_until = until
        self.audit.note(by, "alert.snoozed", "alert", str(alert.id), until=until.isoformat())
        return self._noted(alert, note, by)

    def reopen(self, alert: Alert, note: str | None, by: Actor) -> Alert:
        """As if nobody had seen to it."""
        if alert.acknowledged_at or alert.snoozed_until:
            alert.acknowledged_at = alert.acknowledged_by = alert.snoozed_until = None
            self.audit.note(by, "alert.reopened", "alert", str(alert.id))
        return self._noted(alert, note, by)

    def note(self, alert: Alert, text: str, by: Actor) -> Alert:
        return self._noted(alert, text, by)

    def _noted(self, alert: Alert, text: str | None, by: Actor) -> Alert:
        if text is not None:
            self.alerts.add_note(AlertNote(alert_id=alert.id, account_id=by.account_id, text=text))
            self.audit.note(by, "alert.noted", "alert", str(alert.id))
        return self.alerts.flush(alert)

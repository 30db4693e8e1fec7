"""Writes the audit trail, in the transaction of what it tells about."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from src import logs
from src.domain.roles import Actor
from src.models import AuditEntry


class AuditTrail:
    def __init__(self, session: Session) -> None:
        self.session = session

    def note(self, actor: Actor | None, action: str, kind: str, object_id: UUID | str, **detail: Any) -> None:
        """One line: who (None is the system itself), what, on which object."""
        self.session.add(
            AuditEntry(
                account_id=actor.account_id if actor else None,
                account_name=actor.name if actor else "system",
                action=action,
                object_type=kind,
                object_id=str(object_id),
                detail=detail,
                request_id=logs.current("request_id"),
                address=logs.current("address"),
            )
        )

"""Atendimentos one by one: recorded, changed, deleted. Files of them are imports."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import Session

from src.domain.roles import Actor
from src.models import Atendimento
from src.repositories.atendimentos import AtendimentoRepository
from src.repositories.names import NameRepository
from src.services.audit import AuditTrail


class AtendimentoService:
    def __init__(self, session: Session) -> None:
        self.atendimentos = AtendimentoRepository(session)
        self.names = NameRepository(session)
        self.audit = AuditTrail(session)

    def record(self, *, id_cliente: str, angel: str, polo: str, **columns: Any) -> Atendimento:
        """A new one. Client, angel and polo are made when they are new, always in this order: two requests
        that make several of them wait for each other, and never in a circle."""
        return self.atendimentos.insert(
            client_id=self.names.client_id(id_cliente),
            angel_id=self.names.angel_id(angel),
            polo_id=self.names.polo_id(polo),
            **columns,
        )

    def update(self, row: Atendimento, values: Mapping[str, Any]) -> Atendimento:
        """Change what differs."""
        changed = {name: value for name, value in values.items() if getattr(row, name) != value}
        return self._touch(row, changed) if changed else row

    def delete(self, row: Atendimento, by: Actor) -> None:
        """It no longer shows and no longer counts."""
        self.audit.note(by, "atendimento.deleted", "atendimento", str(row.id))
        row.deleted_at = func.clock_timestamp()
        row.version += 1
        row.updated_at = func.clock_timestamp()
        self.atendimentos.session.flush()

    def _touch(self, row: Atendimento, changed: Mapping[str, Any]) -> Atendimento:
        for name, value in changed.items():
            setattr(row, name, value)
        row.version += 1
        row.updated_at = func.clock_timestamp()
        return self.atendimentos.reread(row)

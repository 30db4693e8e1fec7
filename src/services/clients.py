"""Clients: made, changed, deleted, and, when the law asks for it, erased."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from sqlalchemy import func
from sqlalchemy.orm import Session

from src.domain.roles import Actor
from src.domain.traces import Trace
from src.models import Client, Job
from src.repositories.clients import PERSONAL, ClientNotFound, ClientRepository, HeldFile
from src.services import erasures
from src.services.audit import AuditTrail
from src.services.jobs import JobService


class Erasure(NamedTuple):
    """What was removed of a client, the files in which the data still stand, and the job for refused rows."""

    client: Client
    former_values: int
    samples: int
    files: list[HeldFile]
    job: Job


class ClientService:
    def __init__(self, session: Session, jobs: JobService) -> None:
        self.jobs = jobs
        self.clients = ClientRepository(session)
        self.audit = AuditTrail(session)

    def create(self, external_id: str | None, values: Mapping[str, Any], by: Actor) -> Client:
        """A client of this id, or of the next number when there is none."""
        if external_id is None:
            client = self.clients.create_numbered(values)
        else:
            client = self.clients.create(external_id, values)
        self.audit.note(by, "client.created", "client", client.external_id)
        return client

    def update(self, client: Client, values: Mapping[str, Any], by: Actor) -> Client:
        """Change what differs; the trail tells which members, never their values."""
        changed = {name: value for name, value in values.items() if getattr(client, name) != value}
        if not changed:
            return client
        for name, value in changed.items():
            setattr(client, name, value)
        self._touch(client, changed.get("email"))
        self.audit.note(by, "client.changed", "client", client.external_id, members=sorted(changed))
        return client

    def delete(self, client: Client, by: Actor) -> None:
        """It no longer shows; its transactions and atendimentos stay."""
        client.deleted_at = func.clock_timestamp()
        self._touch(client, None)
        self.audit.note(by, "client.deleted", "client", client.external_id)

    def erase(self, external_id: str, by: Actor) -> Erasure:
        """Delete, and remove what is personal; also from a client that was deleted before."""
        client = self.clients.find_by_external_id(external_id, is_locked=True)
        if client is None:
            raise ClientNotFound
        emails = self.clients.addresses(client)
        shown = self.clients.forget_samples(client, emails)
        former_values = self.clients.forget_former_values(client)
        trace = asdict(Trace.of(client.external_id, emails))
        job = self.jobs.enqueue(erasures.KIND, {"trace": trace}, owner_id=by.account_id)
        for name in PERSONAL:
            setattr(client, name, 0 if name == "account_balance" else None)
        client.deleted_at = client.deleted_at or func.clock_timestamp()
        self._touch(client, None)
        self.audit.note(by, "client.erased", "client", client.external_id)
        return Erasure(client, former_values, len(shown), self.clients.files_about(client, shown), job)

    def _touch(self, client: Client, email: str | None) -> None:
        client.version += 1
        client.updated_at = func.clock_timestamp()
        self.clients.flush(client, email)

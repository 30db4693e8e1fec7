"""Signs of life of workers and schedulers."""

from uuid import UUID

from sqlalchemy import func, select, text

from src.models import Process
from src.repositories.base import Repository

BEAT = text("""
    INSERT INTO process (id, kind, host, pid) VALUES (:id, :kind, :host, :pid)
    ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp()
""")
FRESH = "30 seconds"


class ProcessRepository(Repository[Process]):
    model = Process

    def beat(self, id_: UUID, kind: str, host: str, pid: int) -> None:
        self.session.execute(BEAT, {"id": id_, "kind": kind, "host": host, "pid": pid})

    def leave(self, id_: UUID) -> None:
        row = self.find(id_)
        if row is not None:
            self.session.delete(row)

    def alive(self, kind: str, host: str | None = None) -> int:
        """How many of a kind gave a sign lately, on one host or on all."""
        fresh = Process.seen_at > func.clock_timestamp() - text(f"interval '{FRESH}'")
        statement = select(func.count()).where(Process.kind == kind, fresh)
        return int(self.session.scalar(statement.where(Process.host == host) if host else statement) or 0)

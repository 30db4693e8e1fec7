"""Jobs for tests, in any state of their life; every time is the database's."""

from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import func

from src.database import Database
from src.models import Account, Job

_numbers = count(1)


class Jobs:
    """Puts jobs straight into the table: what is tested is what happens to them then."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def owner(self) -> UUID:
        """An account that can own jobs, and nothing else: nobody can log in with it."""
        with self.database.unit_of_work() as session:
            account = Account(
                email=f"owner-{next(_numbers)}@example.org", role="operator", password_hash="none"
            )
            session.add(account)
        return account.id

    def add(self, *, due_in: float = 0, **columns: Any) -> Job:
        """A job, queued and due unless told otherwise."""
        row = Job(**{"kind": "test", "args": {}} | columns)
        row.run_after = func.clock_timestamp() + timedelta(seconds=due_in)
        return self._insert(row)

    def add_running(self, *, lease_left: float = 30, **columns: Any) -> Job:
        """A job that some worker holds, for so many seconds more; a negative number: not any more."""
        lease = func.clock_timestamp() + timedelta(seconds=lease_left)
        defaults = {"kind": "test", "args": {}, "state": "running", "attempts": 1, "fence": 1}
        return self._insert(Job(**defaults | {"lease_until": lease} | columns))

    def add_over(self, *, ago: float = 0, state: str = "done", **columns: Any) -> Job:
        """A job that ended so many seconds ago."""
        ended = func.clock_timestamp() - timedelta(seconds=ago)
        defaults = {"kind": "test", "args": {}, "attempts": 1, "fence": 1}
        return self._insert(Job(**defaults | {"state": state, "finished_at": ended} | columns))

    def read(self, job_id: UUID) -> Job:
        """The job as it stands in the table now."""
        with self.database.unit_of_work() as session:
            return session.get_one(Job, job_id)

    def _insert(self, row: Job) -> Job:
        with self.database.unit_of_work() as session:
            session.add(row)
            session.flush()
            session.refresh(row)
        return row

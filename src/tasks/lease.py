"""A job's lease: a thread with a connection of its own renews it, reports progress, and hears of cancels."""

import logging
import mmap
import threading
import time
from dataclasses import asdict
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import orjson

from src.config import Settings
from src.database import HEARTBEAT, Database, make_engine
from src.domain.errors import Unavailable
from src.domain.jobs import JobProgress
from src.models import Job
from src.repositories.job_leases import DatabaseSession, JobLeaseRepository

log = logging.getLogger(__name__)
REPORT_EVERY = 1.0

# One byte that the worker's main process shares with its forked children: 1 means «hand your job back».
_stopping = mmap.mmap(-1, 1)


def ask_to_stop() -> None:
    """Tell every running job of this worker to hand itself back."""
    _stopping[0] = 1


class Interrupted(Exception):
    """The job should stop here: it was cancelled, or its worker is going down."""

    def __init__(self, *, is_cancel: bool) -> None:
        super().__init__("cancelled" if is_cancel else "worker is stopping")
        self.is_cancel = is_cancel


class LeaseLost(Exception):
    """Another worker may have the job: write nothing more."""


class Lease:
    def __init__(self, job: Job, settings: Settings) -> None:
        self.job = job
        self.length = timedelta(seconds=settings.lease_seconds)
        self._every = settings.heartbeat_seconds
        self._engine = make_engine(settings.database_url, HEARTBEAT)
        self._database = Database(self._engine)
        self._progress: JobProgress | None = None
        self._session = DatabaseSession(job.session_pid, job.session_started)
        self._started = self._renewed = time.monotonic()
        self._is_cancelled = self._is_lost = False
        self._wake = threading.Event()
        self._is_over = False
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        self._wake.set()
        self._thread.join(timeout=10)
        self._engine.dispose()

    @property
    def interruption(self) -> Exception | None:
        """Why the job should stop, if it should."""
        if self._is_lost or time.monotonic() - self._renewed > self.length.total_seconds():
            return LeaseLost()
        if self._is_cancelled or _stopping[0]:
            return Interrupted(is_cancel=self._is_cancelled)
        return None

    def check(self) -> None:
        interruption = self.interruption
        if interruption is not None:
            raise interruption

    def report(self, done: int, total: int | None, unit: str) -> None:
        """Note how far the job is; the thread writes it, at most once a second."""
        seconds = max(time.monotonic() - self._started, 0.001)
        self._progress = JobProgress(done, total, unit, round(done / seconds, 1))

    def progress_members(self) -> dict[str, Any] | None:
        return None if self._progress is None else asdict(self._progress)

    def cover(self, session: DatabaseSession) -> None:
        """Make known which database session works for this job, if it is another than before."""
        if session != self._session:
            self._session = session
            self._beat()

    def _keep(self) -> None:
        """Beat every few seconds, and every second while there is progress to tell."""
        told, last = None, time.monotonic()
        while not self._is_over:
            self._wake.wait(REPORT_EVERY)
            is_due = time.monotonic() - last >= self._every
            if not self._is_over and (is_due or self._progress is not told):
                told, last = self._progress, time.monotonic()
                self._try_to_beat()

    def _try_to_beat(self) -> None:
        try:
            self._beat()
        except Unavailable:
            log.warning("the lease could not be renewed this time")

    def _beat(self) -> None:
        begun = time.monotonic()
        members = self.progress_members()
        progress = None if members is None else orjson.dumps(members).decode()
        with self._database.unit_of_work() as session:
            answer = JobLeaseRepository(session).beat(
                self.job, lease=self.length, progress=progress, session=self._session
            )
        if answer is None:
            self._is_lost = not self._is_over
        else:
            self._renewed, self._is_cancelled = begun, answer

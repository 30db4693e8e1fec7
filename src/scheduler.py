"""The scheduler: repeats hints, sweeps leases, plans work, empties the outbox. Any number may run at once."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from uuid import UUID

import psycopg
from flask import Flask

from src.app import create_program
from src.cli.output import settings_errors_as_messages
from src.config import Settings
from src.database import SCHEDULER
from src.domain.errors import DomainError
from src.domain.jobs import FIRST_WAIT, LONGEST_WAIT, Died, error_json
from src.domain.schedules import HAPPENED
from src.embedded import resolve
from src.processes import Pulse
from src.services import housekeeping
from src.wiring import adapters, services

log = logging.getLogger(__name__)
TICK = 1.0
BURST = 0.1
PLAN_EVERY = 60.0
HINTS_PER_SLOT = 4
SWEEPS_PER_TICK = 20


class Scheduler:
    def __init__(self, app: Flask, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.is_over = threading.Event()
        self.listener: psycopg.Connection[object] | None = None
        self._next_plan = 0.0
        self._was_redis_away = False

    def run(self) -> None:
        """Tick each second, and at once when a job is added."""
        with self.app.app_context():
            while not self.is_over.is_set():
                self.tick()
                self._wait()

    def stop(self, *_: int | FrameType | None) -> None:
        self.is_over.set()

    def tick(self) -> None:
        """One round. Each part is a transaction of its own, and safe beside other schedulers."""
        parts = (sweep, fire_schedules, sweep_gaps, tell_alerts, self._plan, release_deliveries, self._hint)
        for part in parts:
            _attempt(part)

    def _plan(self) -> None:
        if time.monotonic() >= self._next_plan:
            plan_housekeeping()
            plan_refreshes()
            self._next_plan = time.monotonic() + PLAN_EVERY

    def _hint(self) -> None:
        """A Redis that was away may have lost all its hints: they are given anew."""
        depth = adapters().hints.depth()
        if depth is not None:
            hint(self.settings, depth, is_anew=self._was_redis_away)
        self._was_redis_away = depth is None

    def _wait(self) -> None:
        """Sleep for a tick, or until a job is announced; a burst of them is one round."""
        began = time.monotonic()
        self.is_over.wait(BURST)
        try:
            if self.listener is None or self.listener.closed:
                self.listener = psycopg.connect(
                    _libpq(self.settings.database_url), autocommit=True, connect_timeout=2
                )
                self.listener.execute("LISTEN job")
            for _ in self.listener.notifies(timeout=TICK, stop_after=1):
                pass
        except psycopg.Error:
            self.listener = None
            self.is_over.wait(max(0.0, TICK - (time.monotonic() - began)))


def _attempt(part: Callable[[], None]) -> None:
    """A part that fails is tried again at the next tick, and holds up none of the others."""
    try:
        part()
    except DomainError as error:
        log.warning("a part of this tick failed, the next will try again: %s", error.detail)
    except Exception:
        log.exception("a part of this tick failed, the next will try again")


def sweep() -> None:
    """Take back the jobs of workers that died; first end what their database sessions still hold."""
    died = error_json(Died("Its workers ended without a word, several times."))
    with services() as s:
        s.job_leases.end_expired_session()
        swept = s.job_leases.sweep(died=died, first=FIRST_WAIT, longest=LONGEST_WAIT)
    for job_id, state in swept:
        log.warning("a worker lost its job", extra={"job_id": str(job_id), "state": state})


def sweep_gaps() -> None:
    """Raise the alerts of rules that wait for nothing to come; a long backlog takes several ticks."""
    for _ in range(SWEEPS_PER_TICK):
        with services() as s:
            if not s.gaps.sweep():
                return


def tell_alerts() -> None:
    """Put what was raised into the outbox of those who subscribed; a long backlog takes several ticks."""
    for _ in range(SWEEPS_PER_TICK):
        with services() as s:
            if not s.alert_subscriptions.tell():
                return


def plan_housekeeping() -> None:
    with services() as s:
        if not s.job_rows.has_since(housekeeping.KIND, "1 day"):
            s.jobs.enqueue(housekeeping.KIND, {}, owner_id=None)


def plan_refreshes() -> None:
    """Refreshes that were asked for while the queue was full get their jobs now."""
    with services() as s:
        s.views.enqueue_jobless()


def fire_schedules() -> None:
    """Each schedule that is due, in a transaction of its own: one that cannot now holds up no other."""
    with services() as s:
        due = s.schedules.due()
    for schedule_id in due:
        _attempt(partial(fire_schedule, schedule_id))


def fire_schedule(schedule_id: UUID) -> None:
    with services() as s:
        runs = s.schedules.fire(schedule_id)
    for run in runs:
        log.log(
            logging.INFO if run.state in HAPPENED else logging.WARNING,
            "a schedule was due",
            extra={"schedule_id": str(schedule_id), "due_at": str(run.due_at), "state": run.state},
        )


def release_deliveries() -> None:
    """What is due in the outbox gets its jobs; what was promised for the end of a job, when that is over."""
    with services() as s:
        s.deliveries.release()


def hint(settings: Settings, depth: int, *, is_anew: bool = False) -> None:
    """Fill Redis up to a few hints per worker slot; more would only wait there."""
    with services() as s:
        if is_anew:
            s.job_leases.forget_hints()
        slots = max(s.process_rows.alive("worker"), 1) * settings.worker_processes
        room = slots * HINTS_PER_SLOT - depth
        ids = s.job_leases.hint(room=room, again_after=settings.rehint_seconds) if room > 0 else []
    unsent = [job_id for job_id in ids if not adapters().hints.publish(job_id)]
    if unsent:
        with services() as s:
            s.job_leases.forget_hints(unsent)


def main() -> None:
    with settings_errors_as_messages(program_code=1):
        settings = resolve(Settings.from_env())
        scheduler = Scheduler(create_program(settings, SCHEDULER), settings)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, scheduler.stop)
    pulse = Pulse("scheduler", settings)
    pulse.start()
    scheduler.run()
    pulse.stop()


def _libpq(url: str) -> str:
    """The same address without SQLAlchemy's driver name."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


if __name__ == "__main__":
    main()

"""Schedules: made, changed, fired once per due time whatever happens, and told of when they were not."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm import Session

from src.database import savepoint
from src.domain.cron import check_cron, due_times, next_due_times, zone_of
from src.domain.deliveries import On, Target, Wish
from src.domain.errors import DomainError, Unavailable
from src.domain.roles import Actor, Role
from src.domain.schedules import (
    MOST_AT_ONCE,
    Misfire,
    NoInput,
    Overlap,
    OwnerMayNot,
    RunState,
    like_of,
    plan,
)
from src.models import File, Schedule, ScheduleRun
from src.repositories.accounts import AccountRepository
from src.repositories.files import FileRepository
from src.repositories.schedules import ScheduleRepository, ScheduleRunRepository
from src.services.accounts import actor_of
from src.services.audit import AuditTrail
from src.services.deliveries import DeliveryService
from src.services.profiles import ProfileService

SLICE = 100


@dataclass(frozen=True, slots=True)
class Started:
    """What a schedule has started: the job, and what the run keeps of it."""

    job_id: UUID
    result: dict[str, Any] = field(default_factory=dict)
    has_product: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """A kind of work that schedules can start.

    `check` raises unless its terms make sense for the owner; `start` puts it in line; `throw_away` removes
    what a run has made, where that is more than a profile.
    """

    check: Callable[[dict[str, Any], Actor], object]
    start: Callable[[dict[str, Any], File, Actor], Started]
    throw_away: Callable[[dict[str, Any]], object] | None = None


class ScheduleService:
    def __init__(self, session: Session, deliveries: DeliveryService, works: Mapping[str, Work]) -> None:
        self.session = session
        self.schedules = ScheduleRepository(session)
        self.runs = ScheduleRunRepository(session)
        self.files = FileRepository(session)
        self.accounts = AccountRepository(session)
        self.audit = AuditTrail(session)
        self.deliveries = deliveries
        self.works = works

    def create(self, by: Actor, **members: Any) -> Schedule:
        """A schedule that makes sense: it is due some time, and what it needs is there."""
        schedule = Schedule(owner_id=by.account_id, **members)
        self._check(schedule)
        schedule.next_due = check_cron(schedule.cron, zone_of(schedule.timezone), self.schedules.now())[0]
        self.schedules.add(schedule)
        self.audit.note(by, "schedule.created", "schedule", schedule.id, cron=schedule.cron)
        return schedule

    def change(self, schedule: Schedule, by: Actor, members: dict[str, Any]) -> Schedule:
        """Change what is given; due times that have passed under the former cron are past."""
        for name, value in members.items():
            setattr(schedule, name, value)
        self._check(schedule)
        if {"cron", "timezone"} & members.keys():
            due = check_cron(schedule.cron, zone_of(schedule.timezone), self.schedules.now())[0]
            schedule.next_due = None if schedule.is_paused else due
        self.audit.note(by, "schedule.changed", "schedule", schedule.id, members=sorted(members))
        return self._touch(schedule)

    def pause(self, schedule: Schedule, by: Actor) -> Schedule:
        """Nothing is due until it is resumed."""
        if not schedule.is_paused:
            schedule.is_paused, schedule.next_due = True, None
            self.audit.note(by, "schedule.paused", "schedule", schedule.id)
        return self._touch(schedule)

    def resume(self, schedule: Schedule, by: Actor) -> Schedule:
        """Go on with the next due time; those of the pause were not missed."""
        if schedule.is_paused:
            zone = zone_of(schedule.timezone)
            schedule.is_paused = False
            schedule.next_due = check_cron(schedule.cron, zone, self.schedules.now())[0]
            self.audit.note(by, "schedule.resumed", "schedule", schedule.id)
        return self._touch(schedule)

    def delete(self, schedule: Schedule, by: Actor) -> None:
        """It goes with its history; what it made stays."""
        self.audit.note(by, "schedule.deleted", "schedule", schedule.id, name=schedule.name)
        self.session.delete(schedule)
        self.session.flush()

    def next_due_times(self, schedule: Schedule) -> list[datetime]:
        if schedule.is_paused:
            return []
        return next_due_times(schedule.cron, zone_of(schedule.timezone), self.schedules.now())

    def run_now(self, schedule: Schedule, by: Actor) -> ScheduleRun:
        """Start it by hand, whatever else of it is running; what stands in the way is told at once."""
        run = self.runs.add(ScheduleRun(schedule_id=schedule.id, state=RunState.WAITING))
        self._start(schedule, run)
        self.audit.note(by, "schedule.run-by-hand", "schedule", schedule.id)
        self.session.flush()
        self.session.refresh(run)
        return run

    def due(self) -> list[UUID]:
        """Schedules that are due, or have a run whose turn has come; each is fired by itself."""
        return list(dict.fromkeys([*self.schedules.due(SLICE), *self.runs.with_a_turn(SLICE)]))

    def fire(self, schedule_id: UUID) -> list[ScheduleRun]:
        """What is due of it: runs, their jobs and the next due time, in this one transaction.

        Another scheduler that comes at the same moment finds the row locked and passes by; one that comes
        later finds the next due time. Work that finds no place in the queue makes all of this wait.
        """
        schedule = self.schedules.take(schedule_id)
        if schedule is None:
            return []
        runs = self._note_due(schedule)
        waiting = self.runs.next_waiting(schedule.id)
        if waiting is not None and not schedule.is_paused and not self.runs.is_busy(schedule.id):
            self._try_to_start(schedule, waiting)
            runs = runs if waiting in runs else [*runs, waiting]
        self._keep_the_last(schedule)
        self.session.flush()
        return runs

    def _note_due(self, schedule: Schedule) -> list[ScheduleRun]:
        """A run for each due time that has passed, most of them only to say that they did not happen."""
        now = self.schedules.now()
        if schedule.is_paused or schedule.next_due is None or schedule.next_due > now:
            return []
        due: Callable[[datetime], Iterator[datetime]] = partial(
            due_times, schedule.cron, zone_of(schedule.timezone)
        )
        passed = plan(due, schedule.next_due, now, Misfire(schedule.misfire))
        schedule.next_due = passed.next_due
        schedule.missed += len(passed.missed)
        missed = [self._run(schedule, at, RunState.MISSED) for at in passed.missed[-MOST_AT_ONCE:]]
        # Of several that are caught up with, each waits for the one before it, which is no overlap.
        is_skipped = bool(passed.run) and self._has_no_room(schedule)
        state = RunState.SKIPPED if is_skipped else RunState.WAITING
        runs = [self._run(schedule, due_at, state) for due_at in passed.run]
        self._alarm(schedule, [run for run in (*missed, *runs) if run.state != RunState.WAITING])
        return [*missed, *runs]

    def _has_no_room(self, schedule: Schedule) -> bool:
        """Whether a due time has to be skipped: for the run before it, or for the many that wait."""
        waiting = self.runs.waiting(schedule.id)
        if schedule.overlap == Overlap.QUEUE:
            return waiting >= MOST_AT_ONCE
        return waiting > 0 or self.runs.is_busy(schedule.id)

    def _run(self, schedule: Schedule, due_at: datetime, state: RunState) -> ScheduleRun:
        return self.runs.add(ScheduleRun(schedule_id=schedule.id, due_at=due_at, state=state))

    def _try_to_start(self, schedule: Schedule, run: ScheduleRun) -> None:
        """Start it, or note why that cannot be; where only the queue is full, all waits for the next tick."""
        try:
            with savepoint(self.session):
                self._start(schedule, run)
        except Unavailable:
            raise
        except DomainError as error:
            self.session.refresh(run)
            run.state = RunState.REFUSED
            run.error = {"slug": error.slug, "title": error.title, "detail": error.detail}
            self._alarm(schedule, [run])

    def _start(self, schedule: Schedule, run: ScheduleRun) -> None:
        work, owner = self.works[schedule.kind], self._owner(schedule)
        started = work.start(schedule.work, self._input(schedule, owner), owner)
        run.state, run.job_id, run.result = RunState.STARTED, started.job_id, started.result
        run.has_product = started.has_product
        run.started_at = func.clock_timestamp()
        if schedule.notify:
            self.deliveries.promise(wish_of(schedule.notify), started.job_id, schedule.owner_id)

    def _owner(self, schedule: Schedule) -> Actor:
        """Whose account it is run for, if that may still do so."""
        account = self.accounts.get(schedule.owner_id)
        owner = actor_of(account)
        if account.is_disabled or not owner.role.covers(Role.OPERATOR):
            raise OwnerMayNot("The account is disabled, or may only read.")
        return owner

    def _input(self, schedule: Schedule, owner: Actor) -> File:
        """The file it names, or the newest upload of such a name."""
        if schedule.input_pattern is not None:
            file = self.schedules.latest_file(schedule.owner_id, like_of(schedule.input_pattern))
            if file is None:
                raise NoInput(f"No upload of yours is called {schedule.input_pattern}.")
            return file
        if schedule.input_file_id is None:
            raise NoInput("Its file was deleted. Change the schedule, or delete it.")
        return self.files.get_own(schedule.input_file_id, owner.sees)

    def _keep_the_last(self, schedule: Schedule) -> None:
        """Throw away what older runs have made; the runs themselves stay in the history.

        A run that is not over, or has failed, takes no good one's place; what is yet to be delivered stays.
        """
        throw_away = self.works[schedule.kind].throw_away
        if throw_away is None:
            return
        for run in self.runs.made_before_the_last(schedule.id, schedule.keep):
            throw_away(run.result)
            run.has_product = False

    def _alarm(self, schedule: Schedule, runs: list[ScheduleRun]) -> None:
        """Runs that did not happen are told to whoever is told of those that did."""
        if not (schedule.notify and runs):
            return
        wish = wish_of(schedule.notify)
        if wish.on is On.DONE:
            return
        told = [
            {"due_at": run.due_at and run.due_at.isoformat(), "state": run.state, "error": run.error}
            for run in runs
        ]
        payload = {"schedule_id": str(schedule.id), "name": schedule.name, "runs": told}
        for target in wish.targets:
            self.deliveries.queue(target, "schedule.missed", payload, owner_id=schedule.owner_id)

    def _check(self, schedule: Schedule) -> None:
        """As its owner, for whom it will run, whoever changes it."""
        owner = actor_of(self.accounts.get(schedule.owner_id))
        self.works[schedule.kind].check(schedule.work, owner)
        schedule.rules_id = UUID(schedule.work["rules_id"]) if schedule.work.get("rules_id") else None
        if schedule.input_pattern is not None:
            like_of(schedule.input_pattern)
        elif schedule.input_file_id is not None:
            self.files.get_own(schedule.input_file_id, owner.sees)
        if schedule.notify:
            self.deliveries.check(wish_of(schedule.notify).targets, schedule.owner_id)

    def _touch(self, schedule: Schedule) -> Schedule:
        self.session.flush()
        self.session.refresh(schedule)
        return schedule


def profiling(profiles: ProfileService) -> Work:
    """Profile the file; it is kept beside the file, and goes with it."""

    def start(_terms: dict[str, Any], file: File, _owner: Actor) -> Started:
        job = profiles.start(file)
        return Started(job.id, {"file_id": str(file.id), "profile": f"/api/v1/files/{file.id}/profile"})

    return Work(check=lambda _terms, _owner: None, start=start)


def wish_of(notify: dict[str, Any]) -> Wish:
    """As it is kept beside the schedule."""
    targets = tuple(Target(target["channel"], target["address"]) for target in notify["targets"])
    return Wish(targets, On(notify["on"]))

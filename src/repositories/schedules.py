"""Schedules and their runs: what is due, what waits its turn, what a schedule has made."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import func, select, true
from sqlalchemy.orm import aliased, joinedload

from src.domain.deliveries import DeliveryState
from src.domain.jobs import UNFINISHED, JobState
from src.domain.paging import Page, PageQuery
from src.domain.schedules import RunState, ScheduleNotFound
from src.models import Delivery, File, Job, Schedule, ScheduleRun
from src.repositories.base import Repository, equal
from src.repositories.owned import OwnedRepository

UNDELIVERED = (DeliveryState.PROMISED, DeliveryState.WAITING, DeliveryState.SENDING)


class ScheduleRepository(OwnedRepository[Schedule]):
    model = Schedule
    orderings: ClassVar = {
        "id": Schedule.id,
        "name": Schedule.name,
        "next_due": Schedule.next_due,
        "created_at": Schedule.created_at,
    }
    missing = ScheduleNotFound

    def search(self, query: PageQuery, *, owner_id: UUID | None, is_paused: bool | None) -> Page[Schedule]:
        return self.own_page(query, owner_id, {Schedule.is_paused: is_paused})

    def now(self) -> datetime:
        """The database's clock: the only one that decides what is due."""
        now: datetime = self.session.scalars(select(func.clock_timestamp())).one()
        return now

    def due(self, limit: int) -> list[UUID]:
        """The schedules that are due, whoever is at them; each is taken in a transaction of its own.

        The first of each owner comes first: whose queue is full does not hide what is due of others.
        """
        is_due = Schedule.is_paused.is_(False) & (Schedule.next_due <= func.clock_timestamp())
        rank = func.row_number().over(partition_by=Schedule.owner_id, order_by=Schedule.next_due)
        statement = select(Schedule.id).where(is_due).order_by(rank, Schedule.next_due).limit(limit)
        return list(self.session.scalars(statement))

    def take(self, id_: UUID) -> Schedule | None:
        """This schedule, locked, unless another scheduler is at it, or it is gone."""
        statement = select(Schedule).where(Schedule.id == id_)
        return self.session.scalar(statement.with_for_update(skip_locked=True))

    def latest_file(self, owner_id: UUID, like: str) -> File | None:
        """The owner's newest upload with such a name."""
        mine = (File.owner_id == owner_id) & (File.kind == "upload")
        named = File.name.ilike(like, escape="\\")
        return self.session.scalar(select(File).where(mine, named).order_by(File.id.desc()).limit(1))


class ScheduleRunRepository(Repository[ScheduleRun]):
    model = ScheduleRun
    orderings: ClassVar = {"id": ScheduleRun.id, "due_at": ScheduleRun.due_at}

    def search(self, query: PageQuery, *, schedule_id: UUID, state: str | None) -> Page[ScheduleRun]:
        page = self.page(query, *equal({ScheduleRun.schedule_id: schedule_id, ScheduleRun.state: state}))
        self.with_jobs(page.rows)
        return page

    def with_jobs(self, rows: list[ScheduleRun]) -> list[ScheduleRun]:
        """The same, with their jobs."""
        ids = [row.id for row in rows]
        if ids:
            statement = select(ScheduleRun).where(ScheduleRun.id.in_(ids))
            self.session.scalars(
                statement.options(joinedload(ScheduleRun.job)).execution_options(populate_existing=True)
            ).all()
        return rows

    def is_busy(self, schedule_id: UUID) -> bool:
        """Whether a run of it is not over yet."""
        running = (
            select(ScheduleRun.id)
            .join(Job, Job.id == ScheduleRun.job_id)
            .where(ScheduleRun.schedule_id == schedule_id, Job.state.in_(UNFINISHED))
        )
        return self.session.scalar(running.limit(1)) is not None

    def waiting(self, schedule_id: UUID) -> int:
        mine = (ScheduleRun.schedule_id == schedule_id) & (ScheduleRun.state == RunState.WAITING)
        return self.session.scalars(select(func.count()).select_from(ScheduleRun).where(mine)).one()

    def next_waiting(self, schedule_id: UUID) -> ScheduleRun | None:
        waiting = (ScheduleRun.schedule_id == schedule_id) & (ScheduleRun.state == RunState.WAITING)
        return self.session.scalar(select(ScheduleRun).where(waiting).order_by(ScheduleRun.due_at).limit(1))

    def with_a_turn(self, limit: int) -> list[UUID]:
        """The schedules that have a run which waits, and none that is not over; of each owner one first."""
        other = aliased(ScheduleRun)
        busy = (
            select(other.id)
            .join(Job, Job.id == other.job_id)
            .where(other.schedule_id == ScheduleRun.schedule_id, Job.state.in_(UNFINISHED))
        )
        waiting = (ScheduleRun.state == RunState.WAITING) & ~busy.exists()
        rank = func.row_number().over(partition_by=Schedule.owner_id, order_by=Schedule.id)
        statement = select(Schedule.id).where(Schedule.id.in_(select(ScheduleRun.schedule_id).where(waiting)))
        return list(self.session.scalars(statement.order_by(rank, Schedule.id).limit(limit)))

    def made_before_the_last(self, schedule_id: UUID, keep: int) -> list[ScheduleRun]:
        """The runs that are over, older than the last `keep` that went well, and whose product may go.

        A job that is gone was over long ago. What a delivery still waits for, or carries, may not go.
        """
        mine = (ScheduleRun.schedule_id == schedule_id) & ScheduleRun.has_product
        went_well = func.coalesce(Job.state == JobState.DONE, true())
        newest = (
            select(ScheduleRun.id)
            .outerjoin(Job, Job.id == ScheduleRun.job_id)
            .where(mine, went_well)
            .order_by(ScheduleRun.id.desc())
        )
        last_kept = newest.offset(keep - 1).limit(1).scalar_subquery()
        is_over = func.coalesce(Job.state.not_in(UNFINISHED), true())
        awaited = select(Delivery.id).where(
            Delivery.job_id == ScheduleRun.job_id, Delivery.state.in_(UNDELIVERED)
        )
        statement = select(ScheduleRun).outerjoin(Job, Job.id == ScheduleRun.job_id)
        return list(
            self.session.scalars(
                statement.where(mine, is_over, ScheduleRun.id < last_kept, ~awaited.exists())
            )
        )

    def counts(self) -> dict[str, int]:
        """How many runs there are by state, for the metrics."""
        rows = self.session.execute(select(ScheduleRun.state, func.count()).group_by(ScheduleRun.state))
        return dict(row.tuple() for row in rows)

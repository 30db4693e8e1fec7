"""Schedules fire each due time once, whoever and however many look after them, and tell what did not happen."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from operator import add
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from src.domain.deliveries import Channel
from src.domain.errors import DomainError
from src.domain.jobs import QueueFull
from src.domain.roles import Actor
from src.domain.schedules import Misfire, NoInput, Overlap, RunState
from src.models import Delivery, File, Job, Schedule, ScheduleRun
from src.services import schedules
from src.services.schedules import ScheduleService, Started, Work
from src.wiring import Services, services
from tests.committing import Workshop

EVERY_MINUTE = "* * * * *"


class Bench:
    """What the schedules of these tests start: a job that does nothing, and a note of its input."""

    def __init__(self) -> None:
        self.refuses: DomainError | None = None
        self.thrown_away: list[dict[str, Any]] = []

    def service(self, s: Services) -> ScheduleService:
        def start(terms: dict[str, Any], file: File, owner: Actor) -> Started:
            job = s.jobs.enqueue("test", {"terms": terms}, owner_id=owner.account_id)
            if self.refuses:
                raise self.refuses
            return Started(job.id, {"file": file.name}, has_product=True)

        work = Work(lambda _terms, _by: None, start, self.thrown_away.append)
        return ScheduleService(s.session, s.deliveries, {"test": work})


@pytest.fixture
def bench(workshop: Workshop) -> Bench:
    return Bench()


@pytest.fixture
def owner(workshop: Workshop) -> Actor:
    return workshop.files.owner()


@pytest.fixture
def make(workshop: Workshop, bench: Bench, owner: Actor) -> Any:
    file = workshop.files.add(owner)

    def schedule(by: Actor = owner, **members: Any) -> Schedule:
        defaults = {
            "name": "test",
            "cron": EVERY_MINUTE,
            "timezone": "UTC",
            "kind": "test",
            "work": {},
            "input_file_id": file.id,
            "misfire": Misfire.LATEST,
            "overlap": Overlap.QUEUE,
            "keep": 1_000,
        }
        with services() as s:
            return bench.service(s).create(by, **defaults | members)

    return schedule


def let_pass(schedule: Schedule, minutes: float) -> None:
    """As if no scheduler had been there for so long."""
    with services() as s:
        ago = func.date_trunc("minute", func.clock_timestamp()) - timedelta(minutes=minutes)
        s.session.execute(update(Schedule).where(Schedule.id == schedule.id).values(next_due=ago))


def tick(bench: Bench) -> None:
    """What a scheduler does once."""
    with services() as s:
        due = bench.service(s).due()
    for id_ in due:
        with services() as s:
            bench.service(s).fire(id_)


def runs(schedule: Schedule) -> list[ScheduleRun]:
    with services() as s:
        mine = select(ScheduleRun).where(ScheduleRun.schedule_id == schedule.id)
        return list(s.session.scalars(mine.order_by(ScheduleRun.due_at)))


def states(schedule: Schedule) -> Counter[str]:
    return Counter(run.state for run in runs(schedule))


def start_by_hand(bench: Bench, schedule: Schedule, owner: Actor) -> ScheduleRun:
    with services() as s:
        return bench.service(s).run_now(s.session.get_one(Schedule, schedule.id), owner)


def end_jobs() -> None:
    with services() as s:
        s.session.execute(
            text("UPDATE job SET state = 'done', finished_at = clock_timestamp() WHERE kind = 'test'")
        )


def run_out(bench: Bench, schedule: Schedule) -> None:
    """Until nothing waits any more; each run ends before the next look."""
    for _ in range(200):
        end_jobs()
        tick(bench)
        if not states(schedule)["waiting"]:
            return
    raise AssertionError("there is always something waiting")


def test_a_due_time_starts_its_job_and_the_next_is_known(bench: Bench, make: Any) -> None:
    schedule = make()
    tick(bench)
    assert runs(schedule) == [], "it is not due yet"
    let_pass(schedule, 0)
    tick(bench)
    (run,) = runs(schedule)
    assert (run.state, run.result["file"][:5]) == (RunState.STARTED, "table")
    assert run.job_id
    with services() as s:
        later = s.session.get_one(Schedule, schedule.id).next_due
    assert later is not None
    assert run.due_at is not None
    assert later - run.due_at == timedelta(minutes=1)


@pytest.mark.parametrize(
    ("misfire", "started", "missed"), [(Misfire.LATEST, 1, 40), (Misfire.ALL, 41, 0), (Misfire.SKIP, 1, 40)]
)
def test_six_schedulers_at_once_fire_each_due_time_once(
    workshop: Workshop, bench: Bench, make: Any, misfire: Misfire, started: int, missed: int
) -> None:
    many = [make(misfire=misfire) for _ in range(4)]
    for schedule in many:
        let_pass(schedule, 40)
    workshop.together(lambda _: tick(bench), 6)
    for schedule in many:
        run_out(bench, schedule)
        found = runs(schedule)
        assert len({run.due_at for run in found}) == len(found) >= 41
        counts = states(schedule)
        late = len(found) - 41  # minutes that have begun meanwhile
        assert counts["missed"] == missed
        assert counts["started"] == started + late
        jobs = [run.job_id for run in found if run.state == RunState.STARTED]
        assert len(set(jobs)) == len(jobs)


def test_an_owner_with_many_that_are_due_does_not_hide_those_of_others(
    workshop: Workshop, bench: Bench, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "SLICE", 2)
    for _ in range(3):
        let_pass(make(), 5)
    stranger = workshop.files.owner()
    other = make(by=stranger, input_file_id=workshop.files.add(stranger).id)
    let_pass(other, 1)
    with services() as s:
        assert other.id in bench.service(s).due()


def test_an_owner_with_many_that_wait_does_not_hide_those_of_others(
    workshop: Workshop, bench: Bench, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "SLICE", 2)
    stranger = workshop.files.owner()
    many = [make(), make(), make(), make(by=stranger, input_file_id=workshop.files.add(stranger).id)]
    with services() as s:
        for schedule in many:
            s.session.add(ScheduleRun(schedule_id=schedule.id, state=RunState.WAITING))
    with services() as s:
        assert many[-1].id in bench.service(s).due()


def test_a_scheduler_that_dies_before_the_commit_leaves_the_due_time_to_another(
    bench: Bench, make: Any
) -> None:
    schedule = make()
    let_pass(schedule, 0)
    with pytest.raises(KeyboardInterrupt), services() as s:
        assert len(bench.service(s).fire(schedule.id)) == 1
        raise KeyboardInterrupt
    assert runs(schedule) == []
    with services() as s:
        assert s.session.scalars(select(func.count()).select_from(Job)).one() == 0
    tick(bench)
    assert states(schedule) == {"started": 1}


def test_while_a_run_is_not_over_the_next_waits_or_is_skipped(
    bench: Bench, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    queueing, skipping = make(overlap=Overlap.QUEUE), make(overlap=Overlap.SKIP)
    for minutes in (2, 1):  # what was due earlier is done before what was due later
        for schedule in (queueing, skipping):
            with services() as s:
                at = func.date_trunc("minute", func.clock_timestamp()) - timedelta(minutes=minutes)
                row = s.session.get_one(Schedule, schedule.id)
                row.next_due = at
                s.session.flush()
                s.session.refresh(row)
                due = row.next_due
            with services() as s:
                service = bench.service(s)
                monkeypatch.setattr(service.schedules, "now", partial(add, due, timedelta(seconds=5)))
                service.fire(schedule.id)
    assert states(queueing) == {"started": 1, "waiting": 1}
    assert states(skipping) == {"started": 1, "skipped": 1}
    run_out(bench, queueing)
    assert states(queueing)["waiting"] == 0
    assert states(queueing)["started"] >= 2


def test_a_full_queue_postpones_and_loses_nothing(bench: Bench, make: Any) -> None:
    schedule = make(misfire=Misfire.ALL)
    let_pass(schedule, 3)
    bench.refuses = QueueFull(retry_after=30)
    with pytest.raises(QueueFull):
        tick(bench)
    assert runs(schedule) == []
    bench.refuses = None
    tick(bench)
    run_out(bench, schedule)
    assert states(schedule)["started"] >= 4


def test_what_cannot_be_started_is_shown_and_leaves_no_job(bench: Bench, make: Any) -> None:
    schedule = make()
    let_pass(schedule, 0)
    bench.refuses = NoInput("The rules are gone.")
    tick(bench)
    (run,) = runs(schedule)
    assert run.state == RunState.REFUSED
    assert run.error is not None
    assert run.error["detail"] == "The rules are gone."
    with services() as s:
        assert s.session.scalars(select(func.count()).select_from(Job)).one() == 0


def test_the_newest_upload_of_the_name_is_taken(
    workshop: Workshop, bench: Bench, make: Any, owner: Actor
) -> None:
    schedule = make(input_file_id=None, input_pattern="Sales-*.csv")
    let_pass(schedule, 0)
    tick(bench)
    assert [run.error["detail"] for run in runs(schedule) if run.error] == [
        "No upload of yours is called Sales-*.csv."
    ]
    workshop.files.add(owner, name="sales-1.csv")
    workshop.files.add(owner, name="sales-2.csv")
    workshop.files.add(owner, name="costs-3.csv")
    workshop.files.add(name="sales-4.csv")  # somebody else's
    workshop.files.add(owner, name="sales-5.csv", kind="produced")
    with services() as s:
        run = bench.service(s).run_now(s.session.get_one(Schedule, schedule.id), owner)
    assert run.result == {"file": "sales-2.csv"}


def test_by_hand_it_is_told_at_once_what_stands_in_the_way(bench: Bench, make: Any, owner: Actor) -> None:
    schedule = make(input_file_id=None, input_pattern="none-*.csv")
    with pytest.raises(NoInput), services() as s:
        bench.service(s).run_now(s.session.get_one(Schedule, schedule.id), owner)
    assert runs(schedule) == []


def test_a_disabled_owners_schedules_do_not_run(bench: Bench, make: Any, owner: Actor) -> None:
    schedule = make()
    let_pass(schedule, 0)
    with services() as s:
        s.account_rows.get(owner.account_id).is_disabled = True
    tick(bench)
    (run,) = runs(schedule)
    assert run.error is not None
    assert (run.state, run.error["slug"]) == (RunState.REFUSED, "owner-may-not")


def test_a_pause_is_no_silence(bench: Bench, make: Any, owner: Actor) -> None:
    schedule = make(misfire=Misfire.ALL)
    let_pass(schedule, 30)
    with services() as s:
        paused = bench.service(s).pause(s.session.get_one(Schedule, schedule.id), owner)
        assert bench.service(s).next_due_times(paused) == []
    tick(bench)
    with services() as s:
        resumed = bench.service(s).resume(s.session.get_one(Schedule, schedule.id), owner)
        assert bench.service(s).next_due_times(resumed)[0] == resumed.next_due
    tick(bench)
    assert states(schedule)["missed"] == 0


def test_older_products_go_and_the_history_stays(bench: Bench, make: Any, owner: Actor) -> None:
    schedule = make(keep=2)
    for _ in range(4):
        start_by_hand(bench, schedule, owner)
    with services() as s:
        bench.service(s).fire(schedule.id)
    assert bench.thrown_away == [], "what is not over is left alone"
    end_jobs()
    with services() as s:
        bench.service(s).fire(schedule.id)
    assert len(bench.thrown_away) == 2
    assert len(runs(schedule)) == 4
    assert sum(run.has_product for run in runs(schedule)) == 2


@pytest.mark.parametrize("state", ["queued", "failed", "dead", "cancelled"])
def test_runs_that_made_nothing_take_no_good_ones_place(
    bench: Bench, make: Any, owner: Actor, state: str
) -> None:
    schedule = make(keep=2)
    good = [start_by_hand(bench, schedule, owner) for _ in range(3)]
    end_jobs()
    others = [start_by_hand(bench, schedule, owner) for _ in range(3)]
    finished_at = None if state == "queued" else func.clock_timestamp()
    with services() as s:
        ids = [run.job_id for run in others]
        s.session.execute(update(Job).where(Job.id.in_(ids)).values(state=state, finished_at=finished_at))
    with services() as s:
        bench.service(s).fire(schedule.id)
    kept = {run.id for run in runs(schedule) if run.has_product}
    assert kept == {run.id for run in (*good[1:], *others)}
    assert len(bench.thrown_away) == 1


@pytest.mark.parametrize(
    ("state", "thrown_away"), [("promised", 0), ("waiting", 0), ("sending", 0), ("sent", 1), ("failed", 1)]
)
def test_what_is_yet_to_be_delivered_is_not_thrown_away(
    bench: Bench, make: Any, owner: Actor, state: str, thrown_away: int
) -> None:
    schedule = make(keep=1)
    first, _ = start_by_hand(bench, schedule, owner), start_by_hand(bench, schedule, owner)
    end_jobs()
    with services() as s:
        s.session.add(
            Delivery(
                owner_id=owner.account_id,
                what="job.done",
                channel=Channel.FOLDER,
                address="reports",
                job_id=first.job_id,
                state=state,
            )
        )
    with services() as s:
        bench.service(s).fire(schedule.id)
    assert len(bench.thrown_away) == thrown_away


def test_what_did_not_happen_is_told_to_whoever_is_told_of_the_rest(
    workshop: Workshop, bench: Bench, make: Any, owner: Actor
) -> None:
    with services() as s:
        s.deliveries.renew_secret(owner)
    target = {"channel": Channel.WEBHOOK, "address": "https://hooks.example.org/"}
    schedule = make(notify={"targets": [target], "on": "always"})
    let_pass(schedule, 2)
    tick(bench)
    with services() as s:
        rows = list(s.session.scalars(select(Delivery).order_by(Delivery.id)))
    assert [row.what for row in rows] == ["schedule.missed", "job"]
    assert [run["state"] for run in rows[0].payload["runs"]] == ["missed", "missed"]
    assert rows[1].state == "promised"
    with services() as s:
        assert s.session.get_one(Schedule, schedule.id).missed == 2


@pytest.fixture(autouse=True)
def nothing_left(workshop: Workshop) -> Iterator[None]:
    yield
    with services() as s:
        twins = text("SELECT schedule_id, due_at FROM schedule_run GROUP BY 1, 2 HAVING count(due_at) > 1")
        assert s.session.execute(twins).all() == []

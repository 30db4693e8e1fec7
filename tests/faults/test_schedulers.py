"""Several schedulers, killed at random: what is due happens once, and no job waits for ever or runs twice."""

import random
import signal
import time
from collections import Counter
from functools import partial
from uuid import UUID

from sqlalchemy import text

from src.services import housekeeping
from tests.faults.books import Books, warm_up
from tests.faults.importing import start_import
from tests.live import KINDS, Live, Program, eventually

ROUNDS = 3


def planned(live: Live) -> int:
    return sum(job.kind == housekeeping.KIND for job in live.jobs())


def let_a_day_pass(live: Live) -> None:
    """All that was planned was planned a day earlier than it was."""
    with live.workshop.database.unit_of_work() as session:
        session.execute(
            text("UPDATE job SET created_at = created_at - interval '1 day' WHERE kind = 'housekeeping'")
        )


def replace_schedulers(live: Live, rng: random.Random, running: list[Program]) -> list[Program]:
    """Start three at the same moment, and kill two of them, and all before, at moments of chance."""
    fresh = [live.start_scheduler(wait=False) for _ in range(3)]
    doomed = [*running, *rng.sample(fresh, 2)]
    rng.shuffle(doomed)
    for one in doomed:
        time.sleep(rng.uniform(0.0, 2.0))
        one.kill()
    survivors = [one for one in fresh if one.is_alive]
    for one in survivors:
        live.await_start(one)
    return survivors


def test_21_three_schedulers_are_killed_at_random(
    live: Live, books: Books, rng: random.Random, small: bytes
) -> None:
    live.start_web(wait=False)
    live.start_worker(kinds=KINDS)
    running: list[Program] = []
    jobs: list[UUID] = []
    imports: list[UUID] = []
    live.await_start(live.programs[0])
    for day in range(1, ROUNDS + 1):
        let_a_day_pass(live)
        jobs += [live.workshop.jobs.add(kind="wait").id for _ in range(20)]
        imports.append(start_import(books, live.caller(), day, 300))
        running = replace_schedulers(live, rng, running)
        eventually("the day's work is planned", partial(is_planned, live, day), within=20)
    eventually("all jobs are done", lambda: all(live.job(one).state == "done" for one in jobs), within=90)
    for one in imports:
        live.await_state(one, "done", within=60)
        assert live.job(one).attempts == 1
    assert planned(live) == ROUNDS
    with live.workshop.database.unit_of_work() as session:
        assert Counter(session.scalars(text("SELECT job_id FROM runs"))) == Counter(jobs)
    warm_up(live, books, [small])
    books.check()


def test_a_scheduler_leaves_at_once_when_it_is_told_to(live: Live, books: Books) -> None:
    scheduler = live.start_scheduler()
    scheduler.stop(signal.SIGTERM, within=10)
    assert not live.is_known(scheduler)
    assert live.sessions() == 0


def is_planned(live: Live, days: int) -> bool:
    return planned(live) == days

"""Three schedulers at once, killed at random: each due time of each schedule has one run and one job."""

import random
import time
from collections import Counter
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from src.domain.schedules import Misfire, Overlap
from src.wiring import services
from tests.faults.books import Books, warm_up
from tests.faults.conftest import SMALL
from tests.faults.test_schedulers import replace_schedulers
from tests.live import Live, Program, eventually

SILENCE = 15  # minutes in which nobody was there, and as many due times
ROUNDS = 3
WORK: dict[str, dict[str, Any]] = {
    "profile": {},
    "report": {"rules": [{"output": "twice", "formula": "amount * 2"}]},
}


def a_schedule(live: Live, kind: str, misfire: Misfire, overlap: Overlap) -> UUID:
    """Each with a file of its own: twins of a profile would be one job."""
    owner = live.workshop.files.owner()
    file = live.workshop.files.add(owner, content=SMALL)
    with services() as s:
        made = s.schedules.create(
            owner,
            name=f"{misfire} {overlap}",
            cron="* * * * *",
            timezone="UTC",
            kind=kind,
            work=WORK[kind],
            input_file_id=file.id,
            misfire=misfire,
            overlap=overlap,
            keep=10,
        )
    return made.id


def stay_silent(live: Live) -> None:
    """As if no scheduler had been there for a while; what is due already stays due."""
    with live.workshop.database.unit_of_work() as session:
        session.execute(text("DELETE FROM schedule_run"))
        session.execute(
            text(
                "UPDATE schedule SET next_due = date_trunc('minute', clock_timestamp()) - :ago * interval '1 min'"
            ),
            {"ago": SILENCE},
        )


def runs(live: Live, schedule: UUID) -> list[tuple[object, str, UUID | None]]:
    with live.workshop.database.unit_of_work() as session:
        found = session.execute(
            text("SELECT due_at, state, job_id FROM schedule_run WHERE schedule_id = :id"), {"id": schedule}
        )
        return [(row.due_at, row.state, row.job_id) for row in found]


def is_settled(live: Live, schedules: list[UUID]) -> bool:
    found = [runs(live, schedule) for schedule in schedules]
    return all(rows and not any(state == "waiting" for _, state, _ in rows) for rows in found)


@pytest.mark.parametrize("kind", WORK)
def test_21_each_due_time_once_while_schedulers_are_killed(
    live: Live, books: Books, rng: random.Random, small: bytes, kind: str
) -> None:
    live.start_web(wait=False)
    live.start_worker()
    schedules = {
        (misfire, overlap): a_schedule(live, kind, misfire, overlap)
        for misfire in Misfire
        for overlap in Overlap
    }
    running: list[Program] = []
    for _ in range(ROUNDS):
        for one in running:
            one.kill()
        stay_silent(live)
        running = replace_schedulers(live, rng, [])
        eventually("all is run", partial(is_settled, live, list(schedules.values())), within=120)
        time.sleep(1)
        for (misfire, _), schedule in schedules.items():
            check(misfire, runs(live, schedule))
    warm_up(live, books, [small])
    books.check()


def check(misfire: Misfire, found: list[tuple[object, str, UUID | None]]) -> None:
    due = [due_at for due_at, _, _ in found]
    assert len(due) == len(set(due)) >= SILENCE + 1, "each due time has one line"
    states = Counter(state for _, state, _ in found)
    jobs = [job_id for _, state, job_id in found if state == "started"]
    assert len(jobs) == len(set(jobs)), "each run has a job of its own"
    late = len(due) - SILENCE - 1  # minutes that began meanwhile
    print(f"{misfire}: {len(due)} due times, {dict(states)}")
    if misfire is Misfire.ALL:
        assert states["missed"] == 0
        assert states["started"] + states["skipped"] == len(due)
        assert states["skipped"] <= late
    else:
        assert states["missed"] >= SILENCE
        assert states["started"] <= 1 + late

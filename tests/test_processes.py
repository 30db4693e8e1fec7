"""The pulse: workers and schedulers that live are seen, and those that leave are not."""

import time

from sqlalchemy import text

from src.processes import Pulse
from src.wiring import services
from tests.committing import Workshop, own_settings, workshop

__all__ = ["own_settings", "workshop"]


def alive(kind: str) -> int:
    with services() as s:
        return s.process_rows.alive(kind)


def await_alive(kind: str, count: int) -> None:
    deadline = time.monotonic() + 10
    while alive(kind) != count:
        assert time.monotonic() < deadline, f"{alive(kind)} of {kind} are alive, not {count}"
        time.sleep(0.02)


def test_who_has_a_pulse_is_alive_until_it_leaves(workshop: Workshop) -> None:
    first, second = Pulse("worker", workshop.settings), Pulse("worker", workshop.settings)
    first.start()
    second.start()
    await_alive("worker", 2)
    assert alive("scheduler") == 0
    first.stop()
    assert alive("worker") == 1
    second.stop()
    assert alive("worker") == 0


def test_who_gave_no_sign_for_a_while_counts_no_longer(workshop: Workshop) -> None:
    insert = """INSERT INTO process (id, kind, host, pid, seen_at)
        VALUES (gen_random_uuid(), 'worker', 'h', 1, clock_timestamp() - interval '31 s')"""
    with workshop.database.unit_of_work() as session:
        session.execute(text(insert))
    assert alive("worker") == 0


def test_a_database_that_is_away_ends_neither_the_pulse_nor_its_farewell(workshop: Workshop) -> None:
    with workshop.another_database().unit_of_work() as other:
        other.execute(text("LOCK TABLE process"))
        pulse = Pulse("worker", workshop.settings)
        pulse.start()
        pulse.stop()
    assert alive("worker") == 0

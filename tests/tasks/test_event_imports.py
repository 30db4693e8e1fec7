"""Events out of files: appended in order beside live ones, each line settled once, final."""

import random
from typing import Any
from uuid import UUID

import pytest

from src.domain.jobs import JobState
from src.repositories.event_imports import EventImportRepository, SettledElsewhere
from src.services import event_imports
from src.services.imports import ImportIsFinal
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import adapters, services
from tests.committing import Workshop
from tests.factories.clients import a_client
from tests.factories.events import alerts, an_event, append, stored
from tests.factories.imports import Imports, codes, counts, job_of

HEAD = "type,amount,user_id,t\n"
FILE = HEAD + "deposit,50.00,1,10\nwithdraw,101,2,11\ndeposit,70,1,20\nDEPOSIT,90,1,40\n"


@pytest.fixture
def imports(workshop: Workshop) -> Imports:
    for number in ("1", "2"):
        a_client(number)
    return Imports(workshop.app)


def rows() -> list[tuple[str, int, str, str]]:
    with services() as s:
        return stored(s.session)


def raised() -> list[tuple[str, int, int, list[int]]]:
    with services() as s:
        return alerts(s.session)


def test_the_events_of_a_file_are_stored_in_its_order_with_their_alerts(imports: Imports) -> None:
    done = imports.load("events", FILE)
    assert counts(done) == {"rows_read": 4, "inserted": 4}
    assert rows() == [
        ("1", 10, "deposit", "50.00"),
        ("2", 11, "withdraw", "101.00"),
        ("1", 20, "deposit", "70.00"),
        ("1", 40, "deposit", "90.00"),
    ]
    assert raised() == [("2", 11, 1100, [11]), ("1", 40, 123, [10, 20, 40]), ("1", 40, 300, [10, 20, 40])]


def test_what_cannot_be_stored_comes_back_with_its_reason(imports: Imports) -> None:
    append(an_event(t=5))
    lines = [
        "deposit,1,1,5",  # there
        "deposit,1,1,4",  # below
        "deposit,1,nobody,6",
        "deposit,0,1,7",
        "deposit,1.0001,1,7",
        "transfer,1,1,7",
        "deposit,1,1,-1",
        f"deposit,1,1,{2**63}",
        "deposit,1,1,7.5",
        "deposit,1,1,8",
        "deposit,1,1,8",
        f"deposit,1,1,{2**63 - 1}",
    ]
    done = imports.load("events", HEAD + "\n".join(lines))
    assert counts(done) == {"rows_read": 12, "inserted": 2, "rejected": 10}
    assert codes(imports.rejects(done)) == [
        (2, "t", "not_rising"),
        (3, "t", "not_rising"),
        (4, "user_id", "unknown_client"),
        (5, "amount", "out_of_range"),
        (6, "amount", "too_many_decimals"),
        (7, "type", "unknown_choice"),
        (8, "t", "out_of_range"),
        (9, "t", "out_of_range"),
        (10, "t", "too_many_decimals"),
        (12, "t", "not_rising"),
    ]
    assert [t for _, t, _, _ in rows()] == [5, 8, 2**63 - 1]


@pytest.mark.parametrize("ordering", ["global", "per_client"])
def test_a_dry_run_says_what_would_be_stored_and_stores_nothing(
    workshop: Workshop, imports: Imports, ordering: str
) -> None:
    adapters().intake.memory.ordering = adapters().intake.memory.ordering.__class__(ordering)
    append(an_event(user_id=1, t=10))
    content = HEAD + "deposit,1,2,10\ndeposit,1,1,11\ndeposit,1,1,11\ndeposit,1,x,12\ndeposit,1,2,9\n"
    rehearsed = imports.load("events", content, is_dry_run=True)
    assert [t for _, t, _, _ in rows()] == [10]
    done = imports.load("events", content)
    assert counts(done) == counts(rehearsed)
    assert codes(imports.rejects(done)) == codes(imports.rejects(rehearsed))
    assert len(rows()) == 1 + done.inserted == (2 if ordering == "global" else 3)


def test_a_limit_of_errors_is_asked_before_the_first_line_is_stored(imports: Imports) -> None:
    content = FILE + "deposit,1,1,40\n"
    refused = imports.load("events", content, on_error="reject_file")
    assert (job_of(refused).state, rows()) == (JobState.FAILED, [])
    assert codes(imports.rejects(refused)) == [(6, "t", "not_rising")]
    allowed = imports.load("events", content, max_errors=1)
    assert counts(allowed) == {"rows_read": 5, "inserted": 4, "rejected": 1}


def test_what_is_imported_is_final(imports: Imports) -> None:
    done = imports.load("events", FILE)
    with pytest.raises(ImportIsFinal):
        imports.undo(done)
    with services() as s, pytest.raises(ImportIsFinal):
        s.corrections.start(done, None, None, {}, imports.owner)


def test_live_events_go_on_meanwhile_and_what_they_overtake_is_refused(
    imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_imports, "CHUNK", 1)
    settle = EventImportRepository.settle

    def and_a_live_event(self: Any, import_id: UUID, lines: tuple[int, int], *rest: Any) -> None:
        settle(self, import_id, lines, *rest)
        if lines[1] == 3:
            self.session.info.setdefault("after_commit", []).append(lambda: append(an_event(t=30)))

    monkeypatch.setattr(EventImportRepository, "settle", and_a_live_event)
    done = imports.load("events", FILE)
    assert codes(imports.rejects(done)) == [(4, "t", "not_rising")]
    assert [t for _, t, _, _ in rows()] == [10, 11, 30, 40]


@pytest.mark.parametrize("line", [1, 5, 6])
def test_a_crash_after_any_line_loses_nothing_and_doubles_nothing(
    imports: Imports, monkeypatch: pytest.MonkeyPatch, line: int
) -> None:
    monkeypatch.setattr(event_imports, "CHUNK", 1)
    content = FILE + "deposit,1,1,40\ndeposit,1,2,41\n"
    settle = EventImportRepository.settle

    def and_die(self: Any, import_id: UUID, lines: tuple[int, int], *rest: Any) -> None:
        settle(self, import_id, lines, *rest)
        if lines[1] == line + 1:
            monkeypatch.setattr(EventImportRepository, "settle", settle)
            self.session.info.setdefault("after_commit", []).append(die)

    monkeypatch.setattr(EventImportRepository, "settle", and_die)
    started = imports.start("events", content)
    with pytest.raises(KeyboardInterrupt):
        run_job(started.job_id, HANDLERS)
    assert len(rows()) == [1, 2, 3, 4, 4, 5][line - 1]
    with services() as s:  # the lease runs out
        s.session.connection().exec_driver_sql("UPDATE job SET lease_until = now() - interval '1 s'")
    done = imports.run(started)
    assert counts(done) == {"rows_read": 6, "inserted": 5, "rejected": 1}
    assert codes(imports.rejects(done)) == [(6, "t", "not_rising")]
    assert [t for _, t, _, _ in rows()] == [10, 11, 20, 40, 41]
    assert len(raised()) == 3


def test_where_lines_take_long_fewer_are_settled_at_once_and_later_more_again() -> None:
    assert [event_imports.next_size(size, 5.0) for size in (1_000, 125, 1)] == [500, 62, 1]
    assert [event_imports.next_size(size, 0.1) for size in (1, 400, 600)] == [2, 800, 1_000]


def die() -> None:
    raise KeyboardInterrupt


def test_two_workers_do_not_settle_the_same_lines(imports: Imports) -> None:
    done = imports.load("events", FILE)
    with pytest.raises(SettledElsewhere), services() as s:
        EventImportRepository(s.session).settle(done.id, (1, 5), 4, [])


def test_a_file_raises_the_alerts_that_single_events_and_batches_would(
    workshop: Workshop, imports: Imports
) -> None:
    chance = random.Random(7)
    events = [
        (chance.choice(["deposit", "withdraw"]), chance.choice(["50.00", "100.00", "100.01", "150.00"]))
        for _ in range(300)
    ]
    lines = [(type_, amount, str(1 + t % 2), t * 7) for t, (type_, amount) in enumerate(events)]
    imports.load("events", HEAD + "\n".join(f"{type_},{amount},{who},{t}" for type_, amount, who, t in lines))
    by_file = raised()
    with services() as s:
        s.session.connection().exec_driver_sql("TRUNCATE event, alert, event_high_water CASCADE")
    for line in lines[:100]:
        append(an_event(*line))
    append(*(an_event(*line) for line in lines[100:]))
    assert raised() == by_file
    assert len(by_file) > 50

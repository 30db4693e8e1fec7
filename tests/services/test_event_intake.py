"""Many write events at once, from several processes: one order, nothing lost, alerts as if one by one."""

import random
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from src.app import check_event_order
from src.config import SettingsError
from src.database import Database, DatabaseUnavailable, Limits, make_engine
from src.domain.errors import DomainError
from src.domain.event_batches import Accepted
from src.domain.events import (
    LAST_T,
    DuplicateTimestamp,
    EventIdReused,
    NewEvent,
    OrderIsFixed,
    TimestampInTheFuture,
    TimestampNotRising,
    UnknownClient,
)
from src.services import event_intake
from src.services.event_intake import EventIntake, Sent
from src.services.events import Ahead, EventMemory, EventService, Overtaken, judge_ahead
from src.statements import Call, NoLongerSo, Reading
from src.wiring import EXTENSION
from tests.committing import Workshop
from tests.domain.alerts.making import SHIPPED
from tests.domain.alerts.model import Past, causes, cents
from tests.factories.clients import a_client
from tests.factories.events import alerts, an_event, stored
from tests.leftovers import wait_until
from tests.proxy import Proxy, socket_of, through

ORDERINGS = ["global", "per_client"]
CLIENTS = 3


@pytest.fixture
def clients(workshop: Workshop) -> list[str]:
    return [a_client(str(number)).external_id for number in range(1, CLIENTS + 1)]


def process(workshop: Workshop, ordering: str, **changes: Any) -> EventIntake:
    """The intake of another process."""
    settings = replace(workshop.settings, event_ordering=ordering, **changes)
    return EventIntake(workshop.another_database(), EventMemory.of(settings))


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_of_many_writers_each_accepted_event_is_there_once_and_alerts_are_those_of_one_by_one(
    workshop: Workshop, clients: list[str], ordering: str
) -> None:
    intakes = [process(workshop, ordering) for _ in range(3)]
    times = iter(range(10**6))  # drawn by all: what is behind when it arrives is refused

    def write(number: int) -> list[Any]:
        chance, outcomes = random.Random(number), []
        for _ in range(25):
            event = an_event(
                chance.choice(["deposit", "withdraw"]),
                str(chance.choice([50, 100, 101, 150])),
                chance.choice(clients),
                next(times),
            )
            outcomes += [(event, outcome) for outcome in intakes[number % 3].append([event])]
        return outcomes

    outcomes = [pair for one in workshop.together(write, 9) for pair in one]
    accepted = {(event.client, event.t): one for event, one in outcomes if isinstance(one, Accepted)}
    refused = [one for _, one in outcomes if isinstance(one, DomainError)]
    assert {type(one) for one in refused} <= {TimestampNotRising}
    with workshop.database.unit_of_work() as session:
        rows, raised = stored(session), alerts(session)
    assert sorted((client, t) for client, t, _, _ in rows) == sorted(accepted)
    assert len(rows) > 50
    answered = {(c, t, hit.rule.code) for (c, t), one in accepted.items() for hit in one.hits}
    assert {(client, t, code) for client, t, code, _ in raised} == answered
    assert len(raised) == len(answered) == len(expected(rows))
    assert answered == expected(rows)


def expected(rows: list[tuple[str, int, str, str]]) -> set[tuple[str, int, int]]:
    """The alerts of the rules that ship, over what is in the table, by the naive model."""
    found = set()
    for client in {row[0] for row in rows}:
        past: list[Past] = []
        for _, t, type_, amount in (row for row in rows if row[0] == client):
            past.append(Past(t, t, type_, cents(amount)))
            found |= {(client, t, rule["code"]) for rule in SHIPPED if causes(rule, past)}
    return found


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_of_equal_times_exactly_one_is_stored_and_the_others_are_duplicates(
    workshop: Workshop, clients: list[str], ordering: str
) -> None:
    intakes = [process(workshop, ordering) for _ in range(4)]

    def write(number: int) -> Any:
        return intakes[number % 4].append([an_event("deposit", "1", clients[0], 10)])[0]

    outcomes = workshop.together(write, 8)
    assert sum(isinstance(one, Accepted) for one in outcomes) == 1
    assert sum(isinstance(one, DuplicateTimestamp) for one in outcomes) == 7


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_one_event_id_sent_by_many_at_once_is_one_event_with_one_answer(
    workshop: Workshop, clients: list[str], ordering: str
) -> None:
    intakes = [process(workshop, ordering) for _ in range(4)]

    def write(number: int) -> Any:
        return intakes[number % 4].append([an_event("withdraw", "101", clients[0], 10, event_id="e")])[0]

    assert {one.answer for one in workshop.together(write, 8)} == {
        '{"alert":true,"alert_codes":[1100],"user_id":"1"}'
    }


def test_in_the_order_of_each_client_times_may_be_equal_between_clients(
    workshop: Workshop, clients: list[str]
) -> None:
    intake = process(workshop, "per_client")
    first = intake.append([an_event("deposit", "1", client, 10) for client in clients])
    assert all(isinstance(one, Accepted) for one in first)
    again = intake.append([an_event("deposit", "1", clients[0], t) for t in (10, 9, 11)])
    assert [type(one) for one in again] == [DuplicateTimestamp, TimestampNotRising, Accepted]


def test_who_reads_behind_the_latest_event_never_finds_an_earlier_one_later(
    workshop: Workshop, clients: list[str]
) -> None:
    intakes = [process(workshop, "global") for _ in range(3)]
    times = iter(range(10**6))
    seen: list[int] = []
    is_over: list[bool] = []

    def write(number: int) -> None:
        for _ in range(40):
            intakes[number].append([an_event("deposit", "1", clients[number], next(times))])

    def tail() -> None:
        while True:
            stop = bool(is_over)
            with reader.unit_of_work() as session:
                statement = text("SELECT t FROM event WHERE t > :t ORDER BY t")
                seen.extend(session.scalars(statement, {"t": seen[-1] if seen else -1}))
            if stop:
                return

    reader = workshop.another_database()
    tailing = workshop.in_thread(tail)
    workshop.together(write, 3)
    is_over.append(True)
    tailing.result(timeout=30)
    with workshop.database.unit_of_work() as session:
        assert seen == [t for _, t, _, _ in stored(session)]


def test_who_is_overtaken_stores_nothing_and_judges_again(workshop: Workshop, clients: list[str]) -> None:
    slow, quick = process(workshop, "global"), process(workshop, "global")
    slow.append([an_event("withdraw", "1", clients[0], 1)])
    with pytest.raises(Overtaken), slow.database.transaction() as transaction:
        service = EventService(transaction, slow.memory)
        read = service.log.read

        def read_and_be_overtaken(*values: Any) -> Any:  # between two statements
            snapshot = read(*values)
            quick.append([an_event("withdraw", "1", clients[0], 2)])
            return snapshot

        service.log.read = read_and_be_overtaken  # type: ignore[method-assign, assignment]  # for a moment
        service.append([an_event("withdraw", "1", clients[0], 3)])
    with workshop.database.unit_of_work() as session:
        assert [t for _, t, _, _ in stored(session)] == [1, 2]
    assert [one.hits[0].rule.code for one in slow.append([an_event("withdraw", "1", clients[0], 3)])] == [30]


def behind(proxy: Proxy, workshop: Workshop) -> EventIntake:
    """An intake that reaches its database through the proxy, and has a connection already."""
    engine = make_engine(through(proxy, workshop.settings.database_url), Limits("t"))
    intake = EventIntake(Database(engine), EventMemory.of(workshop.settings))
    intake.append([an_event("withdraw", "1", "1", 1)])
    return intake


@pytest.mark.parametrize("how", ["before", "after", "between", "unnoticed"])
@pytest.mark.parametrize(("is_alone", "word"), [(False, b"COMMIT\0"), (True, b"7.77")])
def test_when_the_commit_s_answer_is_lost_it_is_found_out_whether_the_event_is_stored(
    workshop: Workshop, clients: list[str], is_alone: bool, word: bytes, how: str
) -> None:
    """Of one that was read for first, and of one that was written at once."""
    with Proxy(socket_of(workshop.settings.database_url)) as proxy:
        intake = behind(proxy, workshop)
        intake.memory.is_alone = is_alone
        proxy.cut_at(word, how)
        (found,) = intake.append([an_event("withdraw", "7.77", clients[0], 2)])
        assert proxy.has_cut
        assert isinstance(found, Accepted)
        intake.database.bind.engine.dispose()
    with workshop.database.unit_of_work() as session:
        assert [t for _, t, _, _ in stored(session)] == [1, 2]


def test_an_event_written_at_once_whose_stream_was_elsewhere_is_not_taken_for_stored_when_the_answer_is_lost(
    workshop: Workshop, clients: list[str]
) -> None:
    with Proxy(socket_of(workshop.settings.database_url)) as proxy:
        slow = behind(proxy, workshop)
        process(workshop, "global").append([an_event("withdraw", "1", clients[0], 2)])
        proxy.cut_at(b"7.77", "after")
        assert isinstance(slow.append([an_event("deposit", "7.77", clients[0], 3)])[0], Accepted)
        assert proxy.has_cut
        slow.database.bind.engine.dispose()
    with workshop.database.unit_of_work() as session:
        assert [t for _, t, _, _ in stored(session)] == [1, 2, 3]


@pytest.mark.parametrize("is_overtaken", [False, True])
def test_who_comes_while_many_are_written_is_judged_by_them_and_anew_if_they_are_not_stored(
    workshop: Workshop, clients: list[str], monkeypatch: pytest.MonkeyPatch, is_overtaken: bool
) -> None:
    monkeypatch.setattr(event_intake, "MANY", 2)
    intake, quick = (process(workshop, "global") for _ in range(2))
    intake.append([an_event("withdraw", "1", clients[0], 1)])
    following: list[Future[Any]] = []
    write_ahead = EventService.write_ahead

    def write_while_others_come(service: EventService, ahead: Ahead) -> bool:
        if service.memory is intake.memory and not following:
            following.append(
                workshop.in_thread(lambda: intake.append([an_event("withdraw", "1", clients[0], 9)]))
            )
            assert wait_until(lambda: judged == [2, 1])
            if is_overtaken:
                quick.append([an_event("withdraw", "1", clients[0], 2)])
        return write_ahead(service, ahead)

    judged: list[int] = []

    def judge(memory: EventMemory, events: Sequence[NewEvent], known: Any) -> Ahead | None:
        found = judge_ahead(memory, events, known)
        judged.append(len(found.outcomes) if found else 0)
        return found

    monkeypatch.setattr(EventService, "write_ahead", write_while_others_come)
    monkeypatch.setattr(event_intake, "judge_ahead", judge)
    both = intake.append([an_event("withdraw", "1", clients[0], t) for t in (5, 6)])
    outcomes = [*both, *following[0].result(timeout=30)]
    times = [1, 2, 5, 6, 9] if is_overtaken else [1, 5, 6, 9]
    with workshop.database.unit_of_work() as session:
        assert [t for _, t, _, _ in stored(session)] == times
        assert [(t, causes) for _, t, _, causes in alerts(session)] == [
            (times[place], times[place - 2 : place + 1]) for place in range(2, len(times))
        ]
    assert [[hit.rule.code for hit in one.hits] for one in outcomes] == [
        [30] if is_overtaken else [],
        [30],
        [30],
    ]


def test_an_event_of_a_client_who_is_known_is_judged_and_stored_in_one_round_trip(
    workshop: Workshop, clients: list[str]
) -> None:
    with Proxy(socket_of(workshop.settings.database_url)) as proxy:
        intake = behind(proxy, workshop)
        proxy.cut_at(b"BEGIN\0", "before")
        for times, codes in (([2], [[]]), ([4, 5, 6], [[30], [30], [30]])):
            found = intake.append([an_event("withdraw", "1", clients[0], t) for t in times])
            assert [[hit.rule.code for hit in one.hits] for one in found] == codes
        has_begun = [proxy.has_cut]
        with pytest.raises(DatabaseUnavailable):  # of another, it has to read first
            intake.append([an_event("withdraw", "1", clients[1], 9)])
        assert [*has_begun, proxy.has_cut] == [False, True]
        intake.database.bind.engine.dispose()
    with workshop.database.unit_of_work() as session:
        assert [t for _, t, _, _ in stored(session)] == [1, 2, 4, 5, 6]


@pytest.mark.parametrize("ordering", ORDERINGS)
@pytest.mark.parametrize(
    ("change", "event", "outcome"),
    [
        ("UPDATE client SET deleted_at = now() WHERE external_id = '1'", {}, UnknownClient),
        ("UPDATE alert_rule_revision SET revision = revision + 1", {}, Accepted),
        ("UPDATE event_high_water SET t = 6", {"t": 6}, TimestampNotRising),
        ("SELECT 1", {"t": 1}, DuplicateTimestamp),
        ("SELECT 1", {"event_id": "first"}, EventIdReused),
        ("SELECT 1", {"t": 10**11}, TimestampInTheFuture),
        ("SELECT 1", {"t": LAST_T}, TimestampInTheFuture),
        ("SELECT 1", {"client": "nobody"}, UnknownClient),
    ],
)
def test_what_a_process_goes_by_is_looked_at_again_with_the_writing(
    workshop: Workshop, clients: list[str], ordering: str, change: str, event: Any, outcome: Any
) -> None:
    intake = process(workshop, ordering, event_max_ahead_seconds=60)
    intake.append([an_event("withdraw", "1", clients[0], 1, event_id="first")])
    with workshop.database.unit_of_work() as session:
        session.execute(text(change))
    (found,) = intake.append([replace(an_event("withdraw", "1", clients[0], 5), **event)])
    assert isinstance(found, outcome)
    with workshop.database.unit_of_work() as session:
        assert len(stored(session)) == 1 + isinstance(found, Accepted)


def test_an_overtaken_event_is_not_taken_for_stored_when_the_commit_s_answer_is_lost(
    workshop: Workshop, clients: list[str]
) -> None:
    quick = process(workshop, "global")
    with Proxy(socket_of(workshop.settings.database_url)) as proxy:
        slow = behind(proxy, workshop)
        with pytest.raises(Overtaken), slow.database.transaction() as transaction:
            service = EventService(transaction, slow.memory)
            read = service.log.read

            def read_and_be_overtaken(*values: Any) -> Any:
                snapshot = read(*values)
                quick.append([an_event("withdraw", "1", clients[0], 2)])
                return snapshot

            service.log.read = read_and_be_overtaken  # type: ignore[method-assign, assignment]  # for a moment
            proxy.cut_at(b"COMMIT\0", "after")
            service.append([an_event("withdraw", "1", clients[0], 3)])
        assert proxy.has_cut
        slow.database.bind.engine.dispose()
    with workshop.database.unit_of_work() as session:
        assert [t for _, t, _, _ in stored(session)] == [1, 2]


def test_of_senders_in_one_transaction_only_who_is_no_longer_who_he_was_is_refused(
    workshop: Workshop, clients: list[str]
) -> None:
    intake = process(workshop, "per_client")
    true, false = (Reading(Call("SELECT $1::int", (n,)), ((b"1",),)) for n in (1, 2))

    def write(number: int) -> Any:
        event = an_event("deposit", "1", clients[number % CLIENTS], number)
        found = intake.append_each([Sent([event], false if number % 2 else true)])[0]
        return found if isinstance(found, NoLongerSo) else found[0]

    outcomes = workshop.together(write, 12)
    assert [type(one) for one in outcomes[1::2]] == [NoLongerSo] * 6
    assert {type(one) for one in outcomes[::2]} <= {Accepted, TimestampNotRising}
    with workshop.database.unit_of_work() as session:
        assert len(stored(session)) == sum(isinstance(one, Accepted) for one in outcomes) > 0


def test_what_several_sent_at_once_is_settled_for_each_by_itself(
    workshop: Workshop, clients: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it does not go into one transaction, and others write beside."""
    monkeypatch.setattr(event_intake, "MOST_AT_ONCE", 3)
    intake = process(workshop, "per_client")
    true, false = (Reading(Call("SELECT $1::int", (n,)), ((b"1",),)) for n in (1, 2))

    def write(number: int) -> list[Any]:
        sent = [
            Sent([an_event("deposit", "1", clients[n % CLIENTS], 10 * n + number)], false if n == 3 else true)
            for n in range(8)
        ]
        assert intake.append_each([]) == []
        return intake.append_each(sent)

    both = workshop.together(write, 2)
    for found in both:
        assert isinstance(found[3], NoLongerSo)
        assert all(type(one[0]) in (Accepted, TimestampNotRising) for n, one in enumerate(found) if n != 3)
    kept = sum(isinstance(one[0], Accepted) for found in both for n, one in enumerate(found) if n != 3)
    with workshop.database.unit_of_work() as session:
        assert len(stored(session)) == kept >= 7


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_what_a_process_knows_of_a_client_ends_when_another_writes_to_him(
    workshop: Workshop, clients: list[str], ordering: str
) -> None:
    intakes = [process(workshop, ordering) for _ in range(2)]
    codes = []
    for t, writer in enumerate([0, 0, 1, 0, 1, 1, 0]):
        type_ = "deposit" if t == 3 else "withdraw"
        (outcome,) = intakes[writer].append([an_event(type_, "1", clients[0], t)])
        codes.append([hit.rule.code for hit in outcome.hits])
        intakes[1 - writer].append(
            [an_event("deposit", "1", clients[1], 10 * t if ordering != "global" else 0)]
        )
    assert codes == [[], [], [30], [], [], [], [30]]


def test_what_a_process_knows_of_a_client_ends_with_the_client(
    workshop: Workshop, clients: list[str]
) -> None:
    intake = process(workshop, "per_client")
    intake.append([an_event("withdraw", "1", clients[0], t) for t in (1, 2)])
    with workshop.database.unit_of_work() as session:
        session.execute(text("UPDATE client SET deleted_at = now() WHERE external_id = '1'"))
    assert isinstance(intake.append([an_event("withdraw", "1", clients[0], 3)])[0], UnknownClient)
    with workshop.database.unit_of_work() as session:
        session.execute(text("UPDATE client SET external_id = 'old' WHERE external_id = '1'"))
    a_client("1")
    assert intake.append([an_event("withdraw", "1", clients[0], 1)])[0].hits == []


def test_the_first_event_fixes_the_order_and_the_unit(workshop: Workshop, clients: list[str]) -> None:
    process(workshop, "per_client").append([an_event("deposit", "1", clients[0], 1)])
    for other in (process(workshop, "global"), process(workshop, "per_client", event_time_unit="ms")):
        with pytest.raises(OrderIsFixed, match="EVENT_ORDERING=per_client, with EVENT_TIME_UNIT=s"):
            other.append([an_event("deposit", "1", clients[0], 2)])
    with workshop.database.unit_of_work() as session:
        assert len(stored(session)) == 1
    for ordering, fits in (("per_client", True), ("global", False)):
        settings = replace(workshop.settings, event_ordering=ordering)
        workshop.app.extensions[EXTENSION] = replace(workshop.adapters, settings=settings)
        with nullcontext() if fits else pytest.raises(SettingsError, match="EVENT_ORDERING=per_client"):
            check_event_order()

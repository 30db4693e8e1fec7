"""Events while the database, its sessions, its answers, web processes or clocks fail: none is lost, all in order."""

import os
import random
import signal
import time
from contextlib import suppress

import pytest
from sqlalchemy import text

from src.database import DatabaseUnavailable
from tests.faults.books import Books
from tests.faults.eventing import EventBooks
from tests.faults.servers import OwnServer, own_settings, server
from tests.faults.test_clock import log_in, off_by
from tests.live import Caller, Live, eventually, free_port
from tests.proxy import Proxy, socket_of, through

__all__ = ["own_settings", "server"]
ROUNDS = 3
END_SESSIONS = text("""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'indicators-web' AND datname = current_database()""")


def test_11_postgresql_crashes_while_events_come(
    server: OwnServer, live: Live, books: Books, events: EventBooks, rng: random.Random
) -> None:
    live.start_web(web_processes=2)
    with events.coming([live.caller()], rng):
        for _ in range(ROUNDS):
            events.more_come()
            time.sleep(rng.random())
            server.crash_for_a_while()
            time.sleep(rng.uniform(0.5, 3))
            server.come_back()
        events.more_come()
    events.check()
    books.check_answers()


def test_12_sessions_are_ended_at_random_while_events_come(
    live: Live, books: Books, events: EventBooks, rng: random.Random
) -> None:
    live.start_web(web_processes=2)
    ended = 0
    with events.coming([live.caller()], rng):
        for _ in range(10 * ROUNDS):
            time.sleep(rng.uniform(0, 0.5))
            with suppress(DatabaseUnavailable), live.workshop.database.unit_of_work() as session:
                ended += len(session.execute(END_SESSIONS).all())
        events.more_come()
    print(f"{ended} sessions were ended")
    events.check()
    books.check()


@pytest.mark.parametrize("how", ["before", "after", "between", "unnoticed"])
@pytest.mark.parametrize("word", [b"COMMIT\0", b"\0\0\0\x07deposit"], ids=["commit", "writing"])
def test_13_the_connection_is_cut_at_commits_while_events_come(
    live: Live, books: Books, events: EventBooks, rng: random.Random, word: bytes, how: str
) -> None:
    with Proxy(socket_of(live.workshop.settings.database_url)) as proxy:
        live.start_web(database_url=through(proxy, live.workshop.settings.database_url))
        caller = live.caller()
        with events.coming([caller], rng):
            for _ in range(ROUNDS if how != "unnoticed" else 1):
                events.more_come()
                proxy.cut_at(word, how)
                eventually("it is cut", lambda: proxy.has_cut, within=30)
            events.more_come()
    events.check()
    books.check_answers()


@pytest.mark.parametrize("offset", [3600, -3600])
def test_20_one_of_two_clocks_is_an_hour_off_while_events_come(
    live: Live, books: Books, events: EventBooks, rng: random.Random, offset: int
) -> None:
    callers: list[Caller] = []
    for settings in ({}, off_by(offset)):
        live.port = free_port()
        live.start_web(**settings)
        callers.append(log_in(live))
    with events.coming(callers, rng):
        events.more_come()
        events.more_come()
    events.check()
    books.check_answers()


def test_23_web_processes_are_killed_while_events_come(
    live: Live, books: Books, events: EventBooks, rng: random.Random
) -> None:
    web = live.start_web(web_processes=2)
    with events.coming([live.caller()], rng):
        for _ in range(2 * ROUNDS):
            time.sleep(rng.uniform(0.5, 1.5))
            os.kill(rng.choice(web.children()), signal.SIGKILL)
            events.more_come()
    events.check()
    books.check_answers()

"""Events while Redis, connections, locks, the disk, the way or a web process fail them: none is lost, all in order."""

import os
import random

import pytest
from sqlalchemy import text

from tests.faults.books import Books
from tests.faults.edge import NGINX, start_edge
from tests.faults.eventing import EventBooks
from tests.faults.servers import OwnServer, SmallDisk, disk, own_settings, server_on_small_disk
from tests.faults.test_database import administer
from tests.faults.test_edge import await_web
from tests.faults.test_events import END_SESSIONS
from tests.live import Live, eventually, free_port
from tests.proxy import Distance, Proxy, socket_of, through

__all__ = ["disk", "own_settings", "server_on_small_disk"]
ROOM = 64 * 1024  # a few pages of a table


def await_refusal(live: Live) -> None:
    """Return when whoever sends was told to come back, from now on."""
    before = len(live.answers)
    eventually("a 503", lambda: 503 in {one.status for one in live.answers[before:]}, within=60)


@pytest.mark.parametrize("fault", ["7 killed", "8 full", "9 silent"])
def test_7_8_9_redis_is_killed_full_or_silent_while_events_come(
    live: Live, books: Books, events: EventBooks, rng: random.Random, fault: str
) -> None:
    with Proxy(("127.0.0.1", live.redis.port)) as proxy:
        live.redis_url = f"redis://127.0.0.1:{proxy.port}/0"
        live.start_web()
        with events.coming([live.caller()], rng):
            events.more_come()
            if fault == "7 killed":
                live.redis.kill()
            elif fault == "8 full":
                live.redis.client.config_set("maxmemory", "1")
            else:
                proxy.silence()
            events.more_come()
            if fault == "7 killed":
                live.redis.start()
            elif fault == "8 full":
                live.redis.client.config_set("maxmemory", "0")
            else:
                proxy.resume()
            events.more_come()
        events.check()
    assert {answer.status for answer in live.answers} <= {200, 400}


def test_14_postgresql_is_far_away_and_loses_packets_while_events_come(
    live: Live, books: Books, events: EventBooks, rng: random.Random
) -> None:
    with Proxy(socket_of(live.workshop.settings.database_url)) as proxy:
        live.start_web(database_url=through(proxy, live.workshop.settings.database_url))
        with events.coming([live.caller()], rng):
            events.more_come()
            proxy.distance = Distance(0.2, 0.01, rng)
            proxy.cut_all()  # what is connected from now on is far away
            events.more_come()
            proxy.distance = None
            proxy.cut_all()
            events.more_come()
        slowest = max(live.answers, key=lambda answer: answer.seconds)
        print(f"the slowest of {len(live.answers)} answers took {slowest.seconds:.1f} s")
        events.check()
    books.check_answers()


def test_15_the_server_is_out_of_connections_while_events_come(
    live: Live, books: Books, events: EventBooks, rng: random.Random
) -> None:
    live.start_web(web_processes=2)
    with events.coming([live.caller()], rng):
        events.more_come()
        administer(live, 'ALTER DATABASE "{name}" CONNECTION LIMIT 1')
        with live.workshop.database.unit_of_work() as session:
            session.execute(END_SESSIONS)
        await_refusal(live)
        administer(live, 'ALTER DATABASE "{name}" CONNECTION LIMIT -1')
        events.more_come()
    events.check()
    books.check()


def test_16_someone_else_holds_a_lock_that_events_need(
    live: Live, books: Books, events: EventBooks, rng: random.Random
) -> None:
    live.start_web(web_processes=2)
    with events.coming([live.caller()], rng):
        events.more_come()
        with live.workshop.another_database().unit_of_work() as other:
            other.execute(text("LOCK TABLE event IN SHARE MODE"))
            await_refusal(live)
        events.more_come()
    events.check()
    books.check()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk on Linux")
def test_18_postgresql_s_disk_is_full_while_events_come(
    disk: SmallDisk,
    server_on_small_disk: OwnServer,
    live: Live,
    books: Books,
    events: EventBooks,
    rng: random.Random,
) -> None:
    live.start_web(web_processes=2)
    with events.coming([live.caller()], rng):
        events.more_come()
        disk.fill(but=ROOM)
        await_refusal(live)
        disk.free()
        server_on_small_disk.await_ready()
        events.more_come()
    events.check()
    books.check_answers()


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed on this Linux (apt install nginx)")
def test_26_web_processes_are_replaced_one_after_the_other_while_events_come(
    live: Live, books: Books, events: EventBooks, rng: random.Random
) -> None:
    ports = [free_port(), free_port()]
    webs = [live.start_web(wait=False, port=port) for port in ports]
    for port in ports:
        await_web(port)
    start_edge(live, ports, RATE_LIMITS="off")
    with events.coming([live.caller()], rng):
        for web, port in zip(webs, ports, strict=True):
            events.more_come()
            web.stop()
            events.more_come()
            live.start_web(wait=False, port=port)
            await_web(port)
        events.more_come()
    events.check()
    books.check_answers()

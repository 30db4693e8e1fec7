"""Connections that send events, over the real web server: answered together, each as if it were alone."""

import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from src import senders
from src.wiring import services
from tests.committing import own_settings, workshop
from tests.factories.clients import a_client
from tests.factories.events import a_body, stored
from tests.live import Caller, Live, eventually, live

__all__ = ["live", "own_settings", "workshop"]

CHANGING = ("date", "x-request-id")


class Wire:
    """One connection, on which bytes are sent as they are."""

    def __init__(self, caller: Caller) -> None:
        self.socket = socket.create_connection(("127.0.0.1", caller.port), timeout=20)
        self.headers = caller.headers
        self._answers = self.socket.makefile("rb")

    def request(self, body: Any, method: str = "POST", path: str = "/event", **headers: str) -> bytes:
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        length = {"Content-Length": str(len(content))} if method == "POST" else {}
        fields = {"Host": "localhost", "Content-Type": "application/json"} | self.headers | length | named
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content

    def line(self) -> bytes:
        return self._answers.readline()

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def answer(self) -> tuple[int, dict[str, str], Any]:
        status = int(self._answers.readline().split()[1])
        headers = {}
        while line := self._answers.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        body = self._answers.read(int(headers.get("content-length", 0)))
        return status, headers, orjson.loads(body or b"null")

    def ask(self, *given: Any, **headers: str) -> tuple[int, dict[str, str], Any]:
        self.send(self.request(*given, **headers))
        return self.answer()

    def close(self) -> None:
        self._answers.close()
        self.socket.close()


@pytest.fixture
def caller(live: Live) -> Caller:
    for name in "1234567":
        a_client(name)
    live.start_web(event_ordering="per_client", rate_limit_default="1000 per minute")
    return live.caller()


@pytest.fixture
def connect(caller: Caller) -> Iterator[Callable[[], Wire]]:
    """Connections of this caller."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(Wire(caller)))


@pytest.fixture
def sender(connect: Callable[[], Wire]) -> Callable[[str], Wire]:
    """A connection that has sent an event of this client, at t = 0: from now on it is one of the senders'."""

    def make(client: str = "1") -> Wire:
        wire = connect()
        assert wire.ask(a_body("withdraw", "100.01", t=0, user_id=client))[0] == 200
        return wire

    return make


def kept(client: str = "1") -> list[int]:
    with services() as s:
        return [t for name, t, _, _ in stored(s.session) if name == client]


def noted_in(live: Live) -> list[Any]:
    """The lines of the log about events; one may be under way."""
    lines = (live.folder / "logs" / "app.log").read_text().splitlines(keepends=True)
    found = [orjson.loads(line) for line in lines if line.endswith("\n")]
    return [line for line in found if line.get("path") == "/event"]


def test_the_answers_are_those_of_any_other_request(
    live: Live, connect: Callable[[], Wire], sender: Callable[[str], Wire]
) -> None:
    wire, said = sender("1"), []
    for t, body in ((1, a_body("withdraw", "100.01")), (1, a_body()), (2, a_body() | {"amount": "-1"})):
        mine = wire.ask(body | {"t": t})
        other = connect().ask(body | {"t": t, "user_id": 2})
        assert mine[0] == other[0]
        same = [*{**mine[1]}.keys() - {"date", "x-request-id", "ratelimit"}]
        assert [mine[1][name] for name in same] == [other[1][name] for name in same]
        assert [*mine[1]] == [*other[1]]
        assert mine[2] | {"user_id": 2, "instance": ""} == other[2] | {"instance": ""}
        said += [mine[0], other[0]]
    assert said == [200, 200, 409, 409, 400, 400]
    eventually("all is written down", lambda: len(noted_in(live)) == 7, within=10)
    noted = noted_in(live)
    assert [line["status"] for line in noted] == [200, *said]
    assert len({line["request_id"] for line in noted}) == len(noted)
    assert len({line["account"] for line in noted}) == 1


def test_a_connection_carries_whatever_http_allows(sender: Callable[[str], Wire]) -> None:
    carries = [
        in_pieces_and_several_at_once,
        other_requests_between,
        asking_whether_to_go_on,
        after_a_pause,
        closing_at_the_end,
    ]
    for number, exchange in enumerate(carries, 1):
        exchange(sender(str(number)), str(number))


def in_pieces_and_several_at_once(wire: Wire, client: str) -> None:
    sent = b"".join(wire.request(a_body(t=t, user_id=client)) for t in range(1, 30))
    for at in range(0, len(sent), 701):
        wire.send(sent[at : at + 701])
        time.sleep(0.005)
    assert [wire.answer()[0] for _ in range(1, 30)] == [200] * 29
    assert kept(client) == [*range(30)]


def other_requests_between(wire: Wire, client: str) -> None:
    for t in (1, 4):
        bodies = [a_body(t=t + n, user_id=client) for n in range(3)]
        wire.send(
            wire.request(bodies[0])
            + wire.request(b"", "GET", "/livez")
            + wire.request(bodies[1], Content_Type="application/json; charset=utf-8")
            + wire.request(bodies[2])
            + wire.request(b"", "GET", "/api/v1/auth/me")
        )
        answers = [wire.answer() for _ in range(5)]
        assert [status for status, _, _ in answers] == [200] * 5
        assert answers[1][2] == {"status": "alive"}
        assert answers[0][2].keys() == answers[2][2].keys() == answers[3][2].keys()
    assert kept(client) == [*range(7)]


def asking_whether_to_go_on(wire: Wire, client: str) -> None:
    head, _, body = wire.request(a_body(t=1, user_id=client), Expect="100-continue").partition(b"\r\n\r\n")
    wire.send(head + b"\r\n\r\n")
    assert wire.line() + wire.line() == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.send(body)
    assert wire.answer()[0] == 200


def after_a_pause(wire: Wire, client: str) -> None:
    time.sleep(senders.IDLE_SECONDS + 2 * senders.LOOK_SECONDS)
    assert [wire.ask(a_body(t=t, user_id=client))[0] for t in (1, 2)] == [200, 200]


def closing_at_the_end(wire: Wire, client: str) -> None:
    status, headers, _ = wire.ask(a_body(t=1, user_id=client), Connection="close")
    assert (status, headers["connection"]) == (200, "close")
    assert wire.socket.recv(1) == b""


FAULTY = {
    b"POST /event HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n": 400,
    b"POST /event HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n": 400,
    b"POST /event HTTP/1.1\r\nHost : a\r\n": 400,
    b"POST /event\r\n": 400,
    b"\r\n": 400,
    b"\r\nX-Request-ID: of-nobody\r\nPOST /event HTTP/1.1\r\n": 400,
    b"POST /event HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n": 431,
}


def test_a_faulty_head_is_refused_and_nothing_behind_it_is_read(sender: Callable[[str], Wire]) -> None:
    for client, (head, status) in zip("1234567", FAULTY.items(), strict=True):
        wire = sender(client)
        wire.send(head + b"\r\n" + wire.request(a_body(t=1, user_id=client)))
        assert wire.socket.recv(12) == b"HTTP/1.1 %d" % status
        wire.socket.shutdown(socket.SHUT_WR)
        while wire.socket.recv(4_096):
            pass
        assert kept(client) == [0]


def test_who_may_send_no_more_is_refused_at_once(
    live: Live, connect: Callable[[], Wire], sender: Callable[[str], Wire]
) -> None:
    wires = [sender("1"), *(connect() for _ in range(4))]
    answers = []
    for t in range(0, 300, 5):
        for number, one in enumerate(wires):
            one.send(b"".join(one.request(a_body(t=5 * t + number + 5 * n + 1)) for n in range(4)))
        answers += [one.answer() for one in wires for _ in range(4)]
    refused = [headers["ratelimit"] for status, headers, _ in answers if status == 429]
    assert len(answers) - len(refused) == 999
    assert {left.split(";")[1] for left in refused} == {"r=0"}
    with closing(Wire(live.caller())) as wire, closing(Wire(live.caller())) as beside:
        beside.headers = wire.headers
        assert wire.ask(a_body(t=0, user_id="2"))[0] == 200
        assert beside.ask("", "POST", "/api/v1/auth/logout")[0] == 204
        assert wire.ask(a_body(t=1, user_id="2"))[0] == 401
    assert kept("2") == [0]


def test_of_many_at_once_each_is_told_what_became_of_its_own(
    live: Live, connect: Callable[[], Wire], sender: Callable[[str], Wire]
) -> None:
    """One of them hangs up in the middle of a request, one before it is answered; then nothing can be stored."""
    wires = [sender("1"), *(connect() for _ in range(20))]
    for n in range(1, 11):
        for number, one in enumerate(wires):
            one.send(one.request(a_body(t=100 * n + number, user_id="123"[number % 3])))
        if n == 5:
            half = wires.pop()
            half.send(half.request(a_body(t=9_999))[:-3])
            half.close()
            wires.pop().close()
        answers = [one.answer() for one in wires]
        assert {status for status, _, _ in answers} <= {200, 400}
        assert [body["user_id"] for _, _, body in answers] == ["123"[n % 3] for n in range(len(wires))]
        mine = {100 * n + number for number, (status, _, _) in enumerate(answers) if status == 200}
        assert mine <= {t for name in "123" for t in kept(name)}
    assert 9_999 not in kept()
    before = kept("1"), kept("2")
    with live.workshop.database.unit_of_work() as session:
        session.execute(text("ALTER TABLE event RENAME TO lost"))
    for t in (5_001, 5_002):
        for name, one in zip("12", wires, strict=False):
            one.send(one.request(a_body(t=t, user_id=name)))
        assert [one.answer()[0] for one in wires[:2]] == [500, 500]
    with live.workshop.database.unit_of_work() as session:
        session.execute(text("ALTER TABLE lost RENAME TO event"))
    assert [one.ask(a_body(t=5_003, user_id=name))[0] for one, name in zip(wires, "12", strict=False)] == [
        200,
        200,
    ]
    assert (kept("1"), kept("2")) == tuple([*those, 5_003] for those in before)


def test_what_comes_while_it_stores_is_stored_together(live: Live, sender: Callable[[str], Wire]) -> None:
    """From whichever connection, and whatever ids the requests have."""
    first, *others = [sender(name) for name in "123456"]
    for name, one in zip("123456", (first, *others), strict=True):  # none has been silent for long
        assert one.ask(a_body(t=1, user_id=name))[0] == 200
    with live.workshop.database.unit_of_work() as session:
        session.execute(text("SELECT FROM event_high_water FOR UPDATE"))
        first.send(first.request(a_body(t=2)))
        live.workshop.await_lock_waiters(1)
        for name, one in zip("23456", others, strict=True):
            one.send(one.request(a_body(t=2, user_id=name), X_Request_ID=f"of-client-{name}"))
        time.sleep(0.5)
    answers = [one.answer() for one in (first, *others)]
    assert [status for status, _, _ in answers] == [200] * 6
    assert [headers["x-request-id"] for _, headers, _ in answers[1:]] == [f"of-client-{n}" for n in "23456"]
    with services() as s:
        counted = text("SELECT xmin::text, count(*) FROM event WHERE t = 2 GROUP BY 1")
        assert sorted(count for _, count in s.session.execute(counted)) == [1, 5]


SLOW = (
    """CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_sleep(4); RETURN NEW; END'""",
    """CREATE TRIGGER pause BEFORE INSERT ON event FOR EACH ROW WHEN (NEW.type = 'deposit')
        EXECUTE FUNCTION pause()""",
)


def test_what_is_no_event_does_not_wait_with_the_events(live: Live, sender: Callable[[str], Wire]) -> None:
    waiting, other = sender("1"), sender("2")
    with live.workshop.database.unit_of_work() as session:
        for statement in SLOW:
            session.execute(text(statement))
    for one, user_id in ((waiting, "1"), (other, "2")):
        assert one.ask(a_body("withdraw", t=1, user_id=user_id))[0] == 200
    waiting.send(waiting.request(a_body(t=2)))
    assert other.ask(b"", "GET", "/livez")[0] == 200
    assert select.select([waiting.socket], [], [], 0)[0] == []
    assert waiting.answer()[0] == 200
    assert other.ask(a_body("withdraw", t=2, user_id="2"))[0] == 200


def test_a_stopping_server_answers_what_it_was_sent_and_says_that_it_closes(
    live: Live, sender: Callable[[str], Wire]
) -> None:
    wire, told = sender("1"), 0
    (web,) = [one for one in live.programs if one.name.startswith("web")]
    for t in range(1, 100_000):
        if t == 50:
            web.send(signal.SIGTERM)
        status, headers, _ = wire.ask(a_body(t=t))
        assert status == 200
        told += 1
        if headers["connection"] == "close":
            break
    assert wire.socket.recv(1) == b""
    assert web.wait(within=30) == 0
    assert kept() == [*range(told + 1)]

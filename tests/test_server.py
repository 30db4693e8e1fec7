"""The web server's connections, as gunicorn and we look after them."""

import socket
from contextlib import ExitStack

import pytest

from tests.committing import own_settings, workshop
from tests.live import Caller, Live, live

__all__ = ["live", "own_settings", "workshop"]

ASK = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
FAULTY = b"GET /livez HTTP/1.1\r\nHost : localhost\r\n\r\n"


@pytest.fixture
def caller(live: Live) -> Caller:
    live.start_web()
    return live.caller()


def connected(caller: Caller) -> socket.socket:
    return socket.create_connection(("127.0.0.1", caller.port), timeout=10)


def until_the_end(connection: socket.socket) -> bytes:
    said = b""
    while came := connection.recv(4_096):
        said += came
    return said


def test_who_was_answered_and_does_not_hang_up_keeps_nobody_waiting(caller: Caller) -> None:
    """Each was waited for in turn, two seconds long: longer than anybody is patient."""
    with ExitStack() as stack:
        staying = [stack.enter_context(connected(caller)) for _ in range(30)]
        for number, one in enumerate(staying):
            one.sendall(FAULTY if number % 2 else ASK + b"Connection: close\r\n\r\n")
        with connected(caller) as other:
            other.sendall(ASK + b"\r\n")
            assert other.recv(12) == b"HTTP/1.1 200"
        answers = [until_the_end(one)[:12] for one in staying]
        assert answers == [b"HTTP/1.1 200", b"HTTP/1.1 400"] * 15


def test_what_is_sent_behind_a_refusal_does_not_take_the_answer_away(caller: Caller) -> None:
    for more in (0, 30_000, 60_000):
        with connected(caller) as one:
            one.sendall(FAULTY + b"x" * more)
            one.sendall(b"more")
            said = until_the_end(one)
            assert said.startswith(b"HTTP/1.1 400")
            assert said.endswith(b"</html>\n")

"""A TCP proxy for tests: it forwards, early or late, goes silent as a network that drops packets, or cuts."""

import math
import queue
import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

PIECE = 64 * 1024
SEGMENT = 1448  # what one packet of a connection carries
MOMENT = 0.05  # in which whoever has the first part of an answer begins to wait for the rest


@dataclass(frozen=True)
class Distance:
    """A network that is far away: each way takes half of `seconds`, and some packets are sent twice."""

    seconds: float
    loss: float
    rng: random.Random

    def delay(self, data: bytes) -> float:
        """As TCP shows it: late, never missing. A lost packet holds up all behind it for a round trip."""
        packets = math.ceil(len(data) / SEGMENT)
        lost = sum(self.rng.random() < self.loss for _ in range(packets))
        return self.seconds / 2 + lost * self.seconds


class Proxy:
    """Listens on a free port of 127.0.0.1 and forwards to a TCP address or to the path of a socket."""

    def __init__(self, target: tuple[str, int] | str) -> None:
        self.target = target
        self.is_silent = threading.Event()
        self.distance: Distance | None = None
        self.connections = 0
        self._cut: tuple[bytes, str, bytes] | None = None
        self._lets_first_through = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_at(self, word: bytes, how: str, *, since: bytes = b"") -> None:
        """Once a client sends this word: «before» it arrives, «after» its effect but before the answer,
        «between» the first answer of PostgreSQL and what follows it, or «unnoticed»: only the client loses
        its connection, the server goes on waiting.
        `since` is another word that its connection must have sent before."""
        self._cut = (word, how, since)

    @property
    def has_cut(self) -> bool:
        """Whether the word that was waited for has come."""
        return self._cut is None

    def silence(self) -> None:
        """From now on nothing gets through and nobody is told, as when packets are dropped."""
        self.is_silent.set()

    def resume(self) -> None:
        """New connections work again; those that lost something meanwhile are broken."""
        with self._lock:
            silent, self._sockets = self._sockets, []
        self.is_silent.clear()
        for one in silent:
            _close(one)

    def cut_all(self) -> None:
        """Break every connection."""
        with self._lock:
            for one in self._sockets:
                _close(one)
            self._sockets.clear()

    def close(self) -> None:
        _close(self._listener)
        self.cut_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            server = self._reach_target()
            if server is None:
                _close(client)
                continue
            with self._lock:
                self._sockets += [client, server]
            is_lost = threading.Event()
            for work in (self._forward_requests, self._forward_answers):
                threading.Thread(target=work, args=(client, server, is_lost), daemon=True).start()

    def _reach_target(self) -> socket.socket | None:
        kind = socket.AF_UNIX if isinstance(self.target, str) else socket.AF_INET
        server = socket.socket(kind)
        try:
            server.connect(self.target)
        except OSError:
            server.close()
            return None
        return server

    def _forward_requests(
        self, client: socket.socket, server: socket.socket, is_lost: threading.Event
    ) -> None:
        tail, begun = b"", None  # the end of what came before, for a word may come in two pieces

        def pass_on(data: bytes) -> bool:
            nonlocal tail, begun
            word, how, since = self._cut or (None, "", b"")
            if since in tail + data:
                begun = since
            tail = data[-64:]
            if word is None or word not in data or begun != since:
                server.sendall(data)
                return True
            self._cut, self._lets_first_through = None, how == "between"
            is_lost.set()
            if how in ("after", "between"):
                server.sendall(data)  # whoever forwards the answer cuts when it comes
                return True
            _close(client)
            if how == "before":
                _close(server)
            return False

        self._pump(client, pass_on, server)

    def _forward_answers(
        self, client: socket.socket, server: socket.socket, is_lost: threading.Event
    ) -> None:
        def pass_on(data: bytes) -> bool:
            if is_lost.is_set():
                if self._lets_first_through:
                    self._lets_first_through = False
                    first = _first_answer(data)
                    client.sendall(data[:first])
                    if first == len(data):
                        return True
                    time.sleep(MOMENT)
                _close(client)
                _close(server)
                return False
            client.sendall(data)
            return True

        self._pump(server, pass_on, client)

    def _pump(self, source: socket.socket, pass_on: Callable[[bytes], bool], other: socket.socket) -> None:
        with suppress(OSError):
            if self.distance:
                _pump_late(source, pass_on, self.distance)
            else:
                while data := source.recv(PIECE):
                    if not self.is_silent.is_set() and not pass_on(data):
                        return
        if not self.is_silent.is_set():
            _close(other)


def _pump_late(source: socket.socket, pass_on: Callable[[bytes], bool], distance: Distance) -> None:
    """Everything arrives in order and after a while; many pieces are on their way at the same time."""
    on_the_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

    def send_off() -> None:
        with suppress(OSError):
            while data := source.recv(PIECE):
                on_the_way.put((time.monotonic() + distance.delay(data), data))
        on_the_way.put((0.0, b""))

    threading.Thread(target=send_off, daemon=True).start()
    while (arrival := on_the_way.get())[1]:
        time.sleep(max(0.0, arrival[0] - time.monotonic()))
        if not pass_on(arrival[1]):
            return


def _first_answer(data: bytes) -> int:
    """Where the answer to PostgreSQL's first statement ends: behind the message that says so."""
    place = 0
    while place < len(data):
        kind, length = data[place : place + 1], int.from_bytes(data[place + 1 : place + 5])
        place += 1 + length
        if kind == b"C":
            break
    return place


def through(proxy: Proxy, database_url: str) -> str:
    """The same database, reached through the proxy."""
    parts = urlsplit(database_url)
    return parts._replace(netloc=f"{parts.username}@127.0.0.1:{proxy.port}", query="").geturl()


def socket_of(database_url: str) -> str:
    """The path of the socket on which an embedded PostgreSQL listens."""
    query = parse_qs(urlsplit(database_url).query)
    return f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"


def _close(one: socket.socket) -> None:
    """Wake up whoever waits on it, and close."""
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()

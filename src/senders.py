"""The connections of those who send events: one thread looks after all of them.

What they have sent by the time it looks is stored together, and answered together. Threads of their own would
wait for each other at every step.
"""

import logging
import os
import queue
import select
import socket
import threading
import time
from collections.abc import Collection
from concurrent.futures import Future
from functools import lru_cache

from gunicorn import SERVER
from gunicorn.util import http_date
from gunicorn.workers.gthread import TConn, ThreadWorker

from src.api.short_way import LONGEST, VIEWS, Asked, Said, ShortWay
from src.heads import Heads
from src.meanwhile import catch_up, is_behind, put_off

log = logging.getLogger(__name__)
LONGEST_HEAD = 16_384
IDLE_SECONDS = 2.0
LOOK_SECONDS = 0.5
GATHER_SECONDS = 0.0003
SOON_SECONDS = 0.001  # less an epoll does not wait
LONG_SECONDS = 0.2
STARTS = tuple(f"POST {path}".encode() for path in VIEWS)
PEEKED = max(map(len, STARTS))


class _Sender:
    """A connection, and what came by it that is not answered yet."""

    def __init__(self, conn: TConn) -> None:
        self.conn = conn
        self.came = bytearray(conn.parser.unreader.take_buffered())
        self.whole = 0  # the length of its first request, once all of that is there
        self.since = time.monotonic()

    @property
    def address(self) -> str:
        client = self.conn.client
        return str(client[0] if isinstance(client, tuple) else client)

    def sends_events(self) -> bool:
        """Whether that is what comes, as far as can be seen without taking it."""
        try:
            return bool(self.came or self.conn.sock.recv(PEEKED, socket.MSG_PEEK).startswith(STARTS))
        except OSError:
            return False


class Senders:
    """Takes connections that have sent an event, and gives them back when they send anything else."""

    def __init__(self, worker: ThreadWorker, short_way: ShortWay) -> None:
        self._worker, self._short_way = worker, short_way
        self._given: queue.SimpleQueue[TConn] = queue.SimpleQueue()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.epoll()
        self._poll.register(self._bell, select.EPOLLIN)
        self._senders: dict[int, _Sender] = {}  # by the number of their socket
        self._heads = Heads(short_way.plain)
        self._door = threading.Lock()  # whoever holds it may touch the connections
        self._waits: tuple[float, Collection[int]] | None = None  # since when for the database, and who
        threading.Thread(target=self._run, name="senders", daemon=True).start()

    def take(self, conn: TConn) -> None:
        """It is answered; what it sends next is ours."""
        self._given.put(conn)
        os.eventfd_write(self._bell, 1)

    def _run(self) -> None:
        self._door.acquire()
        try:
            self._look_after_them()
        except Exception:
            log.critical(
                "nobody looks after those who send events; another process is to begin", exc_info=True
            )
            for number in [*self._senders]:
                self._close(number)
            catch_up()
            self._worker.handle_exit(None, None)

    def _look_after_them(self) -> None:
        looked, asking, answered = time.monotonic(), set[int](), 0
        while True:
            asked = self._asked(asking, answered)
            asking = self._answer(asked)
            answered = len(asking)
            now = time.monotonic()
            if now - looked > LOOK_SECONDS or not self._worker.alive:
                looked = now
                asking -= self._give_back(now)

    def _asked(self, more: set[int], answered: int) -> dict[int, Asked]:
        """A request of each who has sent one. Those just answered are likely to ask again at once, and are
        waited for a moment, since together they cost half."""
        asked = {number: one for number in more if (one := self._next(number))}
        ready = self._poll.poll(0) if asked else self._first()
        until = time.monotonic() + GATHER_SECONDS
        while True:
            for number, _ in ready:
                if number == self._bell:
                    asked |= {one: found for one in self._welcome() if (found := self._next(one))}
                elif number not in asked and self._receive(number) and (found := self._next(number)):
                    asked[number] = found
            left = until - time.monotonic()
            if len(asked) >= answered or left <= 0:
                return asked
            select.select([self._poll], [], [], left)
            ready = self._poll.poll(0)

    def _first(self) -> list[tuple[int, int]]:
        """Whoever sends something. What was put off is done while the database works for them, or, when they
        don't come in a moment, now."""
        if is_behind():
            if ready := self._poll.poll(SOON_SECONDS):
                return ready
            catch_up()
        return self._poll.poll(LOOK_SECONDS)

    def _answer(self, asked: dict[int, Asked]) -> set[int]:
        """One request of each; those who may have sent more already."""
        try:
            said = self._answers(asked) if asked else []
            more = {number for number, one in zip(asked, said, strict=True) if self._reply(number, one)}
        except Exception:
            log.exception("the events of some connections were not answered")
            for number in asked:
                self._close(number)
            return set()
        for one in filter(None, said):
            put_off(one.write_down)
        return more

    def _answers(self, asked: dict[int, Asked]) -> list[Said | None]:
        """Meanwhile the connections may be taken from us: see `relieve`."""
        self._waits = time.monotonic(), asked
        self._door.release()
        try:
            return self._short_way.answer([*asked.values()])
        finally:
            self._door.acquire()
            self._waits = None

    @property
    def is_kept_waiting(self) -> bool:
        """Whether the database takes long with the events that came last."""
        waits = self._waits
        return waits is not None and time.monotonic() - waits[0] > LONG_SECONDS

    def relieve(self) -> None:
        """Then whatever else is asked on other connections is for threads. Called by gunicorn's loop."""
        if not self.is_kept_waiting or not self._door.acquire(blocking=False):
            return
        try:
            if self._waits:
                others = {number for number, _ in self._poll.poll(0)} & self._senders.keys() - self._waits[1]
                for number in others:
                    if not self._senders[number].sends_events():
                        self._end(number, is_kept=True)
        finally:
            self._door.release()

    def _welcome(self) -> set[int]:
        os.eventfd_read(self._bell)
        came = set()
        while not self._given.empty():
            conn = self._given.get()
            conn.sock.setblocking(False)
            number = conn.sock.fileno()
            self._poll.register(number, select.EPOLLIN)
            self._senders[number] = _Sender(conn)
            came.add(number)
        return came

    def _receive(self, number: int) -> bool:
        sender = self._senders[number]
        try:
            came = sender.conn.sock.recv(LONGEST_HEAD + LONGEST)
        except BlockingIOError:
            return False
        except OSError:
            came = b""
        if not came:
            self._close(number)
            return False
        sender.came += came
        sender.since = time.monotonic()
        return True

    def _next(self, number: int) -> Asked | None:
        """Its first request that is not answered yet, once all of it is there."""
        sender = self._senders[number]
        end = sender.came.find(b"\r\n\r\n") + 4
        if end < 4:
            if len(sender.came) > LONGEST_HEAD:
                self._pass_on(number)
            return None
        environ = self._heads.environ(sender.conn, sender.address, bytes(sender.came[:end]))
        if environ is None:
            self._pass_on(number)
            return None
        sender.whole = end + int(environ["CONTENT_LENGTH"])
        if len(sender.came) < sender.whole:
            return None
        return Asked(environ, bytes(sender.came[end : sender.whole]))

    def _reply(self, number: int, said: Said | None) -> bool:
        """Whether it may send more."""
        sender = self._senders[number]
        if said is None:
            self._pass_on(number)
            return False
        del sender.came[: sender.whole]
        answer = _written(said)
        try:
            sent = sender.conn.sock.send(answer)
        except OSError:
            sent = 0
        if sent < len(answer):  # gone, or has not read what it was answered for a long time
            self._close(number)
        return bool(sent == len(answer))

    def _pass_on(self, number: int) -> None:
        """To a thread that takes its time, with what came."""
        sender = self._forget(number)
        sender.conn.parser.unreader.unread(bytes(sender.came))
        self._worker.enqueue_req(sender.conn)

    def _give_back(self, now: float) -> set[int]:
        """Those who send nothing, so that gunicorn counts their time; all of them, when the process ends."""
        is_end = not self._worker.alive
        given = {n for n, sender in self._senders.items() if is_end or now - sender.since > IDLE_SECONDS}
        for number in given:
            if self._senders[number].came:
                self._pass_on(number)
            else:
                self._end(number, is_kept=True)
        return given

    def _close(self, number: int) -> None:
        if number in self._senders:
            self._end(number, is_kept=False)

    def _end(self, number: int, *, is_kept: bool) -> None:
        answered: Future[bool] = Future()
        answered.set_result(is_kept)
        self._worker.method_queue.defer(self._worker.finish_request, self._forget(number).conn, answered)

    def _forget(self, number: int) -> _Sender:
        self._poll.unregister(number)
        return self._senders.pop(number)


def _written(said: Said) -> bytes:
    """With the fields that gunicorn adds to each answer."""
    fields = "".join([f"{name}: {value}\r\n" for name, value in said.headers])
    head = f"HTTP/1.1 {said.status}\r\n{_own_fields(int(time.time()))}{fields}\r\n"
    return head.encode("latin-1") + said.body


@lru_cache(1)
def _own_fields(now: int) -> str:
    return f"Server: {SERVER}\r\nDate: {http_date(now)}\r\nConnection: keep-alive\r\n"

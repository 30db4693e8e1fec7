"""gunicorn's threads, which wait a moment for the next request of the connection they have answered.

Who sends much asks again at once. To hand a connection back to the thread that watches all of them, and to be
handed it anew, costs as much as many a request.
"""

import select
import selectors
import socket
import threading
import time
from concurrent.futures import Future
from functools import partial

from gunicorn.workers.gthread import TConn, ThreadWorker

from src.api.short_way import SHORT_WAY, VIEWS
from src.senders import Senders

STAY_MILLISECONDS = 20
LEAVE_SECONDS = 2.0
MOST_LEFT = 65_536  # bytes, of what nobody wants any more
SENDS_EVENTS = object()  # what a thread says of a connection instead of whether it is kept


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn is untyped
    def init_process(self) -> None:
        # Never so many that none is left for who asks seldom.
        self.may_stay = threading.BoundedSemaphore(max(self.cfg.threads // 2, 1))
        self.leaving: dict[TConn, int] = {}  # and how much came of each that was not read before
        super().init_process()

    def load_wsgi(self) -> None:
        super().load_wsgi()
        short_way = getattr(self.wsgi, "extensions", {}).get(SHORT_WAY)
        self.senders = Senders(self, short_way) if short_way else None

    def handle(self, conn: TConn) -> object:
        while True:
            keeps = super().handle(conn)
            if keeps is True and self._sends_events(conn):
                return SENDS_EVENTS
            if keeps is not True or not self._asks_again(conn):
                return keeps

    def finish_request(self, conn: TConn, fs: Future[object]) -> None:
        is_done = not fs.cancelled() and fs.exception() is None
        senders = self.senders if self.alive else None
        if senders and is_done and fs.result() is SENDS_EVENTS and not senders.is_kept_waiting:
            senders.take(conn)
        elif is_done and not fs.result():
            self._see_off(conn)
        else:
            super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        """Called every second."""
        super().murder_pending()
        if self.senders:
            self.senders.relieve()
        now = time.monotonic()
        for conn in [conn for conn in self.leaving if conn.timeout < now]:
            self._close(conn)

    def _see_off(self, conn: TConn) -> None:
        """Close a connection when its other end has read the answer and closes, too: before, the kernel would
        take the answer back. gunicorn waits for that here, where nobody else is let in meanwhile."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        conn.timeout = time.monotonic() + LEAVE_SECONDS
        self.leaving[conn] = 0
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._read_off, conn))

    def _read_off(self, conn: TConn, sock: socket.socket) -> None:
        try:
            came = len(sock.recv(MOST_LEFT))
        except OSError:
            came = 0
        self.leaving[conn] += came
        if not came or self.leaving[conn] > MOST_LEFT:
            self._close(conn)

    def _close(self, conn: TConn) -> None:
        if conn in self.leaving:
            del self.leaving[conn]
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def _sends_events(self, conn: TConn) -> bool:
        last = conn.parser.mesg
        return bool(self.senders and last.method == "POST" and last.path in VIEWS)

    def _asks_again(self, conn: TConn) -> bool:
        """Not awaited when the process is to end, or when others wait for a thread."""
        is_wanted = self.tpool._work_queue.qsize() > 0  # noqa: SLF001  the pool tells in no other way
        if is_wanted or not self.alive or not self.may_stay.acquire(blocking=False):
            return False
        try:
            poll = select.poll()
            poll.register(conn.sock, select.POLLIN)
            return bool(poll.poll(STAY_MILLISECONDS))
        finally:
            self.may_stay.release()

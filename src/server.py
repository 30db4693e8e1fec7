"""gunicorn's threads, which wait a moment for the next request of the connection they have answered.

Who sends much asks again at once. To hand a connection back to the thread that watches all of them, and to be
handed it anew, costs as much as many a request.
"""

import select
import threading

from gunicorn.workers.gthread import TConn, ThreadWorker

STAY_MILLISECONDS = 20


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn is untyped
    def init_process(self) -> None:
        # Never so many that none is left for who asks seldom.
        self.may_stay = threading.BoundedSemaphore(max(self.cfg.threads // 2, 1))
        super().init_process()

    def handle(self, conn: TConn) -> object:
        while True:
            keeps = super().handle(conn)
            if keeps is not True or not self._asks_again(conn):
                return keeps

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

"""Connections on which statements stay prepared, which a session's driver would make them forget.

Far simpler than the pool of sessions, and lent in a tenth of its time.
"""

import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeout

from src.statements import Statements

OLD_SECONDS = 1_800
# To plan such a statement takes longer than to run it, and its plan is the same whatever the values.
ONE_PLAN = b"SET plan_cache_mode = force_generic_plan"


class Lines:
    """At most `size`, opened when they are needed; the one that was used last is lent first."""

    def __init__(self, connect: Callable[[], Any], *, size: int, wait_s: float) -> None:
        self._connect = connect
        self._wait_s = wait_s
        self._places = threading.BoundedSemaphore(size)
        self._free: list[_Line] = []

    @classmethod
    def of(cls, engine: Engine) -> Self:
        """Half as many as the engine has connections, opened as it opens them: they are lent for a moment."""
        pool: Any = engine.pool
        source = pool.recreate()

        def connect() -> Any:
            fresh = source.connect()
            driver: Any = fresh.driver_connection
            fresh.detach()
            return driver

        return cls(connect, size=max(pool.size() // 2, 1), wait_s=pool.timeout())

    @contextmanager
    def lent(self) -> Iterator[Statements]:
        """One of them, for as long as the block; what is not committed then is rolled back."""
        if not self._places.acquire(timeout=self._wait_s):
            raise PoolTimeout
        try:
            line = self._fit() or _Line(self._connect())
            try:
                yield line.statements
            finally:
                if line.statements.is_fit():
                    self._free.append(line)
                else:
                    line.close()
        finally:
            self._places.release()

    def close(self) -> None:
        while self._free:
            self._free.pop().close()

    def _fit(self) -> "_Line | None":
        """One that is free, and that the server has not ended meanwhile."""
        while True:
            try:
                line = self._free.pop()
            except IndexError:
                return None
            if line.is_good():
                return line
            line.close()


class _Line:
    def __init__(self, driver: Any) -> None:
        self.driver = driver
        driver.pgconn.exec_(ONE_PLAN)
        self.statements = Statements(driver)
        self._since = time.monotonic()
        self._poll = select.poll()
        self._poll.register(driver.fileno(), select.POLLIN)

    def is_good(self) -> bool:
        """A server that ends an idle session says so, which can be read."""
        return time.monotonic() - self._since < OLD_SECONDS and not self._poll.poll(0)

    def close(self) -> None:
        self.driver.close()

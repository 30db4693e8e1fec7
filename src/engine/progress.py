"""How far a piece of work is: told twice a second from a thread of its own, and when a new part begins."""

import threading
from types import TracebackType
from typing import Self

from src.engine.values import OnProgress

SECONDS_BETWEEN = 0.5


class Progress:
    """Called by the work as often as it likes; every half second, its latest state is passed on."""

    def __init__(self, emit: OnProgress, seconds: float = SECONDS_BETWEEN) -> None:
        self._emit = emit
        self._seconds = seconds
        self._state = (0, 1, "files")
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()
        self._emit(*self._state)

    def __call__(self, done: int, total: int, unit: str) -> None:
        is_new = unit != self._state[2]
        self._state = (done, total, unit)
        if is_new:
            self._emit(*self._state)

    def _tell(self) -> None:
        while not self._is_over.wait(self._seconds):
            self._emit(*self._state)

"""What can be done while something else is waited for, so that nobody has to wait for it."""

import logging
import threading
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)


class _PutOff(threading.local):
    """Of each thread its own."""

    def __init__(self) -> None:
        self.actions: deque[Callable[[], object]] = deque()


_put_off = _PutOff()


def put_off(action: Callable[[], object]) -> None:
    """Until this thread waits for the database, or catches up."""
    _put_off.actions.append(action)


def is_behind() -> bool:
    """Whether this thread has put anything off."""
    return bool(_put_off.actions)


def catch_up() -> None:
    """Do what was put off, in that order; who waits meanwhile must not suffer from what fails."""
    actions = _put_off.actions
    while actions:
        try:
            actions.popleft()()
        except Exception:
            log.exception("something that was put off failed")

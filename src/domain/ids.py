"""Ids that sort by the time they were made (UUID version 7), so that newest-first is an index scan."""

import secrets
import threading
import time
from uuid import UUID

_lock = threading.Lock()
_last_ns = 0


def uuid7() -> UUID:
    """A new id: milliseconds, 12 bits of their fraction, 62 random bits; rising within a process."""
    global _last_ns  # noqa: PLW0603  the previous moment is what makes ids of one process rise
    with _lock:
        moment = max(time.time_ns(), _last_ns + 256)
        _last_ns = moment
    milliseconds, rest = divmod(moment, 1_000_000)
    fraction = rest * 4096 // 1_000_000
    number = milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | secrets.randbits(62)
    return UUID(int=number)

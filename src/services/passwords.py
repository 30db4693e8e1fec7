"""Hashes and checks passwords with argon2id, a bounded number at a time: each takes 19 MiB and a core."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher as Argon2
from argon2.exceptions import InvalidHashError, VerificationError

from src.domain.errors import Unavailable
from src.domain.passwords import LONGEST

PATIENCE = 5.0
NOBODYS_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$3iSyBAl3ipgzVpVnrUYmvpdB1K3lqYqPGyxgfMHHkyE"
)


class TooManyLogins(Unavailable):
    slug = "too-many-logins"
    title = "Too many people are logging in just now"


class PasswordHasher:
    def __init__(self, *, passes: int = 2, kibibytes: int = 19_456) -> None:
        self._argon2 = Argon2(time_cost=passes, memory_cost=kibibytes, parallelism=1)
        self._slots = threading.BoundedSemaphore(os.cpu_count() or 1)

    def hash(self, password: str) -> str:
        with self._slot():
            return self._argon2.hash(password)

    def matches(self, password: str, hashed: str | None) -> bool:
        """Check a password; without a hash (no such account) it takes the same time and says no."""
        with self._slot():
            try:
                self._argon2.verify(hashed or NOBODYS_HASH, password[: LONGEST + 1])
            except (VerificationError, InvalidHashError):
                return False
            return hashed is not None

    def is_outdated(self, hashed: str) -> bool:
        return self._argon2.check_needs_rehash(hashed)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(timeout=PATIENCE):
            raise TooManyLogins("Try again in a moment.", retry_after=2)
        try:
            yield
        finally:
            self._slots.release()

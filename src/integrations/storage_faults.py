"""What can go wrong with stored bytes: a disk's or a driver's error in the words of the domain."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from src.domain.errors import DomainError, NotFound, StorageFull, Unavailable

FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
FULL_CODES = frozenset({"XMinioStorageFull", "QuotaExceeded", "InsufficientCapacity", "InsufficientStorage"})
RETRY_SECONDS = 10
NO_ROOM = "There is no room left to store this; nothing of it was kept. Ask an administrator to free space."
GONE = "The content is no longer in the store. Send the file again, or ask an administrator to restore it."
AWAY = "The store for files does not answer as it should. Nothing was changed; try again in a moment."


class MissingContent(NotFound):
    slug = "content-missing"
    title = "The stored content of this file is gone"


class StorageUnavailable(Unavailable):
    slug = "storage-unavailable"
    title = "The store for files cannot be used at the moment"


@contextmanager
def reading(kind: type[Exception] = OSError) -> Iterator[None]:
    """Whatever fails inside leaves as a domain error. Drivers share no base class: they pass `Exception`."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise MissingContent(GONE) from error
    except kind as error:
        raise storage_failure(error) from error


def storage_failure(error: Exception) -> DomainError:
    """Full, or out of order: the two ways in which a store fails."""
    if getattr(error, "errno", None) in FULL_ERRNOS or _server_code(error) in FULL_CODES:
        return StorageFull(NO_ROOM)
    return StorageUnavailable(AWAY, retry_after=RETRY_SECONDS)


def _server_code(error: Exception) -> str:
    """The code in the answer of an S3 server; s3fs keeps the answer in the cause."""
    answer = getattr(error.__cause__, "response", None) or {}
    return str(answer.get("Error", {}).get("Code", ""))

"""Where the bytes of files live: one protocol over a folder, S3, or any other object store."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from src.integrations.storage_upload import Upload

INCOMING = "incoming"
KEY = re.compile(r"[a-z0-9_][a-z0-9_.-]*(/[a-z0-9_][a-z0-9_.-]*)*")
LONGEST_KEY = 512


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One thing in the store, as a sweep sees it."""

    key: str
    size: int
    modified: datetime

    @property
    def is_unfinished(self) -> bool:
        return self.key.startswith(f"{INCOMING}/")


class Storage(Protocol):
    """Immutable files under keys of ours, such as `files/ab/cd/<uuid>`; nobody's file name is ever a key.

    A key of any other form is a bug and raises ValueError. What is not there raises MissingContent, no
    room StorageFull, and a store that is out of order StorageUnavailable.
    """

    def create(self, key: str) -> Upload:
        """Start a file that appears under the key, whole, when its upload is finished."""
        ...

    def open(self, key: str) -> BinaryIO:
        """A stream that can be moved in; bytes are fetched as they are asked for."""
        ...

    def size(self, key: str) -> int: ...

    def delete(self, key: str) -> None:
        """Remove what is there; nothing there is as good."""
        ...

    def keys(self, older_than: datetime) -> Iterator[StoredKey]:
        """Everything stored that was last written before then, unfinished uploads with a name included."""
        ...

    def sweep_unfinished(self, older_than: datetime) -> int:
        """Remove uploads that nobody finished and that saw no byte since then; how many they were."""
        ...

    def local_path(self, key: str) -> AbstractContextManager[Path]:
        """A path to read the content by, only valid inside `with`; not to be written to."""
        ...

    def free_bytes(self) -> int | None:
        """Room that is left; None where the store has no end."""
        ...

    def check(self) -> None:
        """Raise what the next upload would: cheap enough for a health check."""
        ...

    def sha256(self, key: str) -> str:
        """The hash, in hex, of what is really stored, read in pieces."""
        with self.open(key) as stream:
            digest = hashlib.sha256()
            while piece := stream.read(1024 * 1024):
                digest.update(piece)
            return digest.hexdigest()


def checked_key(key: str) -> str:
    """The key itself, once it is sure that it cannot leave the store."""
    if len(key) > LONGEST_KEY or not KEY.fullmatch(key):
        raise ValueError(f"not a storage key: {key!r}")
    return key


def checked_new_key(key: str) -> str:
    """A key to write to; the folder of unfinished uploads is not the caller's."""
    if checked_key(key).partition("/")[0] == INCOMING:
        raise ValueError(f"{INCOMING}/ is for unfinished uploads: {key!r}")
    return key

"""A file on its way into the store: counted and hashed as it is written, visible only once it is finished."""

import hashlib
import io
import logging
import os
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, ClassVar

from src.domain.errors import DomainError
from src.integrations.storage_faults import storage_failure

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

logger = logging.getLogger(__name__)


class Upload(io.BufferedIOBase, BinaryIO):
    """A write-only stream that ends with `finish()`; leaving it in any other way throws the bytes away.

    It may be the target of a multipart form parser, a `ZipFile`, a `TextIOWrapper` (detach that before
    `finish()`), or a Parquet writer. A failed write or finish has already discarded it.
    """

    chunk_bytes: ClassVar[int]

    def __init__(self, key: str) -> None:
        self.key = key
        self.size = 0
        self._hash = hashlib.sha256()
        self._buffer = bytearray()
        self._is_rewound = False
        self._pid = os.getpid()

    @property
    def sha256(self) -> str:
        """The hash, in hex, of what was written so far."""
        return self._hash.hexdigest()

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        """Take all of the data; what the store receives are chunks of one size, the last one smaller."""
        self._must_be_open()
        if self._is_rewound:
            raise io.UnsupportedOperation("written after the end: an upload cannot be changed")
        rest = memoryview(data).cast("B")
        taken = len(rest)
        self._hash.update(rest)
        self.size += taken
        with self._discarded_on_failure():
            while len(self._buffer) + len(rest) >= self.chunk_bytes:
                room = self.chunk_bytes - len(self._buffer)
                self._buffer += rest[:room]
                self._send(bytes(self._buffer))
                self._buffer.clear()
                rest = rest[room:]
            self._buffer += rest
        return taken

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Form parsers go back to the start when a part is complete: taken as the end, and harmless."""
        if (offset, whence) != (0, io.SEEK_SET):
            raise io.UnsupportedOperation("an upload cannot be moved in")
        self._is_rewound = True
        return 0

    def tell(self) -> int:
        # ZipFile takes a stream that can tell for one that can be rewritten, and would go back to its headers
        raise io.UnsupportedOperation("an upload has a size, not a position")

    def finish(self) -> None:
        """Make the bytes durable and visible under the key; a file that was there before is replaced."""
        self._must_be_open()
        with self._discarded_on_failure():
            self._complete(bytes(self._buffer))
        self._end()

    def discard(self) -> None:
        """Leave nothing behind. After `finish()`, or the second time, there is nothing to do."""
        self.close()

    def close(self) -> None:
        if self.closed:
            return
        self._end()
        if os.getpid() != self._pid:  # a forked copy: the upload belongs to the parent
            return
        try:
            self._abort()
        except Exception:
            logger.warning("A discarded upload to %s is left for the sweep", self.key, exc_info=True)

    def _end(self) -> None:
        self._buffer.clear()
        super().close()

    def _must_be_open(self) -> None:
        if self.closed:
            raise ValueError("this upload is finished or discarded")

    @contextmanager
    def _discarded_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.discard()
            if isinstance(error, DomainError) or not isinstance(error, Exception):
                raise
            raise storage_failure(error) from error

    @abstractmethod
    def _send(self, chunk: bytes) -> None:
        """Store the next bytes where nobody sees them yet."""

    @abstractmethod
    def _complete(self, rest: bytes) -> None:
        """Store the last bytes, fewer than a chunk, and make the whole visible."""

    @abstractmethod
    def _abort(self) -> None:
        """Remove what was stored."""

"""Files in an object store that an fsspec driver speaks to; `storage_s3` adds its own way of writing."""

import fcntl
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import uuid4

from src.integrations.storage import INCOMING, KEY, Storage, StoredKey, checked_key, checked_new_key
from src.integrations.storage_faults import AWAY, GONE, MissingContent, StorageUnavailable, reading
from src.integrations.storage_upload import Upload

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FETCH_BYTES = 4 * 1024 * 1024
PART_BYTES = 8 * 1024 * 1024
DOWNLOAD = "indicators-download-"
MODIFIED_FIELDS = ("LastModified", "last_modified", "mtime", "created")


class RemoteStorage(Storage):
    """Uploads go to a temporary object, which the server copies to the key when they are finished."""

    def __init__(self, url: str, **options: object) -> None:
        self._url = url.rstrip("/") if not url.endswith("://") else url
        # a listing that is cached would show other processes' files late
        self._options = {"use_listings_cache": False, **options}
        self._drivers: dict[int, tuple[Any, str]] = {}

    @property
    def fs(self) -> Any:
        return self._driver()[0]

    @property
    def root(self) -> str:
        return self._driver()[1]

    def _driver(self) -> tuple[Any, str]:
        """One driver per process: its I/O thread and its connections do not survive a fork."""
        pid = os.getpid()
        if pid not in self._drivers:
            self._drivers[pid] = self._new_driver()
        return self._drivers[pid]

    def _new_driver(self) -> tuple[Any, str]:
        import fsspec

        driver: tuple[Any, str] = fsspec.core.url_to_fs(self._url, **self._options)
        return driver

    def path(self, key: str) -> str:
        return f"{self.root}/{checked_key(key)}"

    def create(self, key: str) -> Upload:
        return CopiedUpload(self, checked_new_key(key))

    def open(self, key: str) -> BinaryIO:
        return io.BufferedReader(RangeReader(self, key, self.size(key)), FETCH_BYTES)

    def fetch(self, key: str, start: int, end: int) -> bytes:
        path = self.path(key)
        with reading(Exception):
            content: bytes = self.fs.cat_file(path, start=start, end=end)
        return content

    def size(self, key: str) -> int:
        path = self.path(key)
        with reading(Exception):
            info = self.fs.info(path)
        if info["type"] != "file":
            raise MissingContent(GONE)
        return int(info["size"])

    def delete(self, key: str) -> None:
        path = self.path(key)
        with suppress(MissingContent), reading(Exception):
            self.fs.rm_file(path)

    def keys(self, older_than: datetime) -> Iterator[StoredKey]:
        return self._older("", older_than)

    def sweep_unfinished(self, older_than: datetime) -> int:
        unfinished = list(self._older(f"/{INCOMING}", older_than))
        for stored in unfinished:
            self.delete(stored.key)
        return len(unfinished) + _sweep_downloads(older_than)

    @contextmanager
    def local_path(self, key: str) -> Iterator[Path]:
        size = self.size(key)
        with tempfile.NamedTemporaryFile(prefix=DOWNLOAD) as copy:
            fcntl.flock(copy, fcntl.LOCK_EX)  # in use; the kernel lets go of it when the process dies
            with reading(Exception):
                self.fs.get_file(self.path(key), copy.name)
            if Path(copy.name).stat().st_size != size:
                raise StorageUnavailable(AWAY)
            yield Path(copy.name)

    def free_bytes(self) -> None:
        return None

    def check(self) -> None:
        with suppress(MissingContent), reading(Exception):
            self.fs.info(self.path(f"{INCOMING}/check"))

    def _older(self, folder: str, older_than: datetime) -> Iterator[StoredKey]:
        with suppress(MissingContent), reading(Exception):
            for _, _, files in self.fs.walk(self.root + folder, detail=True, on_error="raise"):
                for info in files.values():
                    key = info["name"].removeprefix(f"{self.root}/")
                    modified = _modified(info)
                    if KEY.fullmatch(key) and modified < older_than:
                        yield StoredKey(key, int(info["size"]), modified)


class CopiedUpload(Upload):
    """Written beside the files; a copy inside the store is whole or not there."""

    chunk_bytes = PART_BYTES

    def __init__(self, storage: RemoteStorage, key: str) -> None:
        super().__init__(key)
        self._fs = storage.fs
        self._path = storage.path(key)
        self._temporary = storage.path(f"{INCOMING}/{uuid4().hex}")
        self._file: Any = None
        with self._discarded_on_failure():
            self._file = self._fs.open(self._temporary, "wb", block_size=PART_BYTES)

    def _send(self, chunk: bytes) -> None:
        self._file.write(chunk)

    def _complete(self, rest: bytes) -> None:
        self._file.write(rest)
        self._file.close()
        self._fs.cp_file(self._temporary, self._path)
        self._fs.rm_file(self._temporary)

    def _abort(self) -> None:
        if self._file is None:
            return
        self._file.close()
        with suppress(FileNotFoundError):
            self._fs.rm_file(self._temporary)


class RangeReader(io.RawIOBase):
    """Reads an object by ranges, in whichever process it is used, with faults in the domain's words."""

    def __init__(self, storage: RemoteStorage, key: str, size: int) -> None:
        self._storage = storage
        self._key = key
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("before the start of the file")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        target = memoryview(buffer).cast("B")
        content = self._next(len(target))
        target[: len(content)] = content
        return len(content)

    def readall(self) -> bytes:
        return self._next(self._size)

    def _next(self, length: int) -> bytes:
        end = min(self._position + length, self._size)
        if self._position >= end:
            return b""
        content = self._storage.fetch(self._key, self._position, end)
        self._position += len(content)
        return content


def _modified(info: dict[str, Any]) -> datetime:
    """Drivers agree neither on the name nor on the type."""
    moment = next(info[name] for name in MODIFIED_FIELDS if info.get(name) is not None)
    if isinstance(moment, datetime):
        return moment.astimezone(UTC)
    return datetime.fromtimestamp(moment, UTC)


def _sweep_downloads(older_than: datetime) -> int:
    """Remove local copies whose process was killed: nobody holds their lock any more."""
    removed = 0
    for path in Path(tempfile.gettempdir()).glob(f"{DOWNLOAD}*"):
        with suppress(OSError), path.open("rb") as copy:
            if path.stat().st_mtime < older_than.timestamp():
                fcntl.flock(copy, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                removed += 1
    return removed

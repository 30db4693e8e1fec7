"""Files in a folder of this machine: private, durable once finished, never into the disk's reserve."""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from src.domain.errors import StorageFull
from src.integrations.storage import INCOMING, KEY, Storage, StoredKey, checked_key, checked_new_key
from src.integrations.storage_faults import GONE, NO_ROOM, MissingContent, reading
from src.integrations.storage_upload import Upload

CHECK_EVERY_BYTES = 16 * 1024 * 1024


class DiskStorage(Storage):
    """Folders are 0700 and files 0600, unless it is shared; the root is made when it is first needed."""

    def __init__(self, root: Path, *, reserve_bytes: int = 0, is_shared: bool = False) -> None:
        self.root = root.absolute()
        self.reserve_bytes = reserve_bytes
        self.folder_mode, self.file_mode = (0o777, 0o666) if is_shared else (0o700, 0o600)

    def create(self, key: str) -> Upload:
        path = self.root / checked_new_key(key)
        return DiskUpload(self, key, path)

    def open(self, key: str) -> BinaryIO:
        path = self.root / checked_key(key)
        with reading():
            return path.open("rb")

    def size(self, key: str) -> int:
        path = self.root / checked_key(key)
        with reading():
            status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise MissingContent(GONE)
        return status.st_size

    def delete(self, key: str) -> None:
        path = self.root / checked_key(key)
        with suppress(MissingContent), reading():
            path.unlink()

    def keys(self, older_than: datetime) -> Iterator[StoredKey]:
        return self._older(self.root, older_than)

    def sweep_unfinished(self, older_than: datetime) -> int:
        unfinished = list(self._older(self.root / INCOMING, older_than))
        for stored in unfinished:
            self.delete(stored.key)
        return len(unfinished)

    @contextmanager
    def local_path(self, key: str) -> Iterator[Path]:
        self.size(key)
        yield self.root / key

    def free_bytes(self) -> int:
        nearest = next(folder for folder in (self.root, *self.root.parents) if folder.exists())
        return shutil.disk_usage(nearest).free

    def check(self) -> None:
        self.create("check").discard()

    def keep_reserve(self) -> None:
        """Stop before the reserve is touched: the database may live on the same disk."""
        if self.free_bytes() < self.reserve_bytes:
            raise StorageFull(NO_ROOM)

    def _older(self, folder: Path, older_than: datetime) -> Iterator[StoredKey]:
        with reading():
            for path, status in _regular_files(folder):
                modified = datetime.fromtimestamp(status.st_mtime, UTC)
                if modified < older_than:
                    yield StoredKey(path.relative_to(self.root).as_posix(), status.st_size, modified)


class DiskUpload(Upload):
    """A temporary beside the files, on the same file system, renamed when it is complete."""

    chunk_bytes = 256 * 1024

    def __init__(self, storage: DiskStorage, key: str, path: Path) -> None:
        super().__init__(key)
        self._storage = storage
        self._path = path
        self._temporary = storage.root / INCOMING / uuid4().hex
        self._descriptor = -1
        self._unchecked = 0
        with self._discarded_on_failure():
            storage.keep_reserve()
            make_folder(self._temporary.parent, storage.folder_mode)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(self._temporary, flags, storage.file_mode)

    def fileno(self) -> int:
        self._must_be_open()
        return self._descriptor

    def _send(self, chunk: bytes) -> None:
        self._unchecked += len(chunk)
        if self._unchecked >= CHECK_EVERY_BYTES:
            self._storage.keep_reserve()
            self._unchecked = 0
        rest = memoryview(chunk)
        while rest:  # a disk that fills up takes a part of a write before it refuses the next
            rest = rest[os.write(self._descriptor, rest) :]

    def _complete(self, rest: bytes) -> None:
        self._send(rest)
        os.fsync(self._descriptor)
        make_folder(self._path.parent, self._storage.folder_mode)
        self._temporary.rename(self._path)
        sync_folder(self._path.parent)
        os.close(self._descriptor)

    def _abort(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._temporary.unlink(missing_ok=True)


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Make what is missing of a path so that it is still there after a power cut."""
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    for part in reversed(missing):
        part.mkdir(mode=mode, exist_ok=True)
        sync_folder(part.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _regular_files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Files below a folder; what vanishes meanwhile or bears a name that is not ours is passed by."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if KEY.fullmatch(entry.name)]
    except FileNotFoundError:
        return
    for name in names:
        path = folder / name
        with suppress(FileNotFoundError):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                yield path, status
            elif stat.S_ISDIR(status.st_mode):
                yield from _regular_files(path)

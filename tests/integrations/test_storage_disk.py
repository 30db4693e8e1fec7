"""The folder store: private, durable, and polite to a disk that fills up."""

import errno
import os
import resource
import stat
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from src.domain.errors import StorageFull
from src.integrations.storage import Storage
from src.integrations.storage_disk import DiskStorage
from src.integrations.storage_faults import MissingContent, StorageUnavailable, storage_failure

MIB = 1024 * 1024
KEY = "files/ab/cd/one"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def storage(root: Path) -> DiskStorage:
    return DiskStorage(root)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting takes root; the same faults without a mount are tested above")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def put(storage: Storage, content: bytes, key: str = KEY) -> None:
    with storage.create(key) as upload:
        upload.write(content)
        upload.finish()


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_folders_and_files_are_for_the_service_alone(storage: DiskStorage, root: Path) -> None:
    mask = os.umask(0)
    try:
        put(storage, b"x")
        unfinished = storage.create("files/ef/two")
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [root, *root.rglob("*")]}
        unfinished.discard()
    finally:
        os.umask(mask)
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if not path.is_dir()} == {0o600}


def test_bytes_reach_the_disk_before_the_name_and_the_name_before_the_answer(
    storage: DiskStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[str, str]] = []
    fsync, rename = os.fsync, os.rename

    def seen_fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        steps.append(("fsync", str(path.relative_to(root.parent)).partition("incoming/")[0]))
        fsync(descriptor)

    def seen_rename(source: Path, target: Path) -> None:
        steps.append(("rename", str(Path(target).relative_to(root.parent))))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "rename", seen_rename)
    put(storage, b"x")
    made = [("fsync", "."), ("fsync", "store")]  # the names of the root, and of incoming/ in it
    temporary = [("fsync", "store/")]
    folders = [("fsync", "store"), ("fsync", "store/files"), ("fsync", "store/files/ab")]
    named = [("rename", f"store/{KEY}"), ("fsync", "store/files/ab/cd")]
    assert steps == made + temporary + folders + named


def test_a_full_disk_refuses_the_upload_and_keeps_nothing_of_it(storage: DiskStorage, root: Path) -> None:
    upload = storage.create(KEY)
    upload.write(b"x" * MIB)
    full = os.open("/dev/full", os.O_WRONLY)  # answers every write as a disk without room does
    os.dup2(full, upload.fileno())
    os.close(full)
    with pytest.raises(StorageFull, match="free space"):
        upload.write(b"x" * MIB)
    assert files(root) == []
    with pytest.raises(ValueError, match="discarded"):
        upload.fileno()


def test_a_disk_that_fills_up_with_the_last_bytes_refuses_too(storage: DiskStorage, root: Path) -> None:
    upload = storage.create(KEY)
    upload.write(b"x")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, upload.fileno())
    os.close(full)
    with pytest.raises(StorageFull):
        upload.finish()
    assert files(root) == []


def test_a_file_larger_than_the_file_system_allows_finds_no_room(storage: DiskStorage, root: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    upload = storage.create(KEY)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB + 1, limits[1]))
    try:
        with pytest.raises(StorageFull):
            upload.write(b"x" * 2 * MIB)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files(root) == []


def test_a_small_file_system_recovers_when_the_upload_is_refused(small_disk: Path) -> None:
    storage = DiskStorage(small_disk / "store")
    put(storage, b"y" * MIB, "files/before")
    free = storage.free_bytes()
    with pytest.raises(StorageFull):
        put(storage, b"x" * 8 * MIB)
    assert storage.free_bytes() == free
    assert storage.size("files/before") == MIB
    put(storage, b"z" * MIB)
    assert files(storage.root) == [KEY, "files/before"]


def test_a_read_only_file_system_is_out_of_order(small_disk: Path) -> None:
    storage = DiskStorage(small_disk / "store")
    put(storage, b"x")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for use in (storage.check, lambda: storage.create("files/two"), lambda: storage.delete(KEY)):
        with pytest.raises(StorageUnavailable):
            use()
    assert storage.size(KEY) == 1


def test_the_reserve_of_the_disk_is_kept_from_the_start(root: Path) -> None:
    put(DiskStorage(root), b"x")
    storage = DiskStorage(root, reserve_bytes=2**62)
    for use in (storage.check, lambda: storage.create("files/two")):
        with pytest.raises(StorageFull):
            use()
    assert files(root) == [KEY]
    assert storage.size(KEY) == 1
    storage.delete(KEY)


def test_an_upload_stops_when_the_disk_fills_up_to_the_reserve_meanwhile(root: Path, tmp_path: Path) -> None:
    ballast_bytes = 256 * MIB
    free = DiskStorage(root).free_bytes()
    storage = DiskStorage(root, reserve_bytes=free - ballast_bytes // 2)
    upload = storage.create(KEY)
    upload.write(b"x" * MIB)
    with (tmp_path / "ballast").open("wb") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, ballast_bytes)
    try:
        with pytest.raises(StorageFull):
            upload.write(b"x" * 17 * MIB)
    finally:
        (tmp_path / "ballast").unlink()
    assert files(root) == []


def test_a_root_that_is_no_folder_is_out_of_order(tmp_path: Path, soon: datetime) -> None:
    (tmp_path / "file").write_bytes(b"")
    storage = DiskStorage(tmp_path / "file")
    for use in (storage.check, lambda: storage.create(KEY)):
        with pytest.raises(StorageUnavailable):
            use()
    with pytest.raises(MissingContent):
        list(storage.keys(soon))


def test_files_of_others_in_the_folder_are_left_alone(
    storage: DiskStorage, root: Path, soon: datetime
) -> None:
    put(storage, b"x")
    (root / ".gitkeep").write_bytes(b"")
    (root / "files" / "NOTES.TXT").write_bytes(b"")
    (root / "lost+found").mkdir(mode=0)
    (root / "files" / "link").symlink_to(root / KEY)
    (root / "files" / "loop").symlink_to(root)
    assert [stored.key for stored in storage.keys(soon)] == [KEY]


def test_a_file_that_vanishes_during_a_listing_is_passed_by(storage: DiskStorage, soon: datetime) -> None:
    for number in range(3):
        put(storage, b"x", f"files/{number}")
    listing = storage.keys(soon)
    first = next(listing).key
    for number in range(3):
        storage.delete(f"files/{number}")
    assert list(listing) == []
    assert first.startswith("files/")


def test_the_sweep_removes_only_uploads_that_rest(storage: DiskStorage, root: Path, soon: datetime) -> None:
    put(storage, b"x")
    resting, active = storage.create("files/resting"), storage.create("files/active")
    for temporary in (root / "incoming").iterdir():
        os.utime(temporary, (0, 0))
    active.write(b"x" * MIB)
    assert storage.sweep_unfinished(datetime.fromtimestamp(1000, soon.tzinfo)) == 1
    active.finish()
    with pytest.raises(StorageUnavailable):
        resting.finish()
    assert files(root) == [KEY, "files/active"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_and_no_quota_are_a_full_store(code: int) -> None:
    assert isinstance(storage_failure(OSError(code, "")), StorageFull)


@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS, errno.EACCES, errno.ESTALE])
def test_any_other_fault_of_a_disk_is_an_unavailable_store(code: int) -> None:
    failure = storage_failure(OSError(code, ""))
    assert isinstance(failure, StorageUnavailable)
    assert failure.retry_after

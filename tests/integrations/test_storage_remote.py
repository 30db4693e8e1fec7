"""What the store over any other driver does when its driver or the room for local copies fails."""

import resource
import tempfile
from pathlib import Path
from uuid import uuid4

import pytest

from src.domain.errors import StorageFull
from src.integrations.storage import Storage
from src.integrations.storage_faults import StorageUnavailable
from src.integrations.storage_remote import RemoteStorage

MIB = 1024 * 1024
KEY = "files/ab/cd/one"


@pytest.fixture
def storage() -> RemoteStorage:
    return RemoteStorage(f"memory://{uuid4().hex}")


def put(storage: Storage, content: bytes) -> None:
    with storage.create(KEY) as upload:
        upload.write(content)
        upload.finish()


def test_a_driver_that_refuses_to_begin_is_an_unavailable_store(storage: RemoteStorage) -> None:
    storage.fs.pipe_file(f"{storage.root}/incoming", b"a file where the folder should be")
    with pytest.raises(StorageUnavailable):
        storage.create(KEY)


def test_a_temporary_folder_without_room_is_a_full_store(
    storage: RemoteStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(storage, b"x" * 2 * MIB)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, limits[1]))
    try:
        with pytest.raises(StorageFull), storage.local_path(KEY):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []

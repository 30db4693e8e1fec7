"""Keeping and deleting files: row, bytes and quota go together."""

import os
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from src.domain.files import storage_key
from src.domain.ids import uuid7
from src.domain.roles import Actor
from src.engine.sandbox import EngineCrashed, Stopped, never
from src.integrations.storage_faults import MissingContent
from src.models import File
from src.repositories.accounts import QuotaExceeded
from src.repositories.files import FileNotFound
from src.services.files import FileCorrupt, checked_beside
from src.tasks.lease import Interrupted
from src.wiring import EXTENSION, adapters, services
from tests.committing import Workshop
from tests.factories.files import TABLE


@pytest.fixture
def owner(workshop: Workshop) -> Actor:
    return workshop.files.owner()


def stored_bytes(owner: Actor) -> int:
    with services() as s:
        return s.account_rows.get(owner.account_id).stored_bytes


def test_a_kept_file_counts_against_the_quota_and_a_deleted_one_no_longer(
    workshop: Workshop, owner: Actor
) -> None:
    first, _ = workshop.files.add(owner), workshop.files.add(owner)
    assert stored_bytes(owner) == 2 * len(TABLE)
    with services() as s:
        s.files.delete(s.file_rows.get(first.id), owner)
    assert stored_bytes(owner) == len(TABLE)


def test_what_the_service_made_is_kept_for_a_shorter_time_than_uploads(
    workshop: Workshop, owner: Actor
) -> None:
    uploaded = workshop.files.add(owner)
    with adapters().storage.create(storage_key(uuid7())) as upload:
        upload.write(TABLE)
        upload.finish()
    with services() as s:
        made = s.files.keep_produced(upload, owner_id=owner.account_id, name="a.csv", media_type="text/csv")
    settings = workshop.settings
    assert [_days(file) for file in (uploaded, made)] == [settings.upload_days, settings.produced_days]


def _days(file: File) -> int:
    assert file.expires_at is not None
    return round((file.expires_at - file.created_at) / timedelta(days=1))


def test_bytes_go_after_the_commit_and_stay_when_it_is_rolled_back(workshop: Workshop, owner: Actor) -> None:
    file = workshop.files.add(owner)
    with pytest.raises(KeyError), services() as s:
        s.files.delete(s.file_rows.get(file.id), owner)
        raise KeyError
    assert adapters().storage.size(file.storage_key) == len(TABLE)
    assert stored_bytes(owner) == len(TABLE)
    with services() as s:
        s.files.delete(s.file_rows.get(file.id), owner)
        assert adapters().storage.size(file.storage_key) == len(TABLE)
    with pytest.raises(MissingContent):
        adapters().storage.size(file.storage_key)


def test_of_twins_that_delete_the_same_file_one_gives_the_room_back(workshop: Workshop, owner: Actor) -> None:
    file, _ = workshop.files.add(owner), workshop.files.add(owner)

    def delete(_: int) -> str:
        try:
            with services() as s:
                s.files.delete(s.file_rows.get(file.id), owner)
        except FileNotFound:
            return "gone"
        return "deleted"

    assert sorted(workshop.together(delete, 4)) == ["deleted", "gone", "gone", "gone"]
    assert stored_bytes(owner) == len(TABLE)


def test_twins_cannot_both_take_the_last_room(workshop: Workshop, owner: Actor) -> None:
    settings = replace(workshop.settings, quota_bytes=len(TABLE) * 3 // 2)
    workshop.app.extensions[EXTENSION] = replace(workshop.adapters, settings=settings)

    def keep(_: int) -> str:
        try:
            workshop.files.add(owner)
        except QuotaExceeded:
            return "refused"
        return "kept"

    assert sorted(workshop.together(keep, 4)) == ["kept", "refused", "refused", "refused"]
    assert stored_bytes(owner) == len(TABLE)


MIB = 2**20


def a_hole(folder: Path, size: int) -> Path:
    """A file of so many bytes that takes no room."""
    path = folder / "hole"
    path.touch()
    os.truncate(path, size)
    return path


def test_that_bytes_are_wrong_is_told_in_place_of_what_came_of_it(tmp_path: Path) -> None:
    hole = a_hole(tmp_path, 64 * MIB)
    with pytest.raises(FileCorrupt), checked_beside(hole, File(sha256="other"), never):
        raise EngineCrashed("before that is known")
    with checked_beside(hole, File(sha256="other"), never) as prove:
        for _ in range(2):
            with pytest.raises(FileCorrupt):
                prove()


def test_a_failure_that_has_nothing_to_do_with_the_bytes_is_told_as_it_is(workshop: Workshop) -> None:
    file = workshop.files.add()
    with adapters().storage.local_path(file.storage_key) as path:
        with pytest.raises(EngineCrashed), checked_beside(path, file, never):
            raise EngineCrashed("for another reason")
        with checked_beside(path, file, never) as prove:
            prove()


def test_nobody_checks_any_longer_when_the_work_is_over_or_unwanted(tmp_path: Path) -> None:
    hole = a_hole(tmp_path, 2**20 * MIB)  # to check it would take ten minutes
    with checked_beside(hole, File(sha256="other"), never):
        pass
    with pytest.raises(KeyboardInterrupt), checked_beside(hole, File(sha256="other"), never):
        raise KeyboardInterrupt
    with pytest.raises(Stopped), checked_beside(hole, File(sha256="other"), lambda: True) as prove:
        prove()
    with pytest.raises(Interrupted), checked_beside(hole, File(sha256="other"), lambda: True):
        raise Interrupted(is_cancel=True)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("checking")]

"""Rows of files: found for housekeeping, and seen by their owner only."""

import pytest
from sqlalchemy import text

from src.domain.ids import uuid7
from src.domain.roles import Actor
from src.repositories.files import FileNotFound
from src.wiring import services
from tests.committing import Workshop
from tests.factories.files import TABLE


@pytest.fixture
def owner(workshop: Workshop) -> Actor:
    return workshop.files.owner()


def test_a_file_is_given_to_its_owner_and_to_who_may_see_all(workshop: Workshop, owner: Actor) -> None:
    file = workshop.files.add(owner)
    with services() as s:
        assert s.file_rows.get_own(file.id, owner.account_id).id == file.id
        assert s.file_rows.get_own(file.id, None).id == file.id
        for asker in (workshop.jobs.owner(), uuid7()):
            with pytest.raises(FileNotFound):
                s.file_rows.get_own(file.id, asker)


def test_expired_files_come_in_the_order_of_their_end(workshop: Workshop, owner: Actor) -> None:
    ends = [text(f"clock_timestamp() - interval '{seconds} s'") for seconds in (10, 30, 20)]
    middle, first, _ = [workshop.files.add(owner, expires_at=end).id for end in ends]
    workshop.files.add(owner)
    workshop.files.add(owner, expires_at=None)
    with services() as s:
        expired = [file.id for file in s.file_rows.expired(10)]
        assert (expired[0], expired[-1], len(expired)) == (first, middle, 3)
        assert len(s.file_rows.expired(2)) == 2


def test_the_keys_that_rows_point_to_are_known(workshop: Workshop, owner: Actor) -> None:
    file = workshop.files.add(owner)
    with services() as s:
        assert s.file_rows.known_keys([file.storage_key, "files/ab/cd/none"]) == {file.storage_key}
        assert s.file_rows.known_keys([]) == set()


def test_all_files_come_in_slices_each_once(workshop: Workshop, owner: Actor) -> None:
    ids = [workshop.files.add(owner).id for _ in range(5)]
    seen, last = [], None
    with services() as s:
        while some := s.file_rows.after(last, 2):
            seen += [file.id for file in some]
            last = seen[-1]
    assert seen == ids


def test_bytes_are_added_up_by_owner(workshop: Workshop, owner: Actor) -> None:
    workshop.files.add(owner)
    workshop.files.add(owner)
    other = workshop.files.add().owner_id
    with services() as s:
        assert s.file_rows.bytes_by_owner() == {owner.account_id: 2 * len(TABLE), other: len(TABLE)}

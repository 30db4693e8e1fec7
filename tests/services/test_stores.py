"""A database and its store bear the same id; every other pair is refused, and a crash between them is mended."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from src.services.stores import WrongStore
from src.wiring import services
from tests.committing import Workshop

WEEK = timedelta(weeks=1)


def name() -> None:
    with services() as s:
        s.stores.name()


def mark() -> None:
    with services() as s:
        s.stores.mark_as_named()


def pair() -> None:
    name()
    mark()


def check() -> None:
    with services() as s:
        s.stores.check()


def ids(workshop: Workshop) -> tuple[UUID | None, UUID | None]:
    """Of the database's store, and of the one that is there."""
    with services() as s:
        return s.session.scalars(text("SELECT id FROM store")).one_or_none(), s.stores.mark()


@pytest.fixture
def path(workshop: Workshop) -> Path:
    return Path(workshop.settings.storage_url) / "store-id"


def test_before_the_first_start_neither_bears_an_id(workshop: Workshop) -> None:
    check()
    assert ids(workshop) == (None, None)


def test_both_bear_the_same_id_and_keep_it(workshop: Workshop, path: Path) -> None:
    pair()
    first = ids(workshop)
    assert first[0] == first[1] is not None
    written = path.stat().st_mtime_ns
    pair()
    check()
    assert (ids(workshop), path.stat().st_mtime_ns) == (first, written)


def test_twins_agree(workshop: Workshop) -> None:
    workshop.together(lambda _: pair(), 4)
    check()


def test_a_crash_before_the_store_is_marked_is_gone_on_from(workshop: Workshop) -> None:
    name()
    check()
    pair()
    assert None not in ids(workshop)


def test_a_crash_after_the_store_is_marked_is_gone_on_from(workshop: Workshop) -> None:
    pair()
    with services() as s:
        s.session.execute(text("UPDATE store SET is_marked = false"))
    before = ids(workshop)
    pair()
    assert ids(workshop) == before


def test_another_store_is_refused(workshop: Workshop, path: Path) -> None:
    pair()
    path.write_text(f"{uuid4()}\n")
    with pytest.raises(WrongStore, match="the database's has"):
        check()
    with pytest.raises(WrongStore):
        pair()


def test_a_store_that_is_not_mounted_is_refused(workshop: Workshop, path: Path) -> None:
    pair()
    path.unlink()
    with pytest.raises(WrongStore, match="is it mounted"):
        check()
    with pytest.raises(WrongStore):
        pair()
    assert not path.exists()


def test_a_new_database_does_not_take_a_store_that_has_one(workshop: Workshop, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f"{uuid4()}\n")
    with pytest.raises(WrongStore, match="knows of no store"):
        pair()


def test_a_mark_that_is_damaged_is_refused(workshop: Workshop, path: Path) -> None:
    pair()
    path.write_bytes(b"\xff\xfe nothing")
    with pytest.raises(WrongStore, match="no id"):
        check()


def test_an_adopted_store_is_the_database_s_own_and_no_longer_another_s(
    workshop: Workshop, path: Path
) -> None:
    foreign = uuid4()
    path.parent.mkdir(parents=True)
    path.write_text(f"{foreign}\n")
    with services() as s:
        adopted = s.stores.adopt()
    check()
    assert ids(workshop) == (adopted, adopted)
    assert adopted != foreign


def test_nothing_is_swept_from_another_s_store(workshop: Workshop, path: Path) -> None:
    file = workshop.files.add()
    with services() as s:
        s.session.execute(text("DELETE FROM file WHERE id = :id"), {"id": file.id})
    workshop.files.add()
    pair()
    mine = path.read_text()
    path.write_text(f"{uuid4()}\n")
    with pytest.raises(WrongStore), services() as s:
        s.housekeeping.sweep_storage(age=-WEEK)
    assert (path.parent / file.storage_key).exists()
    path.write_text(mine)
    with services() as s:
        assert s.housekeeping.sweep_storage(age=-WEEK) == 1
    assert not (path.parent / file.storage_key).exists()
    assert path.exists()

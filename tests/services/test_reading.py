"""Looking into strangers' files: so many at a time, and as far as the settings say."""

from contextlib import ExitStack
from dataclasses import replace

import pytest

from src.config import MIB, Settings
from src.services.reading import Readers, ReadersBusy, read_limits


@pytest.fixture
def readers(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Readers:
    monkeypatch.setattr("src.services.reading.PATIENCE", 0.05)
    return Readers(replace(settings, max_readers=2))


def test_no_more_than_so_many_have_their_turn(readers: Readers) -> None:
    with ExitStack() as turns:
        for _ in range(2):
            turns.enter_context(readers.turn())
        with pytest.raises(ReadersBusy) as refused, readers.turn():
            pass
        assert refused.value.retry_after == 5
    with readers.turn(), readers.turn():
        pass


def test_who_fails_gives_the_turn_back(readers: Readers) -> None:
    for _ in range(5):
        with pytest.raises(KeyError), readers.turn():
            raise KeyError


def test_what_may_be_unpacked_follows_what_may_be_sent(settings: Settings) -> None:
    small, large = (read_limits(replace(settings, max_upload_bytes=size)) for size in (10 * MIB, 2048 * MIB))
    assert small.unpacked_bytes == 80 * MIB
    assert large.unpacked_bytes == 16_384 * MIB
    assert small.workbook_bytes == large.workbook_bytes

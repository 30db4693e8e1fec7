"""What is put off is done in order, by the thread that put it off, whatever fails among it."""

import logging
import threading
from collections.abc import Iterator

import pytest

from src.database import Database
from src.meanwhile import catch_up, is_behind, put_off
from tests.committing import Workshop, own_settings, workshop

__all__ = ["own_settings", "workshop"]


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    assert not is_behind()


def test_all_of_it_is_done_in_order_also_behind_what_fails(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []
    for action in (lambda: done.append(1), lambda: done[7], lambda: done.append(2)):
        put_off(action)
    assert is_behind()
    catch_up()
    catch_up()
    assert done == [1, 2]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_each_thread_does_its_own() -> None:
    done: list[int] = []
    put_off(lambda: done.append(1))
    other = threading.Thread(target=catch_up)
    other.start()
    other.join()
    assert done == []
    catch_up()
    assert done == [1]


def test_it_is_done_while_the_database_works(workshop: Workshop) -> None:
    database: Database = workshop.database
    done: list[int] = []
    put_off(lambda: done.append(1))
    assert database.ask("SELECT $1::int FROM pg_sleep(0.05)", 7) == [(b"7",)]
    assert done == [1]

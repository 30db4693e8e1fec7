"""A service with a database of one test's own, where commits are real: for what several connections see."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import text

from src.config import Settings
from src.database import Database, Limits, make_engine
from src.integrations.storage_choice import open_storage
from src.queue import HintQueue
from src.wiring import EXTENSION, Adapters
from tests.databases import clone, drop
from tests.factories.accounts import Accounts
from tests.factories.files import Files
from tests.factories.jobs import Jobs

T = TypeVar("T")
TEST = Limits("test", statement_ms=20_000, idle_ms=120_000)  # whoever holds a lock in a test holds on to it


class NotedHints(HintQueue):
    """Hints that go nowhere but into a list; it can be told to be away, or how deep its queue is."""

    def __init__(self) -> None:
        self.sent: list[UUID] = []
        self.is_away = False
        self.waiting: int | None = 0

    def publish(self, job_id: UUID) -> bool:
        if not self.is_away:
            self.sent.append(job_id)
        return not self.is_away

    def depth(self) -> int | None:
        return None if self.is_away else self.waiting


class Workshop:
    """What a test with real commits needs: the application, its adapters, factories, and threads."""

    def __init__(self, app: Flask, adapters: Adapters, hints: NotedHints) -> None:
        self.app = app
        self.adapters = adapters
        self.settings = adapters.settings
        self.database = adapters.database
        self.hints = hints
        self.accounts = Accounts(app)
        self.jobs = Jobs(adapters.database)
        self.files = Files(app)
        self._others: list[Database] = []

    def another_database(self, limits: Limits = TEST) -> Database:
        """The same database through connections of its own, as another process has them."""
        self._others.append(Database(make_engine(self.settings.database_url, limits)))
        return self._others[-1]

    def close(self) -> None:
        for database in (self.database, *self._others):
            database.bind.engine.dispose()

    def await_lock_waiters(self, count: int) -> None:
        """Return when so many sessions of this database wait for a lock."""
        asked = text("""SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'""")
        deadline = time.monotonic() + 60  # on a busy machine an import takes that long to get there
        while time.monotonic() < deadline:
            with self.database.unit_of_work() as session:
                if session.scalars(asked).one() == count:
                    return
            time.sleep(0.01)
        raise AssertionError(f"there were never {count} sessions waiting")

    def in_thread(self, work: Callable[[], T]) -> "Future[T]":
        """Run this in a thread of its own, inside the application."""
        executor = ThreadPoolExecutor(1)

        def inside() -> T:
            with self.app.app_context():
                return work()

        future = executor.submit(inside)
        executor.shutdown(wait=False)
        return future

    def together(self, work: Callable[[int], T], count: int) -> list[T]:
        """Run this so many times at the same moment; answers what each gave, or raises what one raised."""
        start = threading.Barrier(count)

        def on_the_mark(number: int) -> T:
            start.wait(timeout=20)
            return work(number)

        futures = [self.in_thread(partial(on_the_mark, number)) for number in range(count)]
        return [future.result(timeout=60) for future in futures]


@pytest.fixture
def own_settings(settings: Settings, template: str, tmp_path: Path) -> Iterator[Settings]:
    """The settings of the service, with a database and a store of this test's own."""
    url = clone(template, f"own_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}")
    yield replace(settings, database_url=url, storage_url=str(tmp_path / "files"), var_dir=tmp_path)
    drop(url)


@pytest.fixture
def workshop(session_app: Flask, own_settings: Settings) -> Iterator[Workshop]:
    """The application on a database of its own, with hints that are only noted."""
    original: Adapters = session_app.extensions[EXTENSION]
    hints = NotedHints()
    database = Database(make_engine(own_settings.database_url, TEST))
    storage = open_storage(own_settings.storage_url, reserve_bytes=0)
    adapters = replace(original, settings=own_settings, database=database, storage=storage, hints=hints)
    session_app.extensions[EXTENSION] = adapters
    with session_app.app_context():
        workshop = Workshop(session_app, adapters, hints)
        yield workshop
    workshop.close()
    session_app.extensions[EXTENSION] = original

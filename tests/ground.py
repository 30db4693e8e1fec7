"""What all tests of a file find made: it is there once, and what each of them writes is rolled back to it.

A file takes the fixtures of this module by importing them; `ground` is where it makes what it needs.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Connection, Engine

from src.database import Database
from src.integrations.storage_choice import open_storage
from src.wiring import EXTENSION, Adapters


@dataclass(frozen=True)
class Ground:
    """A transaction of a whole file of tests, and a store."""

    app: Flask
    connection: Connection
    store: Path

    @contextmanager
    def open(self) -> Iterator[Flask]:
        """The application, making what stays for the file."""
        with working_on(self.app, self.connection, self.store):
            yield self.app


@contextmanager
def working_on(app: Flask, connection: Connection, store: Path) -> Iterator[None]:
    """Let the application work on this connection and this store."""
    original: Adapters = app.extensions[EXTENSION]
    app.extensions[EXTENSION] = replace(
        original,
        database=Database(connection),
        storage=open_storage(str(store), reserve_bytes=0),
        settings=replace(original.settings, storage_url=str(store)),
    )
    try:
        with app.app_context():
            yield
    finally:
        app.extensions[EXTENSION] = original


@pytest.fixture(scope="module")
def ground(session_app: Flask, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with engine.connect() as connection:
        transaction = connection.begin()
        yield Ground(session_app, connection, tmp_path_factory.mktemp("ground") / "files")
        transaction.rollback()


@pytest.fixture
def connection(ground: Ground) -> Iterator[Connection]:
    """The connection of the file; what the test writes is rolled back."""
    savepoint = ground.connection.begin_nested()
    yield ground.connection
    savepoint.rollback()


@pytest.fixture
def app(ground: Ground, connection: Connection, tmp_path: Path) -> Iterator[Flask]:
    """The application, with a store of the test's own that holds what the file's holds."""
    store = tmp_path / "files"
    if ground.store.exists():
        shutil.copytree(ground.store, store)
    with working_on(ground.app, connection, store):
        yield ground.app

"""The real PostgreSQL, migrated once and cloned per worker; each test's writes are rolled back."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, Engine

from src.app import create_app, make_adapters
from src.config import Settings
from src.database import COMMAND, make_engine
from src.embedded import EmbeddedServers
from src.services.passwords import PasswordHasher
from src.wiring import EXTENSION, Adapters, Services
from tests.databases import clone, drop, hurry, make_template
from tests.factories.accounts import Accounts, Caller
from tests.ground import working_on

HERE = Path(__file__).parent
SECRET = "a secret for tests that is long enough to be one"


def pytest_configure() -> None:
    """In the background of a shell a suite ignores interrupts, and so would every program that it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of whole programs wait for these. They come first, while the large groups use the processors: at the
    end all workers would wait at once."""
    items.sort(key=lambda item: item.path.parent != HERE)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Whole files are no names of tests, and archives differ by the second in which they are made."""
    return "file" if isinstance(val, bytes) and len(val) > 60 else None


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all workers of this run."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def servers(shared_folder: Path) -> Iterator[EmbeddedServers]:
    """PostgreSQL and Redis for this run; whoever comes last stops them."""
    with EmbeddedServers(shared_folder / "servers") as running:
        hurry(running.database_url)
        yield running


@pytest.fixture(scope="session")
def template(servers: EmbeddedServers, shared_folder: Path) -> str:
    """The URL of a database with every migration applied, made by the first worker that needs it."""
    with FileLock(shared_folder / "template.lock"):
        return make_template(servers.database_url)


@pytest.fixture(scope="session")
def settings(
    servers: EmbeddedServers, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Settings of a service with a database of its own."""
    folder = tmp_path_factory.mktemp("service")
    url = clone(template, f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}")
    yield Settings(
        database_url=url,
        redis_url=servers.redis_url,
        jwt_secret=SECRET,
        storage_url=str(folder / "files"),
        var_dir=folder,
        registration="open",
        rate_limits=False,
        disk_reserve_bytes=0,
        log_dir="",
        log_level="WARNING",
    )
    drop(url)


@pytest.fixture(scope="session")
def session_app(settings: Settings) -> Iterator[Flask]:
    cheap = PasswordHasher(
        passes=1, kibibytes=8
    )  # nearly each test makes accounts: the real price is the CPU's
    adapters = replace(make_adapters(settings, COMMAND), hasher=cheap)
    app = create_app(adapters=adapters)
    app.testing = True
    yield app
    adapters.database.bind.engine.dispose()


@pytest.fixture(scope="session")
def engine(settings: Settings) -> Iterator[Engine]:
    """Connections that wait for as long as a test thinks."""
    engine = make_engine(settings.database_url, replace(COMMAND, idle_ms=0))
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A connection whose outer transaction is rolled back; commits in between are savepoints."""
    with engine.connect() as connection:
        transaction = connection.begin()
        yield connection
        transaction.rollback()


@pytest.fixture
def app(session_app: Flask, connection: Connection, tmp_path: Path) -> Iterator[Flask]:
    """The application, working on the connection that is rolled back, with an empty store."""
    with working_on(session_app, connection, tmp_path / "files"):
        yield session_app


@pytest.fixture
def adapters(app: Flask) -> Adapters:
    found: Adapters = app.extensions[EXTENSION]
    return found


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def services(adapters: Adapters) -> Iterator[Services]:
    """The services in one unit of work, for tests below the API."""
    with adapters.database.unit_of_work() as session:
        yield Services(session, adapters)


@pytest.fixture
def accounts(app: Flask) -> Accounts:
    """Makes accounts and logs them in."""
    return Accounts(app)


@pytest.fixture
def viewer(accounts: Accounts) -> Caller:
    return accounts.caller("viewer")


@pytest.fixture
def operator(accounts: Accounts) -> Caller:
    return accounts.caller("operator")


@pytest.fixture
def admin(accounts: Accounts) -> Caller:
    return accounts.caller("admin")

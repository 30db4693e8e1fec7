"""create_app: the application that the web server, the worker, the scheduler and the commands share."""

import gc
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from flask import Flask
from flask_alembic import Alembic
from sqlalchemy.exc import ProgrammingError

from src import logs
from src.api import registration
from src.cli import registration as commands
from src.cli.output import settings_errors_as_messages
from src.config import Settings, SettingsError
from src.database import COMMAND, WEB, Database, Limits, make_engine
from src.domain.errors import DomainError
from src.domain.events import OrderIsFixed
from src.embedded import resolve
from src.integrations.storage import open_storage
from src.models import Base
from src.models.base import is_compared
from src.queue import HintQueue
from src.services.passwords import PasswordHasher
from src.services.reading import Readers
from src.services.stores import WrongStore
from src.wiring import EXTENSION, Adapters, services

log = logging.getLogger(__name__)
MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"
NOT_TO_BE_LOADED = 4  # by this exit code gunicorn knows that another process would fare no better


def create_app(
    settings: Settings | None = None, adapters: Adapters | None = None, *, limits: Limits = COMMAND
) -> Flask:
    """The application, as the environment says; PostgreSQL and Redis are embedded when no URL is set."""
    with settings_errors_as_messages():
        settings = resolve(settings or Settings.from_env()) if adapters is None else adapters.settings
        if not settings.jwt_secret:
            raise SettingsError(
                "JWT_SECRET is not set: make one with «openssl rand -hex 32», or run «make env»."
            )
        logs.configure(
            level=settings.log_level,
            style=settings.log_format,
            folder="" if settings.log_dir == "off" else settings.log_dir,
        )
        return _assembled(settings, adapters or make_adapters(settings, limits))


class Application(Flask):
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """No function here is a coroutine; asking each of them, at each request, took a twentieth of it."""
        return func


def _assembled(settings: Settings, adapters: Adapters) -> Flask:
    app = Application("indicators", static_folder=None)
    app.extensions[EXTENSION] = adapters
    _add_migrations(app, adapters)
    registration.register(app, settings)
    commands.register(app)
    return app


def create_web() -> Flask:
    """For the web server: no request waits as long as a command may."""
    with settings_errors_as_messages(program_code=NOT_TO_BE_LOADED):
        app = create_program(Settings.from_env(), WEB)
    gc.collect()
    gc.freeze()  # what is there now stays; looking through it again took a tenth of each batch's time
    return app


def create_program(settings: Settings, limits: Limits) -> Flask:
    """For what works on its own: only with the store and the order of events that the database has."""
    app = create_app(settings, limits=limits)
    with app.app_context():
        for check in (check_store, check_event_order):
            try:
                check()
            except (DomainError, ProgrammingError, psycopg.ProgrammingError) as error:
                log.warning("the database is away or not migrated yet, and could not be looked at: %s", error)
    return app


def check_store() -> None:
    try:
        with services() as s:
            s.stores.check()
    except WrongStore as error:
        raise SettingsError(f"{error.title}. {error.detail}") from error


def check_event_order() -> None:
    try:
        with services() as s:
            s.events.check_order()
    except OrderIsFixed as error:
        raise SettingsError(error.detail) from error


def make_adapters(settings: Settings, limits: Limits) -> Adapters:
    """What this process has of the world outside."""
    return Adapters(
        settings=settings,
        database=Database(make_engine(settings.database_url, limits)),
        storage=open_storage(
            settings.storage_url,
            reserve_bytes=settings.disk_reserve_bytes,
            s3_endpoint_url=settings.s3_endpoint_url,
        ),
        hints=HintQueue(settings.redis_url),
        hasher=PasswordHasher(),
        readers=Readers(settings),
    )


def _add_migrations(app: Flask, adapters: Adapters) -> None:
    """flask-alembic, with our folder and our engine; the heads are read once, for the readiness check."""
    app.config["ALEMBIC"] = {"script_location": str(MIGRATIONS)}
    app.config["ALEMBIC_CONTEXT"] = {
        "compare_type": True,
        "compare_server_default": False,
        "include_object": is_compared,
    }
    alembic = Alembic(
        metadatas=Base.metadata, engines=adapters.database.bind.engine, run_mkdir=False, command_name=""
    )
    alembic.init_app(app)
    with app.app_context():
        app.extensions["migration_heads"] = set(alembic.script_directory.get_heads())


if __name__ == "__main__":
    from src.cli.processes import up

    up()

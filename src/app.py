"""The application: what all programs share, with commands for `flask` and the API for whoever asks it."""

import gc
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import psycopg
from flask import Flask
from flask.cli import FlaskGroup
from sqlalchemy.exc import ProgrammingError

from src import logs
from src.cli.output import settings_errors_as_messages
from src.config import Settings, SettingsError
from src.database import COMMAND, WEB, Database, Limits, make_engine
from src.domain.errors import DomainError
from src.domain.events import OrderIsFixed
from src.embedded import resolve
from src.integrations.storage_choice import open_storage
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
    """All of it: commands, and the API, which takes a while to put together and which commands do without."""
    from src.cli import registration as commands

    app = _without_entrypoints(settings, adapters, limits)
    _add_migrations(app)
    commands.register(app)
    if not _is_for_a_command():
        from src.api import registration as api

        api.register(app, _adapters_of(app).settings)
    return app


def create_web() -> Flask:
    """For the web server: no request waits as long as a command may."""
    with settings_errors_as_messages(program_code=NOT_TO_BE_LOADED):
        app = _checked(create_app(Settings.from_env(), limits=WEB))
    gc.collect()
    gc.freeze()  # what is there now stays; looking through it again took a tenth of each batch's time
    return app


def create_program(settings: Settings, limits: Limits) -> Flask:
    """For what works on its own, and is asked by nobody: with neither commands nor the API."""
    return _checked(_without_entrypoints(settings, None, limits))


def _is_for_a_command() -> bool:
    """`flask` looks for one of ours; its own, `run` or `routes`, ask for the application themselves."""
    context = click.get_current_context(silent=True)
    return context is not None and isinstance(context.command, FlaskGroup)


class Application(Flask):
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """No function here is a coroutine; asking each of them, at each request, took a twentieth of it."""
        return func


def _without_entrypoints(settings: Settings | None, adapters: Adapters | None, limits: Limits) -> Flask:
    """As the environment says; PostgreSQL and Redis are embedded when no URL is set."""
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
        app = Application("indicators", static_folder=None)
        app.extensions[EXTENSION] = adapters or make_adapters(settings, limits)
        return app


def _adapters_of(app: Flask) -> Adapters:
    found: Adapters = app.extensions[EXTENSION]
    return found


def _checked(app: Flask) -> Flask:
    """Only with the store and the order of events that the database has."""
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


def _add_migrations(app: Flask) -> None:
    """flask-alembic, with our folder and our engine; the heads are read once, for the readiness check."""
    from flask_alembic import Alembic

    from src.models import Base
    from src.models.base import is_compared

    app.config["ALEMBIC"] = {"script_location": str(MIGRATIONS)}
    app.config["ALEMBIC_CONTEXT"] = {
        "compare_type": True,
        "compare_server_default": False,
        "include_object": is_compared,
    }
    engine = _adapters_of(app).database.bind.engine
    alembic = Alembic(metadatas=Base.metadata, engines=engine, run_mkdir=False, command_name="")
    alembic.init_app(app)
    with app.app_context():
        app.extensions["migration_heads"] = set(alembic.script_directory.get_heads())


if __name__ == "__main__":
    from src.cli.processes import up

    up()

"""Databases for tests: one is migrated, the others are cloned from it, which takes a tenth of a second."""

import time
from pathlib import Path

import psycopg
from flask import Flask
from flask_alembic import Alembic
from psycopg import sql
from sqlalchemy import make_url

from src.app import MIGRATIONS
from src.cli.database import create_database
from src.database import COMMAND, make_engine
from src.models import Base

TEMPLATE = "template_of_tests"


def libpq(url: str) -> str:
    """The same address without SQLAlchemy's driver name."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def make_template(url: str) -> str:
    """Create the template and migrate it, unless that is done."""
    template = make_url(url).set(database=TEMPLATE).render_as_string(hide_password=False)
    if create_database(template):
        migrate(template)
    return template


def migrate(url: str, target: str = "heads", *, folder: Path = MIGRATIONS) -> None:
    """Run the migrations of the project, or those of a folder, as the command does."""
    engine = make_engine(url, COMMAND)
    app = Flask("migrations")
    app.config["ALEMBIC"] = {"script_location": str(folder)}
    alembic = Alembic(app, run_mkdir=False, command_name="", metadatas=Base.metadata, engines=engine)
    with app.app_context():
        alembic.upgrade(target)
    engine.dispose()


def clone(template: str, name: str) -> str:
    """A database like the template, replacing one of that name."""
    _administer(template, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
    _administer(template, "CREATE DATABASE {} TEMPLATE {}", name, TEMPLATE)
    return make_url(template).set(database=name).render_as_string(hide_password=False)


def drop(url: str) -> None:
    _administer(url, "DROP DATABASE IF EXISTS {} WITH (FORCE)", str(make_url(url).database))


def _administer(url: str, statement: str, *names: str) -> None:
    server = make_url(url).set(database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(libpq(server), autocommit=True) as connection:
        command = sql.SQL(statement).format(*(sql.Identifier(name) for name in names))
        latest = time.monotonic() + 30
        while not _is_done(connection, command):  # while the server's own vacuum is at work in it
            assert time.monotonic() < latest, command
            time.sleep(0.2)


def _is_done(connection: psycopg.Connection, command: sql.Composed) -> bool:
    try:
        connection.execute(command)
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True

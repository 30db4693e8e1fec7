"""Databases for tests: one is migrated, the others are cloned from it, which takes a tenth of a second."""

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
# No test cuts the power: what a killed server wrote, the kernel keeps, and no page of it is torn, though each database
# that is dropped brings a checkpoint, after which whole pages would be logged. And rows that were rolled back are gone:
# a vacuum would tell the planner of empty tables, and 50,000 foreign keys would be looked up by reading all.
HURRY = ("fsync = off", "full_page_writes = off", "autovacuum = off")


def libpq(url: str) -> str:
    """The same address without SQLAlchemy's driver name."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def hurry(url: str) -> None:
    """Let the server of the tests do without what only a database that stays needs."""
    settings = [sql.SQL(f"ALTER SYSTEM SET {setting}") for setting in HURRY]
    _administer(url, *settings, sql.SQL("SELECT pg_reload_conf()"))


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
    url = make_url(template).set(database=name)
    names = [sql.Identifier(one) for one in (name, TEMPLATE, str(url.username))]
    _administer(template, _dropping(name), sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(*names))
    return url.render_as_string(hide_password=False)


def drop(url: str) -> None:
    _administer(url, _dropping(str(make_url(url).database)))


def _dropping(name: str) -> sql.Composed:
    return sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))


def _administer(url: str, *statements: sql.SQL | sql.Composed) -> None:
    """As the superuser, who may interrupt the server's own vacuum as well."""
    server = make_url(url).set(database="postgres", username="postgres").render_as_string(hide_password=False)
    with psycopg.connect(libpq(server), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)

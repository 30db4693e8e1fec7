"""flask db: upgrade (creating the database when it is missing), and flask-alembic's own commands."""

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

import click
import psycopg
from flask import current_app
from flask_alembic.cli import cli
from psycopg import sql
from sqlalchemy import make_url

from src.cli.output import domain_errors_as_messages
from src.database import DatabaseUnavailable
from src.domain.errors import Unavailable
from src.integrations.storage_disk import sync_folder
from src.services.stores import WrongStore
from src.wiring import adapters, services

group = cli
LOCK = "SELECT pg_advisory_lock(hashtext('indicators-migrations'))"
# Texts are in the order of their characters on every server. The rules of an operating system take indexes a
# third longer, and change with its releases, which leaves indexes out of order.
# What is a letter stays the system's to say: pg_trgm asks it.
CREATE = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C'"
BUILTIN, SINCE = " LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'", 170_000


@group.command("upgrade")
@click.argument("target", default="heads")
@domain_errors_as_messages
def upgrade(target: str) -> None:
    """Create the database when it is missing, migrate it, and make the first administrator."""
    settings = adapters().settings
    create_database(settings.database_url)
    migrate(target)
    if target == "heads":
        pair_store()
    made = ensure_admin()
    if made:
        click.echo(made)


def create_database(url: str) -> bool:
    """Create the database when it is missing; a twin that was faster is fine."""
    wanted = make_url(url)
    address = wanted.set(drivername="postgresql")
    try:
        psycopg.connect(address.render_as_string(hide_password=False), connect_timeout=10).close()
    except psycopg.OperationalError as error:
        if "does not exist" not in str(error):
            raise DatabaseUnavailable(str(error).strip()) from error
    else:
        return False
    server = address.set(database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True, connect_timeout=10) as connection:
        create = CREATE + (BUILTIN if connection.info.server_version >= SINCE else "")
        try:
            connection.execute(sql.SQL(create).format(sql.Identifier(wanted.database or "")))
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return False
    return True


def migrate(target: str = "heads") -> None:
    """Bring the schema to the target, one process at a time, however long the others take."""
    engine = adapters().database.bind.engine
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("SET lock_timeout = 0; SET statement_timeout = 0")
        connection.exec_driver_sql(LOCK)
        try:
            current_app.extensions["alembic"].upgrade(target)
        finally:
            connection.invalidate()  # with the session go its lock and its settings


def pair_store() -> None:
    """Let the database and its store bear the same id; a store that is away gets it at the next start."""
    try:
        with services() as s:
            s.stores.name()
        with services() as s:  # a crash before this leaves a name that this takes up
            s.stores.mark_as_named()
    except WrongStore:
        raise
    except Unavailable as error:
        click.echo(f"The store could not be marked: {error.detail}", err=True)


def ensure_admin(kept_in: Path | None = None) -> str:
    """Make the first administrator when there is none; answers the lines that tell it, once.

    A generated password is kept before the account is committed: a crash in between leaves a file that the
    next start replaces, and never an administrator whose password nobody knows.
    """
    settings = adapters().settings
    with services() as s:
        made = s.accounts.ensure_admin(settings.admin_email or "admin@localhost", settings.admin_password)
        if made is None:
            return ""
        account, password = made
        if settings.admin_password:
            return f"The first administrator is {account.email}."
        lines = f"email={account.email}\npassword={password}"
        if kept_in:
            keep_admin(lines, kept_in)
    return f"The first administrator, shown this once:\n{lines}"


def keep_admin(lines: str, path: Path) -> None:
    """Keep the generated password where only its owner can read it: whole and on the disk, or not at all."""
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-", delete=False) as file:  # mode 0600
        try:
            file.write(f"{lines}\n")
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink()
            raise
    sync_folder(path.parent)

"""flask files: put, list, get; flask storage: fsck, sweep, adopt."""

import shutil
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from flask.cli import AppGroup

from src.api.schemas.files import FILE
from src.cli.acting import account_of
from src.cli.output import domain_errors_as_messages, fail, json_option, show, show_one, tell
from src.domain.files import storage_key
from src.domain.ids import uuid7
from src.domain.paging import PageQuery
from src.models import Account, File
from src.services.accounts import actor_of
from src.services.files import deleted_unless_kept, inspect
from src.services.housekeeping import SLICE, check_storage
from src.wiring import adapters, services

group = AppGroup("files", help="Files that flow in and come out.")
storage_group = AppGroup("storage", help="The store of the files' bytes.")
PIECE = 1024 * 1024
FILE_ARGUMENT = click.Path(exists=True, dir_okay=False, path_type=Path)
SHOWN = ("id", "name", "size", "media_type", "created_at")


def pairs(_context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    """Each `a=b` as a member."""
    found = [text.partition("=") for text in texts]
    if not all(name and value for name, _, value in found):
        raise click.BadParameter("Write it as NAME=VALUE.")
    return {name: value for name, _, value in found}


how_option = click.option("--option", "options", multiple=True, callback=pairs, metavar="NAME=VALUE",
    help="How it is written: encoding, delimiter, decimal, date_order, sheet.")  # fmt: skip


@group.command("put")
@click.argument("path", type=FILE_ARGUMENT)
@click.option(
    "--as", "login_name", required=True, help="Whose file it becomes: an e-mail address or username."
)
@json_option
@domain_errors_as_messages
def put(path: Path, login_name: str, *, as_json: bool) -> None:
    """Store a file of this machine."""
    show_one(FILE.dump(store(path, account_of(login_name))), as_json=as_json)


def store(path: Path, account: Account) -> File:
    """Copy a file of this machine into the store, as this account's."""
    storage = adapters().storage
    with storage.create(storage_key(uuid7())) as upload, path.open("rb") as source:
        shutil.copyfileobj(source, upload, PIECE)
        detected = inspect(storage, adapters().readers, upload, path.name)
    with deleted_unless_kept(storage, upload), services() as s:
        return s.files.keep(upload, detected, name=path.name, actor=actor_of(account))


@group.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=20)
@json_option
@domain_errors_as_messages
def list_files(limit: int, *, as_json: bool) -> None:
    """The newest files, of everybody."""
    with services() as s:
        page = s.file_rows.search(PageQuery(per_page=limit), owner_id=None, kind=None, name=None, sha256=None)
    rows: list[dict[str, Any]] = FILE.dump(page.rows, many=True)
    show([{name: row[name] for name in SHOWN} for row in rows] if not as_json else rows, as_json=as_json)


@group.command("get")
@click.argument("file_id", type=click.UUID)
@click.argument("target", type=click.Path(path_type=Path), default=Path("-"))
@json_option
@domain_errors_as_messages
def get(file_id: UUID, target: Path, *, as_json: bool) -> None:
    """Write a file's bytes to TARGET, or to the standard output."""
    with services() as s:
        file = s.file_rows.get(file_id)
    with adapters().storage.open(file.storage_key) as content:
        if str(target) == "-":
            _copy(content, sys.stdout.buffer)
            return
        try:
            with target.open("xb") as out:
                _copy(content, out)
        except OSError as error:
            fail(f"{target} cannot be written: {error.strerror}")
    tell(f"{target}: {file.size:,} bytes", FILE.dump(file), as_json=as_json)


@storage_group.command("fsck")
@click.option("--deep", is_flag=True, help="Read every byte and compare the SHA-256.")
@json_option
@domain_errors_as_messages
def fsck(*, deep: bool, as_json: bool) -> None:
    """Check that every file has its bytes; exit code 1 when one has not."""
    faults = [fault._asdict() for fault in check_storage(adapters().storage, _all_files(), deep=deep)]
    show(faults, as_json=as_json)
    sys.exit(1 if faults else 0)


@storage_group.command("sweep")
@click.option("--minutes", type=click.IntRange(0), default=180, help="Leave alone what is younger.")
@json_option
@domain_errors_as_messages
def sweep(minutes: int, *, as_json: bool) -> None:
    """Delete bytes that no file names: what a crash between storing and committing leaves."""
    with services() as s:
        swept = s.housekeeping.sweep_storage(age=timedelta(minutes=minutes)) + s.housekeeping.sweep_scratch()
    tell(f"swept {swept}", {"swept": swept}, as_json=as_json)


@storage_group.command("adopt")
@click.confirmation_option(
    "--yes",
    prompt="The store that STORAGE_URL names becomes this database's own, and its former database is refused "
    "from then on. Files in it that this database does not know will be swept away. Go on?",
)
@json_option
@domain_errors_as_messages
def adopt(*, as_json: bool) -> None:
    """Make the store this database's own; see with fsck what is missing in it."""
    with services() as s:
        adopted = str(s.stores.adopt())
    tell(f"adopted {adopted}", {"store_id": adopted}, as_json=as_json)


def _all_files() -> Iterator[File]:
    """Slice by slice, so that no transaction waits while bytes are read."""
    last = None
    while True:
        with services() as s:
            files = s.file_rows.after(last, SLICE)
        if not files:
            return
        yield from files
        last = files[-1].id


def _copy(source: Any, target: Any) -> None:
    while piece := source.read(PIECE):
        target.write(piece)

"""flask events: a file of events, appended behind the latest."""

from pathlib import Path

import click
from flask.cli import AppGroup

from src.cli.acting import as_option
from src.cli.files import FILE_ARGUMENT
from src.cli.imports import load
from src.cli.output import domain_errors_as_messages, json_option
from src.services.import_terms import Terms

group = AppGroup("events", help="Deposits and withdraws, in one order.")


@group.command("replay")
@click.argument("path", metavar="FILE", type=FILE_ARGUMENT)
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only tell which lines would be refused.")
@as_option
@json_option
@domain_errors_as_messages
def replay(path: Path, login_name: str | None, *, is_dry_run: bool, as_json: bool) -> None:
    """Append the events of FILE in its order, raising their alerts, and wait for that.

    They are final. A file that was cut off goes on where it stopped, and no line counts twice.
    """
    load(path, "events", Terms(is_dry_run=is_dry_run), login_name, is_forced=False, as_json=as_json)

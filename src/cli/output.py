"""How commands speak: a table on a terminal, plain lines in a pipe, JSON when asked; exit code 0, 1 or 2."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, NoReturn, TypeVar

import click
import orjson
from marshmallow import Schema, ValidationError

from src.config import SettingsError
from src.domain.errors import DomainError

Command = TypeVar("Command", bound=Callable[..., Any])
WIDEST = 10_000  # of a table; one that could need more is shown as a list
json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


def domain_errors_as_messages(command: Command) -> Command:
    """What a DomainError says goes to stderr, with each of its errors, and the exit code is 1."""

    @wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except DomainError as error:
            fail("\n".join(_lines_of(error)))

    return guarded  # type: ignore[return-value]  # it is called as the command is


def _lines_of(error: DomainError) -> Iterator[str]:
    yield f"{error.title}: {error.detail}" if error.detail != error.title else error.title
    for fault in error.errors:
        if fault.message != error.detail:
            yield f"  {fault.pointer}: {fault.message}"


@contextmanager
def settings_errors_as_messages(*, program_code: int | None = None) -> Iterator[None]:
    """What a SettingsError says goes to stderr; the exit code is 1, or a program's own."""
    try:
        yield
    except SettingsError as error:
        is_command = click.get_current_context(silent=True) is not None
        if not is_command and program_code is None:  # another program's: it sees the error itself
            raise
        fail(f"Stopped: {error}", code=1 if program_code is None else program_code)


def checked(schema: Schema, members: dict[str, Any]) -> dict[str, Any]:
    """What the API would take; anything else is a wrong use of the command, exit code 2."""
    try:
        return dict(schema.load(members))
    except ValidationError as error:
        raise click.UsageError(_told(error.messages_dict)) from error


def _told(messages: dict[str, Any]) -> str:
    return " ".join(f"{name}: {' '.join(map(str, texts))}" for name, texts in messages.items())


def fail(message: str, *, code: int = 1) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)


def show(rows: Sequence[dict[str, Any]], *, as_json: bool, is_headed: bool = False) -> None:
    """Rows with the same members. Where numbers alone tell nothing, their names come first in a pipe, too."""
    if as_json:
        click.echo(orjson.dumps(list(rows), option=orjson.OPT_INDENT_2).decode())
    elif _is_a_terminal():
        _show_table(rows)
    else:
        if is_headed and rows:
            click.echo("\t".join(rows[0]))
        for row in rows:
            click.echo("\t".join(_text(value) for value in row.values()))


def tell(sentence: str, members: dict[str, Any], *, as_json: bool) -> None:
    """What was done: a sentence for people, its members for programs."""
    click.echo(orjson.dumps(members, option=orjson.OPT_INDENT_2).decode() if as_json else sentence)


def show_one(members: dict[str, Any], *, as_json: bool) -> None:
    """One thing, a member a line."""
    if as_json:
        click.echo(orjson.dumps(members, option=orjson.OPT_INDENT_2).decode())
        return
    for name, value in members.items():
        click.echo(f"{name}={_text(value)}")


def _is_a_terminal() -> bool:
    return sys.stdout.isatty()


def _show_table(rows: Sequence[dict[str, Any]]) -> None:
    """With whole words: in lean lines where the terminal is narrow, and as a list where it is too narrow."""
    from rich.box import HEAVY_HEAD, SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for box, padding in ((HEAVY_HEAD, 1), (SIMPLE_HEAD, 0)):
        table = Table(
            *(rows[0].keys() if rows else ["nothing"]),
            box=box,
            padding=(0, padding),
            show_edge=box is HEAVY_HEAD,
        )
        for row in rows:
            table.add_row(*(_text(value) for value in row.values()))
        least = console.measure(table, options=console.options.update(width=WIDEST)).minimum
        if least <= console.width:
            console.print(table)
            return
    for row in rows:
        show_one(row, as_json=False)
        click.echo()


def _text(value: Any) -> str:
    if value is None:
        return ""
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else str(value)

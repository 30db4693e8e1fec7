"""How commands show work that goes on elsewhere: bars on a terminal, a line per change in a pipe."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click


class Watch:
    """Told again and again how far each part is; says what is new."""

    def __init__(self, *, is_quiet: bool) -> None:
        self.is_quiet = is_quiet
        self._states: dict[str, str] = {}

    def tell(self, part: str, state: str, progress: dict[str, Any] | None) -> None:
        if not self.is_quiet and self._states.get(part) != state:
            click.echo(f"{part}\t{state}", err=True)
        self._states[part] = state


class Bars(Watch):
    """The same, as one bar a part."""

    def __init__(self, bars: Any) -> None:
        super().__init__(is_quiet=True)
        self._bars = bars
        self._tasks: dict[str, Any] = {}

    def tell(self, part: str, state: str, progress: dict[str, Any] | None) -> None:
        if part not in self._tasks:
            self._tasks[part] = self._bars.add_task(part, total=None, state=state)
        task, done = self._tasks[part], progress or {}
        if state == "done":
            total = done.get("total") or done.get("done") or 1
            self._bars.update(task, completed=total, total=total, state=state)
        else:
            self._bars.update(task, completed=done.get("done", 0), total=done.get("total"), state=state)


@contextmanager
def watching(*, is_quiet: bool) -> Iterator[Watch]:
    """Bars where somebody looks at them; they go to stderr, so that the answer can be piped."""
    if is_quiet or not sys.stderr.isatty():
        yield Watch(is_quiet=is_quiet)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}% {task.fields[state]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield Bars(bars)

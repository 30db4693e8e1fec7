"""A list of steps applied to rows, or the reasons why they cannot be, each with the place of its step."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from src.domain.errors import DomainError, FieldError
from src.engine.operations.faults import DuplicateName, unknown_columns
from src.engine.operations.steps import STEPS, Arguments, Tables
from src.engine.queries.rows import Rows

Steps = Sequence[Arguments]
Wanted = Iterable[tuple[str, str]]


def apply(steps: Steps, rows: Rows, tables: Tables) -> Rows:
    """The rows that come out of all steps. Columns that nothing makes are named before any is applied."""
    _check_all(steps, rows, tables)
    for place, step in enumerate(steps):
        _check(_placed(step, place), rows.names)
        try:
            rows = STEPS[step["operation"]](rows, step, tables)
        except DomainError as error:
            error.errors = error.errors or [
                FieldError(f"/steps/{place}", error.slug.replace("-", "_"), error.detail)
            ]
            raise
        _check_distinct(rows.names, place)
    return rows


def _check_all(steps: Steps, rows: Rows, tables: Tables) -> None:
    """Name all columns at once that neither a file has nor any step makes."""
    wanted = [one for place, step in enumerate(steps) for one in _placed(step, place)]
    joined = [name for step in steps if step["operation"] == "join" for name in tables[step["file_id"]].names]
    made = {name for step in steps for name in _made(step)} | set(joined)
    missing = [(pointer, name) for pointer, name in wanted if name not in rows.names and name not in made]
    for place, step in enumerate(steps):
        if step["operation"] == "join":
            names = tables[step["file_id"]].names
            missing += [
                (f"/steps/{place}/on/{name}", name) for name in step["on"].values() if name not in names
            ]
    if missing:
        raise unknown_columns(missing, [*rows.names, *joined])


def _check(wanted: Wanted, names: list[str]) -> None:
    missing = [(pointer, name) for pointer, name in wanted if name not in names]
    if missing:
        raise unknown_columns(missing, names)


def _check_distinct(names: list[str], place: int) -> None:
    for name in names:
        if names.count(name) > 1:
            detail = f"After this step two columns are called {name!r}."
            raise DuplicateName(detail, errors=[FieldError(f"/steps/{place}", "duplicate_name", detail)])


def _placed(step: Arguments, place: int) -> Iterator[tuple[str, str]]:
    """The columns that a step speaks of, each with where it does."""
    for member in WANTED[step["operation"]]:
        yield from _named(step.get(member), f"/steps/{place}/{member}")


def _named(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, Mapping):
        yield from ((f"{pointer}/{name}", name) for name in value)
    for place, one in enumerate(value if isinstance(value, list) else ()):
        name = one.get("column") if isinstance(one, Mapping) else one
        if name is not None:
            yield f"{pointer}/{place}" + ("/column" if isinstance(one, Mapping) else ""), name


WANTED: Mapping[str, tuple[str, ...]] = {
    "dedup": ("columns",),
    "unique": ("column",),
    "filter": ("filters",),
    "select": ("columns",),
    "rename": ("columns",),
    "sort": ("by",),
    "derive": (),
    "replace": ("column",),
    "fill": ("columns",),
    "cast": ("column",),
    "split": ("column",),
    "aggregate": ("by", "values"),
    "join": ("on",),
    "sample": (),
    "limit": (),
}
MADE: Mapping[str, Callable[[Arguments], Iterable[str]]] = {
    "derive": lambda step: [step["column"]],
    "rename": lambda step: step["columns"].values(),
    "split": lambda step: step["into"],
    "aggregate": lambda step: [value["name"] for value in step["values"]],
}


def _made(step: Arguments) -> Iterable[str]:
    return MADE[step["operation"]](step) if step["operation"] in MADE else ()

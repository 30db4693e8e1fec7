"""What DuckDB tells of a statement: how far it is, and how many rows of each file it has seen in the end."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from src.engine.values import OnProgress

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

HowFar = Callable[[], float]  # in percent
Watch = Callable[[HowFar], None]  # from now on, this is what is told
SECONDS_BETWEEN_LOOKS = 0.2


@contextmanager
def watching(on_progress: OnProgress) -> Iterator[Watch]:
    """Tell how far that is which is watched."""
    import duckdb

    is_over = threading.Event()
    watched: list[HowFar] = []

    def look() -> None:
        while not is_over.wait(SECONDS_BETWEEN_LOOKS):
            with suppress(IndexError, duckdb.ConnectionException):  # nothing yet, or closed already
                on_progress(max(0, int(watched[-1]())), 100, "percent")

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watched.append
    finally:
        is_over.set()
        thread.join()


def rows_seen(connection: "DuckDBPyConnection") -> Iterator[tuple[str, int]]:
    """Files that the last statement of a connection read, and how many rows it saw in each.

    None are told of a statement that stops early, at a limit: it has a reason not to see all.
    """
    operators = list(_operators(json.loads(connection.get_profiling_information(format="json"))))
    if any("LIMIT" in operator["type"] for operator in operators):
        return
    for operator in operators:
        if name := operator.get("extra_info", {}).get("Filename(s)"):
            yield name, operator["rows_scanned"]


def _operators(plan: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for operator in (*plan.get("operator", ()), *plan.get("children", ())):
        yield operator
        yield from _operators(operator)

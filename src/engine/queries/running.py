"""Running a query: its sources are read in sandboxed children, and its result is a new file."""

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from src.engine.queries.duckdb import statements
from src.engine.queries.statements import OutputFormat
from src.engine.queries.values import Query, Ran, TableFile
from src.engine.sandbox import ignore_progress, never, run_in_child
from src.engine.values import MIB, OnProgress, ReadLimits, ShouldStop

__all__ = ["OutputFormat", "Query", "Ran", "TableFile", "run_query"]

SECONDS = 3600.0
DEFAULT_LIMITS = ReadLimits()

Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]


def run_query(
    query: Query,
    target: Path,
    *,
    work_dir: Path,
    memory_limit: int = 512 * MIB,
    on_progress: OnProgress = ignore_progress,
    should_stop: ShouldStop = never,
    seconds: float = SECONDS,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> Ran:
    """Write what the query gives to `target`. `Stopped` is raised once `should_stop` says so.

    A regular file is read as it is. Any other one is converted first, to its last row or to the reason why
    that fails; and so is one that the fast reader, against the proof, did not read as it should.
    """
    deadline = time.monotonic() + seconds

    def call(function: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        left = max(0.0, deadline - time.monotonic())
        return run_in_child(
            function,
            arguments,
            replace(limits.sandbox, memory=memory_limit, seconds=left),
            work_dir=work_dir,
            on_progress=on_progress,
            should_stop=should_stop,
        )

    with tempfile.TemporaryDirectory(prefix="query-", dir=work_dir) as folder:
        return execute(query, target, Path(folder), limits, call)


def execute(query: Query, target: Path, folder: Path, limits: ReadLimits, call: Call) -> Ran:
    """The same with a way to call the functions that belong into a child."""
    sources = {
        name: _direct(file, limits) or _converted(file, folder / name, limits, call)
        for name, file in query.sources.items()
    }
    sql = statements(query.rows, query.format).to_json()
    answer = call("query", {"statements": sql, "target": str(target.resolve()), "sources": sources})
    if answer["misread"]:
        for name in answer["misread"]:
            sources[name] = _converted(query.sources[name], folder / name, limits, call)
        answer = call("query", {"statements": sql, "target": str(target.resolve()), "sources": sources})
    rows_in = {name: source["rows"] for name, source in sources.items()}
    return Ran(rows_in=rows_in, rows_out=answer["rows_out"])


def _direct(file: TableFile, limits: ReadLimits) -> dict[str, Any] | None:
    """A file that was proven to be regular, as it is."""
    if file.regular is None:
        return None
    text = {
        "path": str(file.path.resolve()),
        "width": file.regular.width,
        "delimiter": file.regular.delimiter,
        "quote": file.regular.quote,
        "has_header": file.detected.has_header,
        "has_breaks": file.regular.has_breaks,
        "longest": limits.record_bytes,
    }
    return {"rows": file.regular.records - file.detected.has_header, "relation": None, "text": text}


def _converted(file: TableFile, folder: Path, limits: ReadLimits, call: Call) -> dict[str, Any]:
    """A file as columns on disk."""
    folder.mkdir()
    arguments = {
        "path": str(file.path.resolve()),
        "detected": asdict(file.detected),
        "limits": asdict(limits),
        "target": str(folder.resolve()),
    }
    relation = call("convert", arguments)["relation"]
    return {"rows": relation["rows"], "relation": relation, "text": None}

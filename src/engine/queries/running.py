"""Running a query: its sources are read in sandboxed children, and its result is a new file."""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from src.engine.queries.answering import Answering
from src.engine.queries.cluster import Cluster, run_on_cluster
from src.engine.queries.duckdb import statements
from src.engine.queries.statements import OutputFormat
from src.engine.queries.values import Query, Ran, TableFile
from src.engine.sandbox import ignore_progress, never, run_in_child
from src.engine.values import MIB, OnProgress, ReadLimits, ShouldStop

__all__ = ["Cluster", "OutputFormat", "Query", "Ran", "TableFile", "run_query"]

SECONDS = 3600.0
DEFAULT_LIMITS = ReadLimits()


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
    cluster: Cluster | None = None,
) -> Ran:
    """Write what the query gives to `target`. `Stopped` is raised once `should_stop` says so.

    It runs here, or on the cluster; what it gives is the same.
    """
    deadline = time.monotonic() + seconds

    def call(function: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        left = max(0.0, deadline - time.monotonic())
        sandbox = replace(limits.sandbox, memory=memory_limit, seconds=left)
        if cluster and function == "cluster":
            sandbox = cluster.widened(sandbox)
        return run_in_child(
            function,
            arguments,
            sandbox,
            work_dir=work_dir,
            on_progress=on_progress,
            should_stop=should_stop,
        )

    with tempfile.TemporaryDirectory(prefix="query-", dir=work_dir) as folder:
        return execute(query, target, Answering(Path(folder), limits, call), cluster)


def execute(query: Query, target: Path, answering: Answering, cluster: Cluster | None = None) -> Ran:
    """The same with a way to call the functions that belong into a child."""
    if cluster:
        return run_on_cluster(query, target, answering, cluster)
    return answering.answer(statements(query.rows, query.format), query.sources, target)

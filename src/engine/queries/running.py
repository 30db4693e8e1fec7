"""Running a query: its sources are read in sandboxed children, and its result is a new file."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from src.engine.duck import RESERVED
from src.engine.queries.answering import Answering
from src.engine.queries.statements import OutputFormat
from src.engine.queries.values import Cluster, Query, Question, Ran, TableFile
from src.engine.sandbox import ignore_progress, never, run_in_child
from src.engine.values import GIB, OnProgress, ReadLimits, ShouldStop

__all__ = ["Cluster", "OutputFormat", "Query", "Question", "Ran", "TableFile", "run_queries", "run_query"]

SECONDS = 3600.0
MEMORY = GIB
DEFAULT_LIMITS = ReadLimits()


def run_query(
    query: Query,
    target: Path,
    *,
    work_dir: Path,
    memory_limit: int = MEMORY,
    on_progress: OnProgress = ignore_progress,
    should_stop: ShouldStop = never,
    seconds: float = SECONDS,
    limits: ReadLimits = DEFAULT_LIMITS,
    cluster: Cluster | None = None,
) -> Ran:
    """Write what the query gives to `target`. `Stopped` is raised once `should_stop` says so.

    It runs here, or on the cluster; what it gives is the same.
    """
    (ran,) = run_queries(
        [Question(query, target)],
        work_dir=work_dir,
        memory_limit=memory_limit,
        on_progress=on_progress,
        should_stop=should_stop,
        seconds=seconds,
        limits=limits,
        cluster=cluster,
    )
    return ran


def run_queries(
    questions: Sequence[Question],
    *,
    work_dir: Path,
    memory_limit: int = MEMORY,
    on_progress: OnProgress = ignore_progress,
    should_stop: ShouldStop = never,
    seconds: float = SECONDS,
    limits: ReadLimits = DEFAULT_LIMITS,
    cluster: Cluster | None = None,
) -> list[Ran]:
    """The same for several, by one child; nothing is asked behind one that should have found nothing."""
    deadline = time.monotonic() + seconds

    def call(function: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        left = max(0.0, deadline - time.monotonic())
        sandbox = replace(limits.sandbox, memory=memory_limit, reserved=RESERVED, seconds=left)
        if cluster and function == "cluster":
            sandbox = cluster.widened(replace(sandbox, reserved=None))
        return run_in_child(
            function,
            arguments,
            sandbox,
            work_dir=work_dir,
            on_progress=on_progress,
            should_stop=should_stop,
        )

    with tempfile.TemporaryDirectory(prefix="query-", dir=work_dir) as folder:
        return execute(questions, Answering(Path(folder), limits, call), cluster)


def execute(questions: Sequence[Question], answering: Answering, cluster: Cluster | None = None) -> list[Ran]:
    """The same with a way to call the functions that belong into a child."""
    if cluster is None:
        return answering.answer(questions)
    from src.engine.queries.cluster import run_on_cluster

    found: list[Ran] = []
    for question in questions:
        found.append(run_on_cluster(question.query, question.target, answering, cluster))
        if question.must_be_empty and found[-1].rows_out:
            break
    return found

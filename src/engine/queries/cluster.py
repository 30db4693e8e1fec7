"""Queries on a Spark cluster, between two children of ours.

The first makes Parquet of the sources, which all machines can read. The cluster finds the rows, and the last
child makes the file of them, so that its bytes are those of a query that runs here.
"""

import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from src.engine.queries.answering import Answering
from src.engine.queries.cluster_faults import not_all_there
from src.engine.queries.duckdb import statements
from src.engine.queries.rows import ROW
from src.engine.queries.spark import RESULT, result_of, spark_statements
from src.engine.queries.statements import Asked, Statements
from src.engine.queries.values import Cluster, Query, Ran, TableFile

PREFIX = "query-"
STALE_SECONDS = 24 * 3600


def run_on_cluster(query: Query, target: Path, answering: Answering, cluster: Cluster) -> Ran:
    """Write what the query gives to `target`."""
    _sweep(cluster.folder)
    shared = Path(mkdtemp(prefix=PREFIX, dir=cluster.folder))
    try:
        shared.chmod(0o777)  # the executors may run as somebody else
        rows_in = {name: _publish(name, file, answering, shared) for name, file in query.sources.items()}
        parts, select = spark_statements(query.rows)
        arguments = {
            "master": cluster.master,
            "sources": {name: str(_shared_file(shared, name)) for name in query.sources},
            "parts": [asdict(part) for part in parts],
            "select": select,
            "target": str(shared / RESULT),
            "patience": cluster.patience,
        }
        answer = answering.call("cluster", arguments)
        rows_out = _collected(query, target, answering, answer)
        return Ran(rows_in, rows_out, {"name": "spark", "version": answer["version"]})
    finally:
        shutil.rmtree(shared, ignore_errors=True)


def _publish(name: str, file: TableFile, answering: Answering, shared: Path) -> int:
    """The rows of a source with their numbers where the cluster finds them; answers how many there are."""
    columns = [ROW, *(f"c{place}" for place in range(len(file.detected.columns)))]
    everything = Statements(
        parts=[],
        select=f"select {', '.join(columns)} from {name}",
        headers=columns,
        are_numbers=[False] * len(columns),
        is_joined=False,
        is_gathered=False,
        format="parquet",
    )
    asked = Asked(everything, [name], str(_shared_file(shared, name)))
    rows: int = answering.about([asked], {name: file})["rows_out"][0]
    return rows


def _collected(query: Query, target: Path, answering: Answering, answer: Mapping[str, Any]) -> int:
    """The file of what the cluster found; answers how many rows it has, which are all that were written."""
    found, written = answer["found"], answer["rows"]
    if not found["files"]:
        raise not_all_there(written, 0)
    rows = statements(result_of(query.rows), query.format)
    asked = Asked(rows, [RESULT], str(target.resolve()))
    rows_out: int = answering.ask([asked], {RESULT: {"found": found}})["rows_out"][0]
    if rows_out != written:
        raise not_all_there(written, rows_out)
    return rows_out


def _shared_file(shared: Path, name: str) -> Path:
    return shared / f"{name}.parquet"


def _sweep(folder: Path) -> None:
    """What workers left that were killed."""
    for left in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):  # another worker sweeps as well
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)

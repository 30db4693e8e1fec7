"""The child's part of a query: its sources as views of a locked DuckDB, then its statements."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from src.engine.duck import THREADS, sessions
from src.engine.queries.asking import answers
from src.engine.queries.sources import Source
from src.engine.queries.statements import Asked
from src.engine.queries.watching import watching
from src.engine.values import GIB, OnProgress, Sandbox

LOOKED_AFTER: Mapping[str, object] = {
    "enable_progress_bar": True,
    "enable_progress_bar_print": False,
    "enable_profiling": "no_output",
    "streaming_buffer_size": "8MiB",  # so that reading goes on while rows are looked at
}


MOST_GATHERED_BY_TWO = GIB


def read_query(
    arguments: Mapping[str, Any], folder: Path, sandbox: Sandbox, on_progress: OnProgress
) -> dict[str, Any]:
    """Execute what is asked, and write what is selected to its targets.

    `misread` are the sources that DuckDB did not read as they were proven to be: then nothing counts.
    """
    every = [Asked.from_json(one) for one in arguments["asked"]]
    sources = {
        name: Source.from_json(source, folder, sandbox, on_progress)
        for name, source in arguments["sources"].items()
    }
    paths = [path for source in sources.values() for path in source.files]
    targets = Path(every[0].target).parent
    settings = {**LOOKED_AFTER, "threads": THREADS}
    if any(one.statements.is_joined for one in every):
        # rows come out in order if they pass by one after the other, and on the left
        settings |= {"threads": 1, "disabled_optimizers": "build_side_probe_side,join_order"}
    if any(one.statements.is_gathered for one in every) and _size(paths) > MOST_GATHERED_BY_TWO:
        settings["threads"] = 1  # each holds what it sorts or groups
    with (
        sessions(THREADS + 2, folder, paths, sandbox, targets, in_order=True, more=settings) as asked,
        watching(on_progress) as watch,
    ):
        for name, source in sources.items():
            asked[0].execute(f"create view {name} as {source.view()}")
        found = answers(asked, every, sources, folder, watch)
    return {
        "rows_in": {name: source.rows for name, source in sources.items()},
        "rows_out": [one.rows for one in found],
        "misread": sorted({name for one in found for name in one.misread}),
    }


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)

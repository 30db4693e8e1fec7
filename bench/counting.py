"""What an import pays for the indicators: the job of the service, by turns with and without counting."""

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.imports import Bench, measure, prepare, service
from src.repositories.targets import TARGETS
from src.wiring import EXTENSION

DATASET = "atendimentos"
KINDS = {"at home": "each angel in one polo", "everywhere": "all angels in all polos"}
NOTHING, FIRST, ADDED = "counting nothing", "the first counts", "added to as many counts"
# What is written of each; the rest is made from that.
ROLLUPS = {
    "indicator_month": "polo_id, angel_id, month, on_time, late, open, days",
    "indicator_angel": "angel_id, on_time, late, open",
    "indicator_polo": "polo_id, weekday, on_time, late, open",
    "indicator_client_stretch": "stretch, counts",
}
TRIGGER = "atendimento_fold_insert"


@contextmanager
def counting_nothing(bench: Bench) -> Iterator[None]:
    """As if there were no indicators."""
    target = TARGETS[DATASET]
    bench.psql("-c", f"ALTER TABLE atendimento DISABLE TRIGGER {TRIGGER}")
    TARGETS[DATASET] = replace(target, counted=None, dataset=replace(target.dataset, folds=None))
    try:
        yield
    finally:
        TARGETS[DATASET] = target
        bench.psql("-c", f"ALTER TABLE atendimento ENABLE ALWAYS TRIGGER {TRIGGER}")


@contextmanager
def as_many_counts(bench: Bench) -> Iterator[None]:
    """As many as the file brings are there already: each of its own is added to one."""
    for table, columns in ROLLUPS.items():
        bench.psql("-c", f"INSERT INTO {table} ({columns}) TABLE kept_{table} ORDER BY 1")
    bench.psql("-c", "VACUUM ANALYZE", "-c", "CHECKPOINT", role="postgres")
    yield


def keep_counts(bench: Bench) -> None:
    bench.reset()
    bench.load()
    for table, columns in ROLLUPS.items():
        bench.psql("-c", f"CREATE TABLE kept_{table} AS SELECT {columns} FROM {table}")


def costs(rows: int, rounds: int) -> dict[str, dict[str, float]]:
    """By kind and way, the median of the seconds."""
    found = {}
    for kind in KINDS:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-counting-")))
            app = stack.enter_context(service(folder, "default"))
            url = app.extensions[EXTENSION].settings.database_url
            bench = prepare(DATASET, rows, folder, url, kind)
            keep_counts(bench)
            ways = dict.fromkeys((NOTHING, FIRST, ADDED), bench.load)
            around = {NOTHING: partial(counting_nothing, bench), ADDED: partial(as_many_counts, bench)}
            took = measure(bench, ways, rounds, around)
            found[kind] = {way: statistics.median(seconds) for way, seconds in took.items()}
    return found


def lines_of(rows: int, rounds: int) -> list[str]:
    """The table for the page."""
    lines = [
        "",
        f"An import of {rows:,} rows by the service, by turns without and with counting them:",
        "",
        f"| angels and polos | {NOTHING}, s | {FIRST}, s | more | {ADDED}, s | more |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for kind, seconds in costs(rows, rounds).items():
        more = {way: f"{(took / seconds[NOTHING] - 1) * 100:+.0f} %" for way, took in seconds.items()}
        cells = f"{seconds[FIRST]:.1f} | {more[FIRST]} | {seconds[ADDED]:.1f} | {more[ADDED]}"
        lines.append(f"| {KINDS[kind]} | {seconds[NOTHING]:.1f} | {cells} |")
    return lines

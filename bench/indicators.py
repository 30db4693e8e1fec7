"""Indicators: how long they take at one and at ten million atendimentos, and what keeping them costs.

`python -m bench.indicators [--sizes 1000000 10000000] [--copy-rows 500000] [--import-rows 500000]
[--rounds 5] [--write]` brings its own PostgreSQL.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Literal

import psycopg

from bench.counting import lines_of
from bench.page import machine, write_section
from src.app import create_app
from src.cli.database import create_database, migrate
from src.config import Settings
from src.database import COMMAND, Database, make_engine
from src.domain.indicators import Noun, Period
from src.embedded import EmbeddedServers
from src.services.indicators import IndicatorService

HEADING = "## Indicators"
ANGELS, POLOS, CLIENTS, DAYS = 200, 20, 50_000, 1_000
SECRET = "a secret of the bench that is long enough to be one"
ZONE = "America/Sao_Paulo"
Shape = Literal["dense", "sparse"]
CHOICE: dict[Shape, str] = {"dense": f"1 + angel % {POLOS}", "sparse": f"1 + floor(random() * {POLOS})::int"}
COLUMNS = "client_id, angel_id, polo_id, data_limite, data_de_atendimento"
# One in a hundred is not attended; limits go up with time, as they come in.
ROWS = """
    SELECT client, angel, {polo} AS polo, due, CASE WHEN random() < 0.99 THEN due + delay END
    FROM (
        SELECT 1 + floor(random() * {clients})::bigint AS client,
            1 + floor(random() * {angels})::int AS angel,
            date_trunc('minute', timestamp '2022-01-03' + number * (interval '{days} days' / {count})) AS due,
            date_trunc('minute', (random() * 4 - 3) * interval '1 day') AS delay
        FROM generate_series(1, {count}) AS number
    ) AS made
"""
NAMES = (
    f"INSERT INTO angel (name) SELECT 'angel ' || number FROM generate_series(1, {ANGELS}) AS number",
    f"INSERT INTO polo (name) SELECT 'polo ' || number FROM generate_series(1, {POLOS}) AS number",
    f"INSERT INTO client (external_id) SELECT number::text FROM generate_series(1, {CLIENTS}) AS number",
)
SOME_DAYS = Period(date(2022, 2, 10), date(2024, 6, 20))
ONE_WEEK = Period(date(2023, 5, 3), date(2023, 5, 9))


@dataclass(frozen=True, slots=True)
class Question:
    name: str
    ask: Callable[[IndicatorService], object]
    promise: int  # milliseconds


def questions() -> Iterator[Question]:
    yield Question("angel_productivity", lambda s: s.indicators.angel_productivity(100), 5)
    yield Question("polo_productivity", lambda s: s.indicators.polo_productivity(100), 5)
    counts = partial(computed, period=SOME_DAYS, delays="never")
    yield Question("angels, 28 months and parts of two", partial(counts, "angels"), 20)
    yield Question("the same in one polo", partial(counts, "angels", polo="polo 7"), 20)
    yield Question("polos of one angel", partial(counts, "polos", angel="angel 7"), 20)
    yield Question("polos", partial(counts, "polos"), 20)
    yield Question("trend by day", partial(counts, "trend", group="day"), 20)
    yield Question(
        "trend by weekday, one angel", partial(counts, "trend", group="weekday", angel="angel 7"), 20
    )
    yield Question("clients, always", partial(computed, "clients", period=Period(), delays="never"), 20)
    yield Question("clients, one week", partial(computed, "clients", period=ONE_WEEK, delays="never"), 150)
    yield Question(
        "angels with delays, one week", partial(computed, "angels", period=ONE_WEEK, delays="always"), 150
    )


def computed(noun: Noun, service: IndicatorService, **options: Any) -> object:
    return service.compute(noun, **options)


class Bench:
    """A server of the bench's own, in a folder that goes with it."""

    def __init__(self, servers: EmbeddedServers, folder: Path) -> None:
        url = servers.database_url
        create_database(url)
        settings = Settings(
            database_url=url,
            redis_url=servers.redis_url,
            jwt_secret=SECRET,
            var_dir=folder,
            log_dir="off",
            log_level="ERROR",
        )
        app = create_app(settings)
        with app.app_context():
            migrate()
        self.connection = psycopg.connect(
            url.replace("postgresql+psycopg://", "postgresql://"), autocommit=True
        )
        self.database = Database(make_engine(url, COMMAND))
        for statement in NAMES:
            self.connection.execute(statement)

    def close(self) -> None:
        self.connection.close()
        self.database.dispose()

    def copies(self, shape: Shape, count: int, rounds: int) -> tuple[float, float]:
        """Seconds of a COPY without and with the triggers, by turns, each into a table that was emptied."""
        with self.connection.cursor().copy(f"COPY ({_rows(shape, count)}) TO STDOUT (FORMAT binary)") as out:
            blocks = [bytes(block) for block in out]
        content = b"".join(blocks)
        taken: dict[bool, list[float]] = {True: [], False: []}
        for number in range(rounds):
            for has_triggers in (True, False) if number % 2 else (False, True):
                taken[has_triggers].append(self._copy(content, has_triggers=has_triggers))
        return statistics.median(taken[False]), statistics.median(taken[True])

    def _copy(self, content: bytes, *, has_triggers: bool) -> float:
        self.connection.execute("TRUNCATE atendimento, indicator_month, indicator_angel, indicator_polo, "
                                "indicator_client_stretch")  # fmt: skip
        state = "ENABLE ALWAYS" if has_triggers else "DISABLE"
        self.connection.execute(f"ALTER TABLE atendimento {state} TRIGGER atendimento_fold_insert")
        begin = time.perf_counter()
        with self.connection.cursor().copy(
            f"COPY atendimento ({COLUMNS}) FROM STDIN (FORMAT binary)"
        ) as into:
            for start in range(0, len(content), 1 << 20):
                into.write(content[start : start + (1 << 20)])
        return time.perf_counter() - begin

    def fill(self, shape: Shape, count: int) -> None:
        """So many rows, in the order of their limits; foreign keys are not what is measured here."""
        run = self.connection.execute
        run(
            "TRUNCATE atendimento, indicator_month, indicator_angel, indicator_polo, indicator_client_stretch"
        )
        run("ALTER TABLE atendimento ENABLE ALWAYS TRIGGER atendimento_fold_insert")
        run("SET session_replication_role = replica")
        run(f"INSERT INTO atendimento ({COLUMNS}) {_rows(shape, count)}")
        run("SET session_replication_role = origin")
        run("VACUUM ANALYZE")

    def medians(self, rounds: int) -> dict[str, float]:
        """Milliseconds of each question, asked once before it counts."""
        found = {}
        for question in questions():
            taken = [self._asked(question) for _ in range(rounds + 1)][1:]
            found[question.name] = statistics.median(taken)
        return found

    def _asked(self, question: Question) -> float:
        with self.database.unit_of_work() as session:
            service = IndicatorService(session, ZONE)
            service.indicators.begin(ZONE)
            begin = time.perf_counter()
            question.ask(service)
            return (time.perf_counter() - begin) * 1000


def _rows(shape: Shape, count: int) -> str:
    return ROWS.format(polo=CHOICE[shape], clients=CLIENTS, angels=ANGELS, days=DAYS, count=count)


def report(
    figures: dict[int, dict[str, float]], copies: dict[Shape, tuple[float, float]], count: int, rounds: int
) -> str:
    """The section for the benchmarks page."""
    sizes = sorted(figures)
    head = " | ".join(f"{size / 1e6:g}M rows, ms" for size in sizes)
    lines = [
        HEADING,
        "",
        f"{machine()}, the settings of the bundled PostgreSQL. {ANGELS} angels who all work in all {POLOS} "
        f"polos, {CLIENTS:,} clients, {DAYS:,} days; medians of {rounds}, through the service. "
        "Again: `python -m bench.indicators --write`.",
        "",
        f"| question | {head} | ratio | promised |",
        "| --- |" + " ---: |" * (len(sizes) + 2),
    ]
    for question in questions():
        taken = [figures[size][question.name] for size in sizes]
        ratio = f"{taken[-1] / taken[0]:.2f}" if len(taken) > 1 else ""
        cells = " | ".join(f"{one:.1f}" for one in taken)
        lines.append(f"| {question.name} | {cells} | {ratio} | {question.promise} |")
    lines += [
        "",
        f"A `COPY` of {count:,} rows, foreign keys checked, by turns without and with the triggers:",
        "",
    ]
    lines += ["| angels and polos | without, s | with, s | more |", "| --- | ---: | ---: | ---: |"]
    for shape, (without, with_triggers) in copies.items():
        names = {"dense": "each angel in one polo", "sparse": "all angels in all polos"}[shape]
        more = (with_triggers / without - 1) * 100
        lines.append(f"| {names} | {without:.1f} | {with_triggers:.1f} | {more:+.0f} % |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--copy-rows", type=int, default=500_000)
    parser.add_argument("--import-rows", type=int, default=500_000)
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-indicators-")))
        servers = stack.enter_context(EmbeddedServers(folder / "var"))
        bench = Bench(servers, folder)
        stack.callback(bench.close)
        shapes: tuple[Shape, ...] = ("dense", "sparse")
        copies = {
            shape: bench.copies(shape, given.copy_rows, given.rounds) for shape in shapes if given.copy_rows
        }
        figures = {}
        for size in given.sizes:
            bench.fill("sparse", size)
            figures[size] = bench.medians(given.rounds)
    section = report(figures, copies, given.copy_rows, given.rounds)
    if given.import_rows:
        section += "\n".join(lines_of(given.import_rows, given.rounds)) + "\n"
    print(section)
    if given.write:
        write_section(HEADING, section)


if __name__ == "__main__":
    main()

"""Imports: the service on a dirty file beside `psql \\copy` of its good rows, clean and with ids resolved.

`python -m bench.imports [--rows 2000000] [--rounds 5] [--write]` brings its own PostgreSQL.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from flask import Flask
from sqlalchemy import text

from bench.generate import Made, generate
from bench.page import machine, write_section
from bench.peers import peers
from bench.servers import Tuning, own_servers
from bench.watching import watching
from src.app import create_app, make_adapters
from src.cli.database import create_database
from src.config import Settings
from src.database import WORKER
from src.domain.files import storage_key
from src.domain.ids import uuid7
from src.domain.roles import Actor, Role
from src.embedded.postgres import programs
from src.engine.starting import CHILDREN
from src.models import File
from src.services.accounts import actor_of
from src.services.files import inspect
from src.services.import_terms import Terms, dataset_of
from src.services.looks import look_at
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import EXTENSION, adapters, services
from tests.databases import libpq, migrate

HEADING = "## Imports"
REPEATED = 0.01  # of the transactions
RESOLVE = {
    "atendimentos": """SELECT id_atendimento, c.id, a.id, p.id, data_limite, data_de_atendimento, status
        FROM raw JOIN client c ON c.external_id = id_cliente JOIN angel a ON a.name = raw.angel
        JOIN polo p ON p.name = raw.polo ORDER BY line""",
    "transactions": """SELECT
            transaction_id, c.id, transaction_type, transaction_date || '+00', currency, amount
        FROM raw JOIN client c ON c.external_id = raw.client_id ORDER BY line""",
}
COLUMNS = {
    "atendimentos": "external_id, client_id, angel_id, polo_id, data_limite, data_de_atendimento, status",
    "transactions": "transaction_id, client_id, transaction_type, transaction_date, currency, amount",
}
NAMES = {
    "atendimentos": (
        "INSERT INTO client (external_id) SELECT DISTINCT id_cliente FROM raw",
        "INSERT INTO angel (name) SELECT DISTINCT angel FROM raw",
        "INSERT INTO polo (name) SELECT DISTINCT polo FROM raw",
    ),
    "transactions": ("INSERT INTO client (external_id) SELECT DISTINCT client_id FROM raw",),
}


@dataclass(frozen=True)
class Bench:
    """A database with all names, the dirty file in the store, and the clean one for psql."""

    dataset: str
    made: Made
    url: str
    resolved: Path
    file: File
    actor: Actor
    # Of each load, whether it was in bulk, and where its time went.
    parts: list[tuple[bool, dict[str, float]]] = field(default_factory=list)

    @property
    def table(self) -> str:
        return dataset_of(self.dataset).table

    def reset(self) -> None:
        """An empty table, and nothing left to write."""
        with services() as s:
            s.session.execute(text(f"TRUNCATE {self.table}, transaction_key"))
        self.psql("-c", "VACUUM", "-c", "CHECKPOINT", role="postgres")

    def psql(self, *arguments: str, options: str = "", role: str = "indicators") -> None:
        subprocess.run(
            [
                programs() / "psql",
                libpq(self.url).replace("//indicators@", f"//{role}@"),
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                *arguments,
            ],
            check=True,
            env={**os.environ, "PGOPTIONS": options},
        )

    def copy(self, options: str = "") -> None:
        copy = f"\\copy {self.table} ({COLUMNS[self.dataset]}) FROM '{self.resolved}' (FORMAT csv)"
        self.psql("-c", copy, options=options)

    def load(self, *, is_bulk: bool = False) -> None:
        terms = Terms(is_bulk=is_bulk)
        dataset = dataset_of(self.dataset)
        mine = adapters()
        look = look_at(
            mine.storage, mine.readers, self.file.storage_key, self.file.detected, dataset, terms.options
        )
        with services() as s:
            imported, _ = s.imports.start(self.file, dataset, look, terms, self.actor, is_forced=True)
        assert imported.job_id
        run_job(imported.job_id, HANDLERS)
        with services() as s:
            done = s.import_rows.get_own(imported.id, None)
        if (done.rows_read, done.inserted) != (self.made.rows, self.made.good):
            error = done.job and done.job.error
            raise SystemExit(f"wrong: {done.rows_read} rows read, {done.inserted} inserted, {error}")
        self.parts.append((is_bulk, done.report["seconds"]))


@contextmanager
def service(folder: Path, tuning: Tuning) -> Iterator[Flask]:
    """The application over servers of its own."""
    with own_servers(folder / "var", tuning) as servers:
        settings = Settings(
            database_url=servers.database_url,
            redis_url=servers.redis_url,
            jwt_secret="x" * 40,
            storage_url=str(folder / "files"),
            var_dir=folder / "var",
            log_dir="",
            log_level="ERROR",
            quota_bytes=2**50,
            disk_reserve_bytes=0,
        )
        create_database(settings.database_url)
        migrate(settings.database_url)
        app = create_app(adapters=make_adapters(settings, WORKER))
        with app.app_context():
            CHILDREN.keep()  # as a worker does
            yield app
            CHILDREN.end()
            app.extensions[EXTENSION].database.bind.engine.dispose()


def prepare(dataset: str, rows: int, folder: Path, url: str, kind: str = "") -> Bench:
    made = generate(kind or dataset, rows, folder, repeated=REPEATED if dataset == "transactions" else 0)
    resolved = folder / f"{dataset}.resolved.csv"
    header = made.clean.open().readline().strip()
    columns = ", ".join(f"{name} text" for name in header.split(",")).replace("line text", "line bigint")
    with services() as s:
        owner = s.accounts.create(
            role=Role.ADMIN, email="bench@example.org", password="a long bench phrase", name="b"
        )
        actor = actor_of(owner)
    with adapters().storage.create(storage_key(uuid7())) as upload:
        with made.dirty.open("rb") as content:
            while block := content.read(1 << 20):
                upload.write(block)
        detected = inspect(adapters().storage, adapters().readers, upload, made.dirty.name)
    with services() as s:
        file = s.files.keep(upload, detected, name=made.dirty.name, actor=actor)
    bench = Bench(dataset, made, url, resolved, file, actor)
    bench.psql(
        *("-c", f"CREATE UNLOGGED TABLE raw ({columns})"),
        *("-c", f"\\copy raw FROM '{made.clean}' (FORMAT csv, HEADER)"),
        *(part for name in NAMES[dataset] for part in ("-c", name)),
        *("-c", f"\\copy ({' '.join(RESOLVE[dataset].split())}) TO '{resolved}' (FORMAT csv)"),
        *("-c", "DROP TABLE raw", "-c", "ANALYZE"),
    )
    return bench


def measure(
    bench: Bench,
    ways: Mapping[str, Callable[[], None]],
    rounds: int,
    around: Mapping[str, Callable[[], AbstractContextManager[None]]] | None = None,
) -> dict[str, list[float]]:
    """Seconds of each way, alternating; not those of what is to be done around one.

    Each round begins with another way: none always comes behind the same one, and what that left to the disk.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            bench.reset()
            with (around or {}).get(name, nullcontext)():
                began = time.monotonic()
                ways[name]()
                seconds[name].append(time.monotonic() - began)
            print(f"{number + 1}/{rounds} {name}: {seconds[name][-1]:.2f} s", flush=True)
    return seconds


def report(bench: Bench, tuning: Tuning, seconds: dict[str, list[float]]) -> list[str]:
    """The rows of the table for one dataset."""
    base = statistics.median(seconds["psql \\copy"])
    lines = []
    for name, found in seconds.items():
        median = statistics.median(found)
        rate = f"{bench.made.good / median:,.0f}"
        what = f"{bench.dataset}, {bench.made.rows:,} rows, {tuning}"
        lines.append(f"| {what} | {name} | {len(found)} | {median:.1f} | {rate} | {base / median:.2f} |")
    return lines


def parts_of(bench: Bench, tuning: Tuning) -> list[str]:
    """Where the time of the loads went."""
    lines = []
    for wanted, name in ((False, "the service"), (True, "the service, in bulk")):
        loads = [parts for is_bulk, parts in bench.parts if is_bulk == wanted]
        medians = {part: statistics.median(load[part] for load in loads) for part in loads[0]}
        told = ", ".join(f"{part} {seconds:.2f}" for part, seconds in medians.items())
        lines.append(f"- {bench.dataset}, {bench.made.rows:,} rows, {tuning}, {name}: {told}")
    return lines


def measure_size(rows: int, tuning: Tuning) -> str:
    """One large file into an empty table: how long, and in how much memory."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-imports-")))
        app = stack.enter_context(service(folder, tuning))
        bench = prepare("atendimentos", rows, folder, app.extensions[EXTENSION].settings.database_url)
        bench.reset()
        watch = stack.enter_context(watching())
        began = time.monotonic()
        bench.load()
        seconds = time.monotonic() - began
        return f"- {rows:,} rows: {seconds:.1f} s, {seconds / rows * 1e6:.1f} µs a row, {watch}"


def run(dataset: str, tuning: Tuning, given: argparse.Namespace) -> tuple[list[str], list[str]]:
    """One dataset on one server: all ways by turns, and where the time of the service went."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-imports-")))
        app = stack.enter_context(service(folder, tuning))
        url = app.extensions[EXTENSION].settings.database_url
        bench = prepare(dataset, given.rows, folder, url)
        ways: dict[str, Callable[[], None]] = {
            "psql \\copy": bench.copy,
            "psql \\copy, foreign keys unchecked": partial(bench.copy, "-c session_replication_role=replica"),
            "the service": bench.load,
            "the service, in bulk": partial(bench.load, is_bulk=True),
        }
        if given.peers:
            ways |= peers(bench.resolved, libpq(url), bench.table, COLUMNS[dataset], folder)
        seconds = measure(bench, ways, given.rounds)
        return report(bench, tuning, seconds), parts_of(bench, tuning)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--datasets", nargs="+", default=["atendimentos", "transactions"])
    parser.add_argument("--tunings", nargs="+", default=["default", "compose"])
    parser.add_argument("--sizes", nargs="*", type=int, default=[], help="rows of files to watch the memory")
    parser.add_argument("--peers", action="store_true", help="the other tools, too: see bench/peers.py")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    lines = [
        HEADING,
        "",
        "A dirty file (1 % bad rows, quoted line ends, bytes of another encoding; of the transactions, "
        "1 % repeated) through the whole job of the service; beside it `psql \\copy` of its good rows, clean "
        "and with ids resolved, into the same table with the same indexes, constraints and triggers.",
        "",
        f"{machine()}, PostgreSQL 18 with the settings of the bundled server (default) and of "
        "docker-compose.yml (compose). Medians of n alternating runs; the machine's load was "
        f"{load:.1f} before it began. Again: `python -m bench.imports --write`.",
        "",
        "| file | way | n | s | good rows/s | times `\\copy` |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    parts = ["", "Where the time of the service went, in seconds:", ""]
    for dataset in given.datasets:
        for tuning in given.tunings:
            rows, own_parts = run(dataset, tuning, given)
            lines += rows
            parts += own_parts
    lines += parts
    if given.sizes:
        lines += ["", "By the size of the file, atendimentos, default; the most that was resident:", ""]
        lines += [measure_size(rows, "default") for rows in given.sizes]
    section = "\n".join(lines) + "\n"
    print(section)
    if given.write:
        write_section(HEADING, section)


if __name__ == "__main__":
    main()

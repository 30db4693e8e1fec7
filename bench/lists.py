"""Lists: page 1 beside page 100,000, by cursor and by offset, with more than a million rows in the table.

`python -m bench.lists [--rows 1200000] [--rounds 5] [--write]` brings its own PostgreSQL.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import text

from bench.page import machine, write_section
from src.app import create_app
from src.cli.database import create_database, migrate
from src.config import Settings
from src.domain.paging import Cursor, PageQuery
from src.domain.roles import Role
from src.embedded import EmbeddedServers
from src.repositories.base import Repository
from src.wiring import Services, services

HEADING = "## Lists"
PER_PAGE, DEEP = 10, 100_000
SECRET = "a secret of the bench that is long enough to be one"
EMAIL, PASSWORD = "bench@example.org", "a long bench passphrase"
FILL = (
    "INSERT INTO angel (name) SELECT 'angel ' || n FROM generate_series(1, 100) n",
    "INSERT INTO polo (name) SELECT 'polo ' || n FROM generate_series(1, 10) n",
    "INSERT INTO client (external_id) SELECT n::text FROM generate_series(1, 50000) n",
    """INSERT INTO atendimento (client_id, angel_id, polo_id, data_limite, data_de_atendimento, status)
        SELECT 1 + n % 50000, 1 + n % 100, 1 + n % 10, at, at - interval '1 hour', 'DONE'
        FROM generate_series(1, :rows) n,
            LATERAL (SELECT timestamp '2020-01-01' + n * interval '97 seconds') AS made (at)""",
    """INSERT INTO transaction
            (transaction_id, client_id, transaction_type, transaction_date, currency, amount)
        SELECT 't' || n, 1 + n % 50000, 'buy', timestamptz '1990-01-01 00:00+00' + n * interval '997 seconds',
            'EUR', n % 1000 FROM generate_series(1, :rows) n""",
    "ANALYZE",
)
LISTS: dict[str, tuple[str, Callable[[Services], Repository[Any]], tuple[str, ...]]] = {
    "atendimento": ("/api/v1/atendimento", lambda s: s.atendimento_rows, ("id", "data_limite")),
    "transaction": ("/api/v1/transactions", lambda s: s.transaction_rows, ("id",)),
}


class Unlimited(PageQuery):
    """A page by number as deep as one likes, which the service refuses."""

    @property
    def offset(self) -> int:
        return (DEEP - 1) * PER_PAGE


@dataclass(frozen=True, slots=True)
class Row:
    """Medians in milliseconds: of the query with its objects, and of the whole answer."""

    name: str
    first: float
    cursor: float
    offset: float
    answer_first: float
    answer_cursor: float


@contextmanager
def service(folder: Path, rows: int) -> Iterator[Flask]:
    """A migrated database with so many rows in both tables, and the application on it."""
    with EmbeddedServers(folder) as servers:
        settings = Settings(
            database_url=servers.database_url,
            redis_url=servers.redis_url,
            jwt_secret=SECRET,
            storage_url=str(folder / "files"),
            var_dir=folder,
            rate_limits=False,
            log_dir="off",
            log_level="WARNING",
            access_minutes=600,
        )
        create_database(settings.database_url)
        app = create_app(settings)
        with app.app_context():
            migrate()
            for statement in FILL:
                with services() as s:
                    s.session.execute(text("SET LOCAL statement_timeout = 0"))
                    s.session.execute(text(statement), {"rows": rows} if ":rows" in statement else {})
            with services() as s:
                s.accounts.create(role=Role.VIEWER, email=EMAIL, password=PASSWORD)
            yield app


def measure(app: Flask, rounds: int) -> Iterator[Row]:
    """Every list in every order; the ways by turns, so that a busy moment of the machine hits them all."""
    client = app.test_client()
    login = {"email": EMAIL, "password": PASSWORD}
    token = client.post("/api/v1/auth/login", json=login).get_json()["access"]
    headers = {"Authorization": f"Bearer {token}"}
    for name, (path, repository, columns) in LISTS.items():
        for column in columns:
            query = PageQuery(f"-{column}", PER_PAGE)
            by_offset = Unlimited(query.order_by, PER_PAGE)
            by_cursor = replace(query, cursor=_edge(name, column, query.order_by))
            at = {"per_page": PER_PAGE, "order_by": query.order_by}
            there = at | {"cursor": by_cursor.cursor.encode() if by_cursor.cursor else ""}
            get = partial(client.get, path, headers=headers)
            yield Row(
                f"{name}, by {column}",
                *_medians(
                    [
                        partial(_page, repository, query),
                        partial(_page, repository, by_cursor),
                        partial(_page, repository, by_offset),
                        partial(get, query_string=at),
                        partial(get, query_string=there),
                    ],
                    rounds,
                ),
            )


def _page(repository: Callable[[Services], Repository[Any]], query: PageQuery) -> None:
    with services() as s:
        rows = repository(s).page(query).rows
    assert len(rows) == PER_PAGE, "an empty page is fast, and proves nothing"


def _edge(table: str, column: str, order_by: str) -> Cursor:
    """The last row of page 99,999."""
    found = f"SELECT {column}, id FROM {table} ORDER BY {column} DESC, id DESC LIMIT 1 OFFSET :at"
    with services() as s:
        value, id_ = s.session.execute(text(found), {"at": (DEEP - 1) * PER_PAGE - 1}).one()
    return Cursor(order_by, value, id_)


def _medians(ways: list[Callable[[], object]], rounds: int) -> list[float]:
    for way in ways:
        way()
    taken: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, times in zip(ways, taken, strict=True):
            began = time.perf_counter()
            way()
            times.append((time.perf_counter() - began) * 1_000)
    return [statistics.median(times) for times in taken]


def report(rows: list[Row], count: int, rounds: int) -> str:
    """The section for the benchmarks page."""
    lines = [
        HEADING,
        "",
        f"Pages of {PER_PAGE} from tables of {count:,} rows, newest first, in milliseconds: the query with "
        f"its objects on page 1, on page {DEEP:,} by cursor and by offset; and the whole answer of the API, "
        "without the network. By number the service goes no deeper than 100,000 rows, for the reason that "
        "shows here.",
        "",
        f"{machine()}. Medians of {rounds} rounds by turns, warm. Again: `python -m bench.lists --write`.",
        "",
        f"| list | page 1 | page {DEEP:,} by cursor | by offset | answer: page 1 | page {DEEP:,} by cursor |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        figures = (row.first, row.cursor, row.offset, row.answer_first, row.answer_cursor)
        lines.append(f"| {row.name} | {' | '.join(f'{figure:,.1f}' for figure in figures)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--rows", type=int, default=1_200_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-lists-")))
        app = stack.enter_context(service(folder, given.rows))
        rows = list(measure(app, given.rounds))
    section = report(rows, given.rows, given.rounds)
    print(section)
    if given.write:
        write_section(HEADING, section)


if __name__ == "__main__":
    main()

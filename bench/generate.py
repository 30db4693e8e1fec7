"""Seeded files for the benchmarks of imports: a dirty file, its clean rows, and what must be refused.

python -m bench.generate atendimentos --rows 2000000 --folder var/bench
"""

import argparse
import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

BAD_SHARE = 0.01
QUOTED_SHARE = 0.01
FIRST_MOMENT = datetime(2023, 1, 1, 8, 0)  # noqa: DTZ001 # a wall clock
MINUTES = 600_000
NAMES = ("Ana Souza", "Bruno Lima", "Carla Nunes", "Davi Rocha", "Elisa Prado", "João Araújo", "Lúcia Sá")


@dataclass(frozen=True)
class Row:
    """One row: what is written, and either the clean values or the column and code of its fault."""

    cells: list[str]
    clean: list[str] = field(default_factory=list)
    column: str = ""
    code: str = ""
    is_latin: bool = False  # its bytes are not UTF-8


@dataclass(frozen=True)
class Made:
    """The files that were written. The clean one begins with the line; the rejects are JSON lines."""

    dirty: Path
    clean: Path
    rejects: Path
    rows: int
    good: int


ATENDIMENTOS = (
    "id_atendimento",
    "id_cliente",
    "angel",
    "polo",
    "data_limite",
    "data_de_atendimento",
    "status",
)
CLIENTS = ("client_id", "name", "email", "date_of_birth", "country", "account_balance")
TRANSACTIONS = ("transaction_id", "client_id", "transaction_type", "transaction_date", "currency", "amount")


def atendimentos(
    rows: int,
    random: Random,
    bad: float,
    *,
    angels: int = 2000,
    polos: int = 300,
    is_everywhere: bool = False,
) -> Iterator[Row]:
    """Visits: bad dates, missing names, wrong widths, Latin-1 bytes; some names hold a line end."""
    for number in range(rows):
        limit = FIRST_MOMENT + timedelta(minutes=random.randrange(MINUTES))
        done = limit + timedelta(minutes=random.randrange(-3000, 3000))
        angel_number = random.randrange(angels)
        angel = f"{NAMES[angel_number % len(NAMES)]} {angel_number:04}"
        hub = random.randrange(polos) if is_everywhere else angel_number % polos
        if random.random() < QUOTED_SHARE:
            angel = f'{angel}\ndit "{random.choice("XYZ")}"'
        cells = [
            f"A{number:09}",
            f"C{random.randrange(200_000):07}",
            angel,
            f"Polo {hub:03}",
            f"{limit:%Y-%m-%d %H:%M:%S}",
            "" if number % 10 == 0 else f"{done:%Y-%m-%d %H:%M}",
            random.choice(("PENDING", "done", "Late")),
        ]
        if random.random() < bad:
            yield _bad_visit(cells, random.randrange(5))
        else:
            moment = cells[5] and f"{cells[5]}:00"
            yield Row(cells, [*cells[:5], moment, cells[6].upper()])


def _bad_visit(cells: list[str], kind: int) -> Row:
    if kind == 0:
        cells[4] = "2023-02-30 10:00"
        return Row(cells, column="data_limite", code="not_a_date")
    if kind == 1:
        cells[2] = " "
        return Row(cells, column="angel", code="missing")
    if kind == 2:
        return Row(cells[:-1], code="wrong_column_count")
    if kind == 3:
        return Row([*cells, "more"], code="wrong_column_count")
    cells[3] = "São João"
    return Row(cells, code="invalid_encoding", is_latin=True)


def clients(rows: int, random: Random, bad: float) -> Iterator[Row]:
    """Clients: bad e-mails and dates of birth, balances with a point."""
    for number in range(rows):
        born = FIRST_MOMENT.date() - timedelta(days=random.randrange(7000, 30_000))
        cells = [
            f"C{number:07}",
            random.choice(NAMES),
            f"Client.{number}@example.com",
            f"{born}",
            random.choice(("Brasil", "Portugal", "")),
            f"{random.randrange(-(10**6), 10**7) / 100:.2f}",
        ]
        clean = [*cells[:2], cells[2].lower(), *cells[3:]]
        if random.random() >= bad:
            yield Row(cells, clean)
        elif random.random() < 0.5:
            yield Row([*cells[:2], "nobody at example", *cells[3:]], column="email", code="not_an_email")
        else:
            yield Row([*cells[:3], "31/02/1990", *cells[4:]], column="date_of_birth", code="not_a_date")


def transactions(rows: int, random: Random, bad: float) -> Iterator[Row]:
    """Transactions: bad amounts, signs and currencies; clients are those of `clients` of the same size."""
    for number in range(rows):
        moment = FIRST_MOMENT + timedelta(minutes=random.randrange(MINUTES), seconds=random.randrange(60))
        is_sale = random.random() < 0.5
        amount = f"{random.randrange(1, 10**7) / 100:.2f}"
        cells = [
            f"T{number:09}",
            f"C{random.randrange(max(rows // 10, 1)):07}",
            ("Sell" if is_sale else "BUY"),
            f"{moment:%Y-%m-%d %H:%M:%S}",
            random.choice(("brl", "USD", "eur")),
            f"-{amount}" if is_sale else amount,
        ]
        clean = [*cells[:2], cells[2].lower(), cells[3], cells[4].upper(), cells[5]]
        if random.random() >= bad:
            yield Row(cells, clean)
        else:
            place, value, code = random.choice(
                ((5, "1.234,5x", "not_a_number"), (5, "0.125", "too_many_decimals"), (4, "R$", "not_a_code"))
            )
            cells[place] = value
            yield Row(cells, column=TRANSACTIONS[place], code=code)


KINDS: dict[str, tuple[tuple[str, ...], Callable[[int, Random, float], Iterator[Row]]]] = {
    "atendimentos": (ATENDIMENTOS, atendimentos),
    "clients": (CLIENTS, clients),
    "transactions": (TRANSACTIONS, transactions),
    # What there is to be counted depends on where the angels work.
    "at home": (ATENDIMENTOS, partial(atendimentos, angels=200, polos=20)),
    "everywhere": (ATENDIMENTOS, partial(atendimentos, angels=200, polos=20, is_everywhere=True)),
}


def generate(
    kind: str, rows: int, folder: Path, *, seed: int = 1, bad: float = BAD_SHARE, repeated: float = 0
) -> Made:
    """Write the three files; the same arguments give the same bytes. A share of the keys can be repeated."""
    header, make = KINDS[kind]
    folder.mkdir(parents=True, exist_ok=True)
    dirty, clean, rejects = (folder / f"{kind}.{end}" for end in ("csv", "clean.csv", "rejects.jsonl"))
    line, good = 2, 0
    with (
        dirty.open("wb") as out,
        clean.open("w", newline="") as clean_out,
        rejects.open("w") as rejects_out,
    ):
        out.write(",".join(header).encode() + b"\n")
        writer = csv.writer(clean_out, lineterminator="\n")
        writer.writerow(("line", *header))
        for row in _repeating(make(rows, Random(seed), bad), header[0], repeated, Random(-seed)):
            text = ",".join(map(_cell, row.cells)) + "\n"
            out.write(text.encode("latin-1" if row.is_latin else "utf-8"))
            if row.code:
                fault = {"line": line, "column": row.column, "code": row.code, "cells": row.cells}
                rejects_out.write(json.dumps(fault) + "\n")
            else:
                writer.writerow((line, *row.clean))
                good += 1
            line += text.count("\n")
    return Made(dirty, clean, rejects, rows, good)


def _repeating(rows: Iterator[Row], key: str, share: float, random: Random) -> Iterator[Row]:
    """Some rows with the key of a good one before them."""
    keys: list[str] = []
    for row in rows:
        if keys and not row.code and random.random() < share:
            yield Row([random.choice(keys), *row.cells[1:]], column=key, code="duplicate")
            continue
        if share and not row.code:
            keys.append(row.cells[0])
        yield row


def _cell(text: str) -> str:
    """A cell as CSV has it."""
    if any(mark in text for mark in ',"\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path("var/bench"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bad", type=float, default=BAD_SHARE)
    given = parser.parse_args()
    made = generate(given.kind, given.rows, given.folder, seed=given.seed, bad=given.bad)
    print(f"{made.dirty}: {made.rows} rows, {made.good} of them good, {made.dirty.stat().st_size} bytes")


if __name__ == "__main__":
    main()

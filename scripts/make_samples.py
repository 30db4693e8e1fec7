"""Writes samples/: small files as they come out of real offices, ugly on purpose, always the same."""

import csv
import io
import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
SEED = 20210630
VISITS, TRANSACTIONS, CLIENTS = 200, 300, 80
Item = TypeVar("Item")

VISIT_HEADER = (
    "Id Atendimento", "Id Cliente", "Angel", "Pólo", "Data Limite", "Data de Atendimento", "Status",
    "Distância (km)", "Observação",
)  # fmt: skip
ANGELS = {
    "João Conceição": "São Paulo",
    "Ana Lúcia Magalhães": "São Paulo",
    "Márcia d'Ávila": "Ribeirão Preto",
    "Antônio Guimarães": "Ribeirão Preto",
    "Luís Fernando Araújo": "Florianópolis",
    "Inês Brandão": "Belém",
}
NOTES = (
    "", "", "", "", "Cliente ausente", "Ligar antes; portão azul", 'Loja "Três Irmãos"',
    "Máquina trocada\r\nAguardar confirmação", "Endereço: Rua das Flores, 7 \N{EN DASH} fundos",
)  # fmt: skip
# What a clerk will have to mend: by row, the column and what stands there instead.
VISIT_FAULTS = {
    23: (5, "31/02/2021 10:00"),
    58: (5, "amanhã"),
    91: (2, ""),
    120: (1, ""),
    149: (0, "700042"),  # this one is there already
    177: (5, "13/13/2021 08:00"),
}

TRANSACTION_HEADER = (
    "transaction_id",
    "client_id",
    "transaction_type",
    "transaction_date",
    "currency",
    "amount",
)
CLIENT_HEADER = ("client_id", "name", "email", "date_of_birth", "country", "account_balance")
FIRST_NAMES = ("Ana", "Bruno", "Carla", "Davi", "Elisa", "João", "Lúcia", "Rui")
LAST_NAMES = ("Souza", "Lima", "Nunes", "Rocha", "Prado", "Araújo", "Sá")
COUNTRIES = ("Brasil", "Brasil", "Portugal", "Angola", "")
CLIENT_FAULTS = {
    11: (2, "invalid-email"),
    29: (3, "invalid-date"),
    44: (5, "invalid-balance"),
    52: (1, ""),
    66: (0, ""),
}
KNOWN = tuple(number for number in range(CLIENTS) if number not in CLIENT_FAULTS)  # who are visited
CURRENCIES = ("BRL", "BRL", "BRL", "USD", "EUR", "brl")
TRANSACTION_FAULTS = {
    37: (3, "invalid-date"),
    102: (2, "hold"),
    155: (1, ""),
    208: (0, "000012"),  # this one is there already
    251: (5, "10.005"),
}


class Dice:
    """Only `random()` gives the same numbers on every version of Python."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  the same figures again are the point

    def below(self, limit: int) -> int:
        return int(self._random.random() * limit)

    def pick(self, items: Sequence[Item]) -> Item:
        return items[self.below(len(items))]


def visits() -> bytes:
    """Semicolons, CP1252, days first, decimal commas, line ends inside quotes."""
    dice = Dice(SEED)
    rows = (_visit(number, dice) for number in range(VISITS))
    return _csv(VISIT_HEADER, _with_faults(rows, VISIT_FAULTS), delimiter=";", line_end="\r\n").encode(
        "cp1252"
    )


def transactions() -> bytes:
    """Commas, UTF-8, ids that begin with zeros."""
    dice = Dice(SEED)
    rows = (_transaction(number, dice) for number in range(TRANSACTIONS))
    return _csv(TRANSACTION_HEADER, _with_faults(rows, TRANSACTION_FAULTS)).encode()


def clients() -> bytes:
    """Commas, UTF-8, ids that begin with zeros."""
    dice = Dice(SEED)
    rows = (_client(number, dice) for number in range(CLIENTS))
    return _csv(CLIENT_HEADER, _with_faults(rows, CLIENT_FAULTS)).encode()


def _client(number: int, dice: Dice) -> list[str]:
    name = f"{dice.pick(FIRST_NAMES)} {dice.pick(LAST_NAMES)}"
    born = datetime(1950, 1, 1) + timedelta(days=dice.below(18_000))  # noqa: DTZ001  a day of birth
    return [
        f"{number + 1:04}",
        name,
        f"Client.{number + 1}@example.com",
        f"{born:%Y-%m-%d}",
        dice.pick(COUNTRIES),
        f"{dice.below(1_000_000) / 100:.2f}",
    ]


def _visit(number: int, dice: Dice) -> list[str]:
    angel = dice.pick(list(ANGELS))
    limit = datetime(2021, 6, 1, 8) + timedelta(days=dice.below(60), minutes=30 * dice.below(20))  # noqa: DTZ001  wall-clock time
    done = limit.replace(hour=8, minute=0) + timedelta(days=dice.below(5) - 3, minutes=15 * dice.below(40))
    is_done = dice.below(10) > 0
    return [
        str(700000 + number),
        f"{1 + dice.pick(KNOWN):04}",
        angel,
        ANGELS[angel],
        f"{limit:%d/%m/%Y %H:%M}",
        f"{done:%d/%m/%Y %H:%M}" if is_done else "",
        "CONCLUÍDO" if is_done else "PENDENTE",
        f"{dice.below(4000) / 100:.2f}".replace(".", ","),
        dice.pick(NOTES),
    ]


def _transaction(number: int, dice: Dice) -> list[str]:
    is_buy = dice.below(2) == 0
    amount = (1 + dice.below(500_000)) / 100 * (1 if is_buy else -1)
    moment = datetime(2020, 1, 1) + timedelta(minutes=dice.below(3 * 365 * 24 * 60))  # noqa: DTZ001  UTC, written without it
    name = dice.pick(("buy", "buy", "Buy", "BUY") if is_buy else ("sell", "sell", "Sell"))
    return [
        f"{number + 1:06}",
        f"{1 + dice.below(80):04}",
        name,
        f"{moment:%Y-%m-%d %H:%M:%S}",
        dice.pick(CURRENCIES),
        f"{amount:.2f}",
    ]


def _with_faults(rows: Iterator[list[str]], faults: dict[int, tuple[int, str]]) -> Iterator[list[str]]:
    for number, row in enumerate(rows):
        if number in faults:
            column, value = faults[number]
            row[column] = value
        yield row


def _csv(header: Sequence[str], rows: Iterator[list[str]], delimiter: str = ",", line_end: str = "\n") -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def main() -> None:
    SAMPLES.mkdir(exist_ok=True)
    (SAMPLES / "atendimentos.csv").write_bytes(visits())
    (SAMPLES / "transactions.csv").write_bytes(transactions())
    (SAMPLES / "clients.csv").write_bytes(clients())


if __name__ == "__main__":
    main()

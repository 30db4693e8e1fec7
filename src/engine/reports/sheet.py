"""A report as it is stored, before it takes the form that someone wants."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

from src.engine.reports.written import Value, value_of

ESCAPED = re.compile(r"^'(?='*[=+\-@\t\r])")
MOST_SUMMED = 60  # digits of a total


@dataclass(frozen=True)
class Sheet:
    """A report as it is stored: a CSV with a header, and what its columns hold."""

    path: Path
    title: str
    columns: Sequence[Mapping[str, Any]]

    @property
    def names(self) -> list[str]:
        return [column["name"] for column in self.columns]

    @property
    def are_numbers(self) -> list[bool]:
        return [column["type"] == "decimal" for column in self.columns]

    def rows(self) -> Iterator[list[str]]:
        """The cells as they were before a spreadsheet had to be kept from running them."""
        with self.path.open(encoding="utf-8", newline="") as lines:
            reader = csv.reader(lines)
            next(reader, None)
            for row in reader:
                yield [
                    cell if is_number else ESCAPED.sub("", cell)
                    for cell, is_number in zip(row or [""], self.are_numbers, strict=True)
                ]  # an empty cell of an only column is an empty line

    def values(self) -> Iterator[list[Value]]:
        """The cells as what they say."""
        for row in self.rows():
            yield [value_of(cell, column) for cell, column in zip(row, self.columns, strict=True)]

    def totals(self) -> list[str]:
        """The sums of the columns that hold numbers, with as many decimals as the most exact cell has."""
        numbers = [(place, self.columns[place]) for place, is_it in enumerate(self.are_numbers) if is_it]
        sums = {place: Decimal(0) for place, _ in numbers}
        with localcontext() as exact:
            exact.prec = MOST_SUMMED
            for row in self.rows():
                for place, column in numbers:
                    value = value_of(row[place], column)
                    sums[place] += value if isinstance(value, Decimal) else 0
        return [format(sums[place], "f") if place in sums else "" for place in range(len(self.columns))]

"""What a whole column says about its order of dates or its decimal mark, where the head says nothing."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from src.engine.imports.amounts import judge
from src.engine.imports.clocks import EPOCH
from src.engine.imports.moments import moment
from src.engine.imports.plans import Ambiguous, LoadPlan, MappedColumn, Settled
from src.engine.reading.sources import open_source
from src.engine.reading.texts import each_distinct, texts_of
from src.engine.values import DateOrder, OnProgress, ReadLimits, Sandbox

ENOUGH = 1_000  # values that speak for one reading
CLEAR = 0.99  # of all that speak
DIGITS, PLACES = 38, 15
NUMBER = r"\A[+-]?[0-9]*(?:[.,][0-9]+)+\z"
DAY_OR_MONTH_FIRST = re.compile(r"([0-9]{1,2})([-/.])([0-9]{1,2})\2[0-9]{4}(?![0-9])")
MARKS = (".", ",")


@dataclass
class Evidence:
    """How many values of a column speak for each reading, how many allow several, and one that does."""

    column: MappedColumn
    header: str
    votes: Counter[str] = field(default_factory=Counter)
    open: int = 0
    example: str = ""

    @property
    def is_clear(self) -> bool:
        total = self.votes.total()
        return total >= ENOUGH and max(self.votes.values()) >= CLEAR * total

    @property
    def winner(self) -> str | None:
        """What most values speak for, unless more of them speak for nothing."""
        best = self.votes.most_common(1)
        is_of_years = best and best[0][0] == "ymd"
        if not best or (is_of_years and best[0][1] < self.open):
            return None
        return best[0][0]

    def add(self, texts: pa.Array) -> None:
        """Count each distinct value as often as it occurs."""
        is_number = self.column.field.type == "decimal"
        if is_number:
            texts = texts.filter(pc.match_substring_regex(texts, NUMBER))
        codes, speaking = each_distinct(texts, _mark_of if is_number else _orders_of)
        for place, count in enumerate(np.bincount(codes, minlength=len(speaking)).tolist()):
            if len(speaking[place]) == 1:
                self.votes[speaking[place][0]] += count
            elif speaking[place]:
                self.open += count
                self.example = self.example or texts[int(np.argmax(codes == place))].as_py()

    def settled(self) -> MappedColumn:
        """The column with the reading that won; as it was if none did."""
        if self.winner is None:
            return self.column
        if self.column.field.type == "decimal":
            return replace(self.column, decimal=self.winner)
        order: DateOrder = next(order for order in get_args(DateOrder) if order == self.winner)
        return replace(self.column, date_order=order)

    def ambiguous(self) -> Ambiguous | None:
        """The column with both readings, if nothing speaks for one of them and it matters."""
        if self.winner is not None or not self.open:
            return None
        is_number = self.column.field.type == "decimal"
        readings = (
            {mark: number_in(self.example, mark) for mark in MARKS} if is_number else _days(self.example)
        )
        kind = "numbers" if is_number else "dates"
        return Ambiguous(
            column=self.header, field=self.column.field.name, kind=kind, value=self.example, readings=readings
        )


def read_evidence(
    arguments: Mapping[str, Any], folder: Path, sandbox: Sandbox, on_progress: OnProgress
) -> dict[str, Any]:
    """The child's part: look at the columns until each is clear, at most to the end of the file."""
    pa.set_cpu_count(1)
    plan, limits = LoadPlan.from_json(arguments["plan"]), ReadLimits.from_json(arguments["limits"])
    source = open_source(
        Path(arguments["path"]),
        plan.detected,
        folder,
        limits,
        sandbox,
        on_progress,
        is_encoding_given=plan.is_encoding_given,
    )
    found = {
        column.position: Evidence(column, plan.header(column))
        for column in plan.columns
        if column.position in arguments["positions"]
    }
    for batch in source.batches(dict.fromkeys(found, ".")):
        for evidence, cells in zip(found.values(), batch.cells, strict=True):
            evidence.add(texts_of(cells).trimmed)
        if all(evidence.is_clear for evidence in found.values()):
            break
    columns = tuple(
        found[column.position].settled() if column.position in found else column for column in plan.columns
    )
    open_ones = tuple(one for evidence in found.values() if (one := evidence.ambiguous()))
    return Settled(plan=replace(plan, columns=columns), ambiguous=open_ones).to_json()


def _mark_of(text: str) -> list[str]:
    """The marks that the number can be read with."""
    return [mark for mark in MARKS if judge(text, mark, DIGITS, PLACES)[0] == ""]


def _orders_of(text: str) -> list[str]:
    """The orders that the date can be read in; one that begins with its year is read alike in all."""
    if not DAY_OR_MONTH_FIRST.match(text):
        return ["ymd"] if moment(text, "ymd", "UTC") is not None else []
    orders: list[DateOrder] = ["dmy", "mdy"]
    readings = [moment(text, order, "UTC") for order in orders]
    if readings[0] == readings[1]:
        return []  # on the 3rd of March nothing depends on it
    return [order for order, reading in zip(orders, readings, strict=True) if reading is not None]


def number_in(text: str, mark: str) -> str:
    """The number with a point and no other marks; nothing if it is none."""
    return (judge(text, mark, DIGITS, PLACES)[1] or "").replace(mark, ".")


def _days(text: str) -> dict[str, str]:
    readings: dict[str, str] = {}
    orders: list[DateOrder] = ["dmy", "mdy"]
    for order in orders:
        value = moment(text, order, "UTC")
        if value is not None:
            readings[order] = str(np.datetime64(EPOCH) + np.timedelta64(value, "us"))[:10]
    return readings

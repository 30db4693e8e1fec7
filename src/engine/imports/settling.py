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
NO_MARK = ""  # a number that is typed as one gets the mark of its column, so it says nothing about that


@dataclass
class Evidence:
    """How many values of a column speak for each reading; one that does, and one that allows several."""

    column: MappedColumn
    header: str
    votes: Counter[str] = field(default_factory=Counter)
    speaker: str = ""
    example: str = ""

    @property
    def is_clear(self) -> bool:
        total = self.votes.total()
        return total >= ENOUGH and max(self.votes.values()) >= CLEAR * total

    @property
    def winner(self) -> str | None:
        """What most values speak for. As many for one as for the other say nothing, whichever came first."""
        best = self.votes.most_common(2)
        if not best or (len(best) > 1 and best[0][1] == best[1][1]):
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
                self.speaker = self.speaker or texts[int(np.argmax(codes == place))].as_py()
            elif speaking[place]:
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
        value = self.example or self.speaker
        if self.winner is not None or not value:
            return None
        is_number = self.column.field.type == "decimal"
        readings = {mark: number_in(value, mark) for mark in MARKS} if is_number else _days(value)
        nothing = "no number" if is_number else "no date"
        return Ambiguous(
            column=self.header,
            field=self.column.field.name,
            kind="numbers" if is_number else "dates",
            value=value,
            readings={how: reading or nothing for how, reading in readings.items()},
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
    for batch in source.batches(dict.fromkeys(found, NO_MARK)):
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
    """The orders that the date can be read in; one that begins with its year is read alike in all of them,
    and says nothing of the others."""
    if not DAY_OR_MONTH_FIRST.match(text):
        return []
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
        is_day = value is not None
        readings[order] = str(np.datetime64(EPOCH) + np.timedelta64(value, "us"))[:10] if is_day else ""
    return readings

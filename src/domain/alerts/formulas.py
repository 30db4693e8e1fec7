"""The kind «formula»: a condition of the formula language over the event, those before it, and windows.

A name says what it stands for: `amount_2` is the amount of the second event before this one, `deposit_sum_60`
what the deposits of the last 60 (this event and both ends included) add up to. Nothing else is declared.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from src.domain.alerts.events import AskedOn, Event
from src.domain.alerts.history import History
from src.domain.alerts.kinds import NO_CAUSES
from src.domain.alerts.needs import MOST_CAUSES, Needs
from src.domain.formulas import Formula, Uncomputable, Value, evaluate, parse

FURTHEST = 20  # events before the one that is asked about
LONGEST_WINDOW = 10**15
LONGEST_TEXT = 2_000
AMOUNT, TIME, COUNT, SUM = "decimal(10,2)", "decimal(19,0)", "decimal(10,0)", "decimal(28,2)"
NOW = {"amount": AMOUNT, "type": "text", "t": TIME}
BEFORE = re.compile(r"(amount|type|t|since)_([1-9][0-9]?)")
WINDOW = re.compile(r"(deposit|withdraw|event)_(sum|count|min|max)_([1-9][0-9]{0,15})")
TYPES_BEFORE = NOW | {"since": TIME}
TYPES_IN_WINDOW = {"sum": SUM, "count": COUNT, "min": AMOUNT, "max": AMOUNT}
EXTREMES: Mapping[str, Callable[..., Decimal | None]] = {"min": min, "max": max}
MOST_COMPARED = 1_000  # the smallest and the greatest are of the latest so many in the window


@dataclass(frozen=True, slots=True)
class Before:
    """A member of the event so many places before."""

    member: str
    place: int

    def value(self, history: History, event: Event) -> Value:
        if len(history.any) < self.place:
            return None
        there = history.any[-self.place]
        value = event.t - there.t if self.member == "since" else getattr(there, self.member)
        return Decimal(value) if isinstance(value, int) else value

    def need(self) -> Needs:
        return Needs(any=self.place)

    def events(self, history: History, event: Event) -> Sequence[Event]:
        return history.any[-self.place :][:1] if len(history.any) >= self.place else ()


@dataclass(frozen=True, slots=True)
class Window:
    """A figure of the amounts since `t - length`."""

    counted: AskedOn
    figure: str
    length: int

    def value(self, history: History, event: Event) -> Value:
        if self.figure in EXTREMES:
            seen = history.latest_in_window(self.length, self.counted, event, MOST_COMPARED)
            return EXTREMES[self.figure]([one.amount for one in seen], default=None)
        figures = history.in_window(self.length, self.counted, event)
        return figures.total if self.figure == "sum" else Decimal(figures.number)

    def need(self) -> Needs:
        seen = MOST_COMPARED if self.figure in EXTREMES else MOST_CAUSES
        return Needs.of_window(self.counted, self.length, seen)

    def events(self, history: History, event: Event) -> Sequence[Event]:
        return history.latest_in_window(self.length, self.counted, event, MOST_CAUSES)


Source = Before | Window


@dataclass(frozen=True, slots=True)
class FormulaCheck:
    """Fires where the condition holds; where it cannot be computed, it does not."""

    formula: str
    parsed: Formula
    sources: Mapping[str, Source]
    is_swept: ClassVar = False

    def needs(self, asked_on: AskedOn) -> Needs:
        found = Needs()
        for source in self.sources.values():
            found |= source.need()
        return found

    def causes(self, asked_on: AskedOn, history: History, event: Event) -> tuple[Event, ...]:
        row: dict[str, Value | int] = {"amount": event.amount, "type": event.type, "t": Decimal(event.t)}
        row |= {name: source.value(history, event) for name, source in self.sources.items()}
        try:
            if not evaluate(self.parsed, row):
                return NO_CAUSES
        except Uncomputable:
            return NO_CAUSES
        looked_at = {
            event,
            *(one for source in self.sources.values() for one in source.events(history, event)),
        }
        return tuple(sorted(looked_at, key=lambda one: one.t)[-MOST_CAUSES:])


def read_formula(formula: str) -> FormulaCheck:
    """Understand a condition, or raise BadFormula with what is wrong and where."""
    sources = {name: source for name in names_in(formula) if (source := source_of(name)) is not None}
    columns = NOW | {name: _type_of(source) for name, source in sources.items()}
    parsed = parse(formula, columns, is_condition=True)
    used = {name: source for name, source in sources.items() if name in parsed.columns}
    return FormulaCheck(formula, parsed, used)


def names_in(text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"[a-z]+(?:_[a-z0-9]+)+", text)))


def source_of(name: str) -> Source | None:
    """What a name stands for, if it is one of ours."""
    if (found := BEFORE.fullmatch(name)) and int(found[2]) <= FURTHEST:
        return Before(found[1], int(found[2]))
    if (found := WINDOW.fullmatch(name)) and int(found[3]) <= LONGEST_WINDOW:
        counted = AskedOn.ANY if found[1] == "event" else AskedOn(found[1])
        return Window(counted, found[2], int(found[3]))
    return None


def _type_of(source: Source) -> str:
    return TYPES_BEFORE[source.member] if isinstance(source, Before) else TYPES_IN_WINDOW[source.figure]

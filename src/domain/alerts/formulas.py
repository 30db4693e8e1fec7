"""The kind «formula»: a condition of the formula language over the event, those before it, and windows.

A name says what it stands for: `amount_2` is the amount of the second event before this one, `deposit_sum_60`
what the deposits of the last 60 (this event and both ends included) add up to. Nothing else is declared.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from src.domain.alerts.events import AskedOn, Event
from src.domain.alerts.kinds import MOST_CAUSES, NO_CAUSES
from src.domain.alerts.needs import NOTHING, Need, Needs
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
FIGURES: Mapping[str, Callable[[list[Decimal]], Decimal | None]] = {
    "sum": lambda amounts: sum(amounts, Decimal(0)),
    "count": lambda amounts: Decimal(len(amounts)),
    "min": lambda amounts: min(amounts, default=None),
    "max": lambda amounts: max(amounts, default=None),
}


@dataclass(frozen=True, slots=True)
class Before:
    """A member of the event so many places before."""

    member: str
    place: int

    def value(self, recent: Sequence[Event], event: Event) -> Value:
        if len(recent) < self.place:
            return None
        there = recent[-self.place]
        value = event.t - there.t if self.member == "since" else getattr(there, self.member)
        return Decimal(value) if isinstance(value, int) else value

    def need(self) -> Needs:
        return Needs(any=Need(last=self.place))

    def events(self, recent: Sequence[Event], event: Event) -> Iterator[Event]:
        return iter(recent[-self.place :][:1] if len(recent) >= self.place else ())


@dataclass(frozen=True, slots=True)
class Window:
    """A figure of the amounts since `t - length`."""

    counted: AskedOn
    figure: str
    length: int

    def value(self, recent: Sequence[Event], event: Event) -> Value:
        return FIGURES[self.figure]([one.amount for one in self.events(recent, event)])

    def need(self) -> Needs:
        return Needs.of(self.counted, Need(window=self.length))

    def events(self, recent: Sequence[Event], event: Event) -> Iterator[Event]:
        if self.counted.covers(event.type):
            yield event
        for earlier in reversed(recent):
            if event.t - earlier.t > self.length:
                return
            if self.counted.covers(earlier.type):
                yield earlier


Source = Before | Window


@dataclass(frozen=True, slots=True)
class FormulaCheck:
    """Fires where the condition holds; where it cannot be computed, it does not."""

    formula: str
    parsed: Formula
    sources: Mapping[str, Source]
    is_swept: ClassVar = False

    def needs(self, asked_on: AskedOn) -> Needs:
        found = Needs.of(asked_on, NOTHING)
        for source in self.sources.values():
            found |= source.need()
        return found

    def causes(self, asked_on: AskedOn, recent: Sequence[Event], event: Event) -> tuple[Event, ...]:
        row: dict[str, Value | int] = {"amount": event.amount, "type": event.type, "t": Decimal(event.t)}
        row |= {name: source.value(recent, event) for name, source in self.sources.items()}
        try:
            if not evaluate(self.parsed, row):
                return NO_CAUSES
        except Uncomputable:
            return NO_CAUSES
        looked_at = {
            event,
            *(one for source in self.sources.values() for one in source.events(recent, event)),
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

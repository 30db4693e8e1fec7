"""Rules as they are asked: which ones about an event, what they must know, and what they answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from src.domain.alerts.events import AskedOn, Event, EventType
from src.domain.alerts.history import History
from src.domain.alerts.kinds import Check
from src.domain.alerts.needs import Need, Needs


class RuleState(StrEnum):
    """A shadow rule is asked, and its alerts are kept; but they answer nobody and notify nobody."""

    ENABLED = "enabled"
    SHADOW = "shadow"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Rule:
    """One version of a rule, as it is asked."""

    id: UUID
    version: int
    code: int
    asked_on: AskedOn
    check: Check
    is_shadow: bool = False


class Hit(NamedTuple):
    """A rule that fired, and the ids of the events that made it: in order, the one asked about last."""

    rule: Rule
    causes: tuple[int, ...]


class RuleSet:
    """The rules that are asked, sorted once so that an event meets only its own, in the order of codes."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules = tuple(sorted(rules, key=lambda rule: rule.code))
        self.on: dict[str, tuple[Rule, ...]] = {
            type_: tuple(rule for rule in self.rules if is_asked(rule, type_)) for type_ in EventType
        }
        self.needs_on = {type_: _needs(asked) for type_, asked in self.on.items()}
        self.windows_on = {type_: _windows(needs) for type_, needs in self.needs_on.items()}
        self.needs = _needs(self.rules)


def is_asked(rule: Rule, type_: str) -> bool:
    return not rule.check.is_swept and rule.asked_on.covers(type_)


def evaluate(rules: RuleSet, history: History, event: Event) -> list[Hit]:
    """The rules that fire on this event, by code; `history` is what they need of the same client's past."""
    hits = []
    for rule in rules.on[event.type]:
        causes = rule.check.causes(rule.asked_on, history, event)
        if causes:
            hits.append(Hit(rule, tuple(cause.id for cause in causes)))
    return hits


def _windows(needs: Needs) -> tuple[tuple[EventType, Need, int], ...]:
    """The types of which windows are asked about, what is needed of each, and how long its longest one is."""
    found = [(type_, needs.of_type(type_)) for type_ in EventType]
    return tuple((type_, need, need.longest) for type_, need in found if need.windows)


def _needs(rules: Iterable[Rule]) -> Needs:
    """What must be known of a client's past, so that all of these can be asked."""
    found = Needs()
    for rule in rules:
        found |= rule.check.needs(rule.asked_on)
    return found

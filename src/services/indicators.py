"""Indicators: counts from one moment, with delays and the change since the period before when asked for."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import islice
from typing import Any, Literal

from sqlalchemy.orm import Session

from src.domain.indicators import DELAYS_AT_ONCE, Figures, Group, Noun, Period, TooManyFigures, one_before
from src.repositories.indicators import MOST_ROWS, Counted, IndicatorRepository, Scope

Delays = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class Line:
    """Figures, and those of the period before when they were asked for."""

    figures: Figures
    previous: Figures | None = None


@dataclass(frozen=True, slots=True)
class Indicator:
    """What is answered: as of when, and the lines in their order."""

    as_of: datetime
    lines: list[Line]


class IndicatorService:
    def __init__(self, session: Session, zone: str) -> None:
        self.indicators = IndicatorRepository(session)
        self.zone = zone

    def compute(
        self,
        noun: Noun,
        period: Period,
        *,
        angel: str | None = None,
        polo: str | None = None,
        group: Group | None = None,
        at_most: int = 100,
        delays: Delays = "auto",
        is_compared: bool = False,
    ) -> Indicator:
        moment = self.indicators.begin(self.zone)
        scope = Scope(
            noun=noun,
            period=period,
            now=moment.local,
            angel=angel,
            polo=polo,
            group=group,
            at_most=at_most,
        )
        counted = self._with_empty_parts(scope, self._counted(scope))
        former = self._former(scope, counted) if is_compared else {}
        known = self._delays(scope, counted, delays)
        lines = []
        for key, figures in _in_order(counted):
            slot = (key, figures.period)
            median, p90 = known.get(slot) or (None, None)
            previous = former.get(slot, Figures(figures.name, None)) if is_compared else None
            lines.append(Line(replace(figures, median_delay=median, p90_delay=p90), previous))
        return Indicator(moment.as_of, lines)

    def _counted(self, scope: Scope) -> list[Counted]:
        return _if_not_too_many(self.indicators.figures(scope))

    def _with_empty_parts(self, scope: Scope, counted: list[Counted]) -> list[Counted]:
        """A trend between two days tells of parts without any, too: a line has no gap there."""
        if scope.noun != "trend" or scope.group is None:
            return counted
        known = {figures.period for _, figures in counted}
        empty = (part for part in scope.period.parts(scope.group) if part not in known)
        counted += (Counted(None, Figures(None, part)) for part in islice(empty, MOST_ROWS + 1))
        return _if_not_too_many(counted)

    def _delays(
        self, scope: Scope, counted: list[Counted], wanted: Delays
    ) -> dict[tuple[int | None, object], list[float]]:
        """They have to look at every attended one: by themselves only where those are not too many."""
        attended = sum(figures.attended for _, figures in counted)
        if wanted == "never" or not attended or (wanted == "auto" and attended > DELAYS_AT_ONCE):
            return {}
        return self.indicators.delays(scope, list({key for key, _ in counted}))

    def _former(self, scope: Scope, counted: list[Counted]) -> dict[tuple[int | None, object], Figures]:
        """By the slot that they are compared with: the same weekday or whole of the days before these, or
        the day, week or month before."""
        everyone = replace(scope, at_most=MOST_ROWS)
        if scope.group in (None, "weekday"):
            before = self._counted(replace(everyone, period=scope.period.before()))
            return {(key, figures.period): figures for key, figures in before}
        return _followed(self._one_before(everyone, scope.group), counted, scope.group)

    def _one_before(self, scope: Scope, group: Group) -> list[Counted]:
        before = scope.period.one_before(group)
        return self._counted(replace(scope, period=before)) if before else []


def _if_not_too_many(counted: list[Counted]) -> list[Counted]:
    if len(counted) > MOST_ROWS:
        raise TooManyFigures(f"At most {MOST_ROWS} lines: ask for fewer days, names or parts.")
    return counted


def _followed(
    before: list[Counted], counted: list[Counted], group: Group
) -> dict[tuple[int | None, object], Figures]:
    """The figures of each day, week or month, all of it, by the one that follows it."""
    found: dict[tuple[int | None, object], Figures] = {}
    known = {(key, figures.period): figures for key, figures in (*counted, *before)}
    for key, figures in counted:
        if isinstance(figures.period, date):
            former = known.get((key, one_before(figures.period, group)))
            if former is not None:
                found[key, figures.period] = former
    return found


def _in_order(counted: Iterable[Counted]) -> list[Counted]:
    """The busiest name first, and the parts of the period as they follow each other."""
    totals: dict[int | None, int] = defaultdict(int)
    for key, figures in counted:
        totals[key] += figures.total

    def place(one: Counted) -> tuple[Any, ...]:
        figures = one.figures
        return (-totals[one.key], figures.name or "", figures.period or 0)

    return sorted(counted, key=place)

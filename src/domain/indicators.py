"""Indicators: which days, grouped how, and the figures of each group with the change since the one before."""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Literal, Self, get_args

from src.domain.errors import FieldError, Invalid

Noun = Literal["angels", "polos", "clients", "trend"]
Group = Literal["day", "week", "month", "weekday"]
GROUPS: tuple[Group, ...] = get_args(Group)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
DELAYS_AT_ONCE = 200_000  # attended ones whose delays are looked at unless it is said otherwise


class BadPeriod(Invalid):
    slug = "bad-period"
    title = "The period makes no sense"


class TooManyFigures(Invalid):
    slug = "too-many-figures"
    title = "That would be more figures than anyone reads"


@dataclass(frozen=True, slots=True)
class Period:
    """From the first to the last day, both included; None: however early or late."""

    first: date | None = None
    last: date | None = None

    def __post_init__(self) -> None:
        if self.first and self.last and self.first > self.last:
            raise _bad("/from", "It ends before it begins.")

    @property
    def start(self) -> date:
        return self.first or date.min

    @property
    def end(self) -> date:
        return self.last or date.max

    def before(self) -> Self:
        """As many days, right before these."""
        if self.first is None or self.last is None:
            raise _bad("/compare", "To compare with the days before, give `from` and `to`.")
        try:
            length = self.last - self.first + timedelta(days=1)
            return replace(self, first=self.first - length, last=self.last - length)
        except OverflowError as error:
            raise _bad("/from", "There are no such days before these.") from error

    def one_before(self, group: Group) -> Self | None:
        """The day, week or month before the one in which it begins, and that one if it has only a part of it;
        None if it has no beginning."""
        if self.first is None:
            return None
        first = begin(self.first, group)
        try:
            last = first - timedelta(days=1) if first == self.first else end(first, group)
            return replace(self, first=one_before(first, group), last=last)
        except OverflowError as error:
            raise _bad("/from", "There are no days before these.") from error

    def parts(self, group: Group) -> Iterator[date | int]:
        """Each day, week or month that it has a day of, or each weekday; without both ends, none."""
        if self.first is None or self.last is None:
            return
        days = range(begin(self.first, group).toordinal(), self.last.toordinal() + 1)
        if group == "weekday":
            yield from sorted(date.fromordinal(day).isoweekday() for day in days[:7])
        elif group == "month":
            for month in range(_months(self.first), _months(self.last) + 1):
                yield date(month // 12, month % 12 + 1, 1)
        else:
            yield from map(date.fromordinal, days[:: 7 if group == "week" else 1])

    def parted_months(self, today: date) -> list[date]:
        """Months of which it has some days only, and the one in which open ones turn overdue."""
        months = {today.replace(day=1)}
        if self.first and self.first.day > 1:
            months.add(self.first.replace(day=1))
        if self.last and self.last != date.max and (self.last + timedelta(days=1)).day > 1:
            months.add(self.last.replace(day=1))
        return sorted(months)


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted for a name, a part of the period, or both; it adds up to the total."""

    name: str | None
    period: date | int | None
    on_time: int = 0
    late: int = 0
    open: int = 0
    overdue: int = 0
    median_delay: float | None = None
    p90_delay: float | None = None

    @property
    def attended(self) -> int:
        return self.on_time + self.late

    @property
    def total(self) -> int:
        return self.attended + self.open + self.overdue

    @property
    def on_time_percentage(self) -> float | None:
        return percentage(self.on_time, self.attended)

    @property
    def shown_period(self) -> str | None:
        if isinstance(self.period, int):
            return WEEKDAYS[self.period - 1]
        return None if self.period is None else self.period.isoformat()


def percentage(part: int, whole: int) -> float | None:
    """To two decimals, halves up, whatever binary fractions do."""
    return (part * 20_000 + whole) // (whole * 2) / 100 if whole else None


def change(now: Figures, before: Figures) -> dict[str, Any]:
    """The former figures, and the difference."""
    names = ("total", "on_time", "late", "open", "overdue")
    former: dict[str, Any] = {name: getattr(before, name) for name in names}
    differences: dict[str, Any] = {name: getattr(now, name) - former[name] for name in names}
    then, here = before.on_time_percentage, now.on_time_percentage
    former["on_time_percentage"] = then
    differences["on_time_percentage"] = None if then is None or here is None else round(here - then, 2)
    return {"previous": former, "change": differences}


def begin(day: date, group: Group) -> date:
    """The first day of the week or month that a day is in."""
    if group == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if group == "week" else day


def end(first: date, group: Group) -> date:
    """The last day of the week or month that begins here, as far as there are days."""
    days = monthrange(first.year, first.month)[1] if group == "month" else 7 if group == "week" else 1
    return date.fromordinal(min(first.toordinal() + days - 1, date.max.toordinal()))


def one_before(first: date, group: Group) -> date:
    """The day, the week or the month before the one that begins here."""
    if group == "month":
        return (first - timedelta(days=1)).replace(day=1)
    return first - timedelta(days=7 if group == "week" else 1)


def _months(day: date) -> int:
    """Of all years before its own, and those of its own before it."""
    return day.year * 12 + day.month - 1


def _bad(pointer: str, message: str) -> BadPeriod:
    return BadPeriod(message, errors=[FieldError(pointer, "bad_period", message)])

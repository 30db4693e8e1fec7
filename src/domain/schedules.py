"""Schedules: what is done about due times that were missed, and about runs that are not over yet."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from src.domain.errors import Conflict, FieldError, Forbidden, Invalid, NotFound

GRACE = timedelta(minutes=1)
MOST_AT_ONCE = 100
LOOK_BACK = timedelta(days=31)


class Misfire(StrEnum):
    """What becomes of due times at which no scheduler was there."""

    LATEST = "latest"
    ALL = "all"
    SKIP = "skip"


class Overlap(StrEnum):
    """What becomes of a due time while the run before it is not over."""

    SKIP = "skip"
    QUEUE = "queue"


class RunState(StrEnum):
    WAITING = "waiting"  # for the run before it
    STARTED = "started"
    MISSED = "missed"  # nobody was there in time
    SKIPPED = "skipped"  # the run before it was not over
    REFUSED = "refused"  # it could not be started


HAPPENED = (RunState.WAITING, RunState.STARTED)


class ScheduleNotFound(NotFound):
    slug = "schedule-not-found"
    title = "There is no such schedule, or it is not yours"


class NoInput(Conflict):
    slug = "no-input-file"
    title = "There is no file for this schedule to work on"


class OwnerMayNot(Forbidden):
    slug = "owner-may-not"
    title = "The owner of the schedule may not do this any more"


class BadPattern(Invalid):
    slug = "bad-pattern"
    title = "This is no pattern for names of files"


@dataclass(frozen=True, slots=True)
class Plan:
    """The due times that have passed: which are run, and which are not any more."""

    run: tuple[datetime, ...]
    missed: tuple[datetime, ...]
    next_due: datetime | None


def plan(
    due: Callable[[datetime], Iterator[datetime]], first: datetime, now: datetime, misfire: Misfire
) -> Plan:
    """Divide the due times from the first to now as the policy says; the one behind them is the next.

    `due` answers the due times after a moment. After a long silence the recent ones are looked at only.
    """
    passed, following = [first], None
    for moment in due(max(first, now - LOOK_BACK)):
        if moment > now:
            following = moment
            break
        passed.append(moment)
    run = _to_run(passed, now, misfire)
    chosen = set(run)
    return Plan(tuple(run), tuple(moment for moment in passed if moment not in chosen), following)


def _to_run(passed: list[datetime], now: datetime, misfire: Misfire) -> list[datetime]:
    match misfire:
        case Misfire.LATEST:
            return passed[-1:]
        case Misfire.ALL:
            return passed[-MOST_AT_ONCE:]
        case Misfire.SKIP:
            return [moment for moment in passed[-1:] if now - moment <= GRACE]


def like_of(pattern: str) -> str:
    """A pattern of names, with * and ?, as SQL's LIKE understands it."""
    if not pattern.strip(" *?") or len(pattern) > 255 or "/" in pattern:
        message = "Write a name with * for any letters and ? for one: sales-*.csv."
        raise BadPattern(message, errors=[FieldError("/input/latest", "bad_pattern", message)])
    escaped = re.sub(r"([\\%_])", r"\\\1", pattern)
    return escaped.replace("*", "%").replace("?", "_")

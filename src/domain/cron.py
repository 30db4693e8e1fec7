"""Cron expressions: five fields and a time zone, and the moments at which they are due."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from src.domain.errors import FieldError, Invalid

FIELDS = 5
LONGEST = 200
SHOWN = 5


class BadCron(Invalid):
    slug = "bad-cron"
    title = "This cron expression cannot be used"


class UnknownTimeZone(Invalid):
    slug = "unknown-time-zone"
    title = "There is no such time zone"


def zone_of(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        message = f"«{name}» is no time zone. Use a name as America/Sao_Paulo or UTC."
        raise UnknownTimeZone(message, errors=[FieldError("/timezone", "unknown_zone", message)]) from error


def check_cron(cron: str, zone: ZoneInfo, now: datetime) -> list[datetime]:
    """The next due times, as proof that there are any; raises where there are none."""
    due = next_due_times(cron, zone, now)
    if not due:
        raise _bad("never_due", "It is never due: there is no such day.")
    return due


def next_due_times(cron: str, zone: ZoneInfo, after: datetime, count: int = SHOWN) -> list[datetime]:
    """The first moments after this one, in UTC; fewer than asked when there are no more for 50 years."""
    return list(islice(due_times(cron, zone, after), count))


def due_times(cron: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """All moments after this one at which it is due, in UTC and rising.

    Local times that a clock change skips are due at the first moment after the gap, those that it repeats
    are due once, the first time; several that fall on one moment are due once.
    """
    last = after.astimezone(UTC)
    for local in _local_times(cron, last.astimezone(zone)):
        moment = _moment_of(local, zone)
        if moment > last:
            last = moment
            yield moment


def _local_times(cron: str, after: datetime) -> Iterator[datetime]:
    """Wall-clock times after this one, which know of no zone and are turned into moments one by one."""
    fields = cron.split()
    if len(fields) != FIELDS or len(cron) > LONGEST:
        raise _bad("fields", "It has five fields: minute, hour, day, month, weekday.")
    try:
        yield from CronSim(" ".join(fields), after.replace(tzinfo=None))
    except (CronSimError, OverflowError, ValueError) as error:
        if isinstance(error, CronSimError):
            raise _bad("not_a_cron", f"{error}.") from error


def _moment_of(local: datetime, zone: ZoneInfo) -> datetime:
    """The first moment at which the wall clock shows this time, or, if it never does, the end of the gap."""
    moment = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local:
        return moment
    return _end_of_gap(local, zone)


def _end_of_gap(local: datetime, zone: ZoneInfo) -> datetime:
    """By halving: before it the clock shows less than the time that is skipped, after it more."""
    early, late = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) // 2
        middle -= timedelta(microseconds=middle.microsecond)
        if middle.astimezone(zone).replace(tzinfo=None) < local:
            early = middle
        else:
            late = middle
    return late


def _bad(code: str, message: str) -> BadCron:
    return BadCron(message, errors=[FieldError("/cron", code, message)])

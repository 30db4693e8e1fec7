"""When a cron expression is due: by a table of clock changes, and by a naive walker, minute by minute."""

import os
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.domain.cron import BadCron, UnknownTimeZone, check_cron, next_due_times, zone_of

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
each = pytest.mark.parametrize
# What is due after a moment, in UTC; each zone turns its clock there.
TURNS = [
    # New York: 2026-03-08 02:00 → 03:00 (07:00 UTC), 2026-11-01 02:00 → 01:00 (06:00 UTC)
    ("America/New_York", "30 2 * * *", "2026-03-07T12:00", ["2026-03-08T07:00", "2026-03-09T06:30"]),
    ("America/New_York", "*/20 2 * * *", "2026-03-08T06:00", ["2026-03-08T07:00", "2026-03-09T06:00"]),
    ("America/New_York", "0 * * * *", "2026-03-08T05:30", ["2026-03-08T06:00", "2026-03-08T07:00", "2026-03-08T08:00"]),
    ("America/New_York", "30 1 * * *", "2026-10-31T12:00", ["2026-11-01T05:30", "2026-11-02T06:30"]),
    ("America/New_York", "30 1 * * *", "2026-11-01T05:30", ["2026-11-02T06:30"]),
    ("America/New_York", "30 1 * * *", "2026-11-01T06:10", ["2026-11-02T06:30"]),
    # Berlin: 2026-03-29 02:00 → 03:00 (01:00 UTC), 2026-10-25 03:00 → 02:00 (01:00 UTC)
    ("Europe/Berlin", "15 2 29 MAR *", "2026-03-01T00:00", ["2026-03-29T01:00", "2027-03-29T00:15"]),
    ("Europe/Berlin", "15 2 * OCT SUN", "2026-10-20T00:00", ["2026-10-25T00:15"]),
    # Sao Paulo, which turned it at midnight: 2018-11-04 00:00 → 01:00 (03:00 UTC), 2018-02-18 00:00 → 23:00 (02:00 UTC)
    ("America/Sao_Paulo", "0 0 * * *", "2018-11-03T12:00", ["2018-11-04T03:00", "2018-11-05T02:00"]),
    ("America/Sao_Paulo", "30 23 * * *", "2018-02-17T12:00", ["2018-02-18T01:30", "2018-02-19T02:30"]),
    ("America/Sao_Paulo", "30 8 * * MON-FRI", "2026-01-16T12:00", ["2026-01-19T11:30"]),
    # Lord Howe, by half an hour: 2026-10-04 02:00 → 02:30 (15:30 UTC the day before), 2026-04-05 02:00 → 01:30 (15:00 UTC)
    ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00", ["2026-10-03T15:30", "2026-10-04T15:15"]),
    ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T00:00", ["2026-04-04T14:45", "2026-04-05T15:15"]),
    # Apia left out the 30th of December 2011 (10:00 UTC)
    ("Pacific/Apia", "0 12 * * *", "2011-12-29T00:00", ["2011-12-29T22:00", "2011-12-30T10:00", "2011-12-30T22:00"]),
    # Casablanca turns it back for Ramadan: 2026-02-15 03:00 → 02:00 (02:00 UTC)
    ("Africa/Casablanca", "30 2 * * *", "2026-02-14T12:00", ["2026-02-15T01:30", "2026-02-16T02:30"]),
    ("UTC", "30 2 * * *", "2026-03-08T00:00", ["2026-03-08T02:30", "2026-03-09T02:30"]),
]  # fmt: skip


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@each(("zone", "cron", "after", "due"), TURNS)
def test_where_the_clock_is_turned(zone: str, cron: str, after: str, due: list[str]) -> None:
    found = next_due_times(cron, zone_of(zone), at(after), len(due))
    assert [moment.strftime("%Y-%m-%dT%H:%M") for moment in found] == due


@each(
    ("cron", "due"),
    [
        ("0 9 * * mon-fri", ["01-15 09", "01-16 09", "01-19 09"]),
        ("0 0 1 jan,JUL *", ["07-01 00", "01-01 00", "07-01 00"]),
        ("0 0 L * *", ["01-31 00", "02-28 00", "03-31 00"]),
        ("0 0 29 2 *", ["02-29 00", "02-29 00", "02-29 00"]),
        ("0 0 13 * FRI", ["01-16 00", "01-23 00", "01-30 00"]),
        ("0 0 * * 7", ["01-18 00", "01-25 00", "02-01 00"]),
    ],
)
def test_names_lists_steps_and_weekdays_are_understood(cron: str, due: list[str]) -> None:
    found = next_due_times(cron, zone_of("UTC"), datetime(2026, 1, 15, tzinfo=UTC), 3)
    assert [moment.strftime("%m-%d %H") for moment in found] == due


@each(
    "cron",
    [
        "",
        "*",
        "* * * *",
        "* * * * * *",
        "@daily",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "5-1 * * * *",
        "a * * * *",
        "* * * FOO *",
        "-1 * * * *",
        "1.5 * * * *",
        "0 0 30 2 *",
        "0 0 31 4,6,9,11 *",
        "٣ * * * *",
        "* * * * MON#6",
        "0 " * 200,
        "1," * 100 + "1 * * * *",
    ],
)
def test_what_is_no_cron_or_never_due_is_refused(cron: str) -> None:
    with pytest.raises(BadCron) as caught:
        check_cron(cron, zone_of("UTC"), NOW)
    assert caught.value.errors[0].pointer == "/cron"


@each("name", ["", "Nowhere", "Europe/Atlantis", "../etc/passwd", "/etc/localtime", "a" * 5_000, "\x00"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(UnknownTimeZone):
        zone_of(name)


@given(st.text(alphabet="0123456789*/-,#L? ABCDEFMONJAN", max_size=30))
@settings(max_examples=100, deadline=None)
def test_any_text_is_refused_or_has_due_times_that_rise(cron: str) -> None:
    try:
        due = check_cron(cron, zone_of("America/Sao_Paulo"), NOW)
    except BadCron:
        return
    assert due == sorted(set(due))
    assert due[0] > NOW


LIMITS = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]
ZONES = [
    "UTC",
    "America/Sao_Paulo",
    "America/New_York",
    "Europe/Lisbon",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Africa/Casablanca",
]
# Moments near which one of the zones turns its clock.
NEAR = [
    at(text)
    for text in ("2018-02-17T12:00", "2018-11-03T12:00", "2026-03-07T18:00", "2026-03-28T18:00",
                 "2026-04-04T08:00", "2026-10-03T08:00", "2026-10-24T18:00", "2026-10-31T18:00")
]  # fmt: skip


def field_of(lowest: int, highest: int) -> st.SearchStrategy[str]:
    number = st.integers(lowest, highest)
    # two different ends: cronsim reads 3-3/2 as 3/2, from 3 on
    span = st.lists(number, min_size=2, max_size=2, unique=True).map(lambda two: f"{min(two)}-{max(two)}")
    step = st.integers(1, 30)
    return st.one_of(
        st.just("*"),
        number.map(str),
        span,
        st.lists(number, min_size=1, max_size=3).map(lambda many: ",".join(map(str, many))),
        step.map(lambda each: f"*/{each}"),
        st.tuples(span, step).map(lambda two: f"{two[0]}/{two[1]}"),
    )


def numbers_of(field: str, lowest: int, highest: int) -> set[int]:
    found = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, high = (lowest, highest) if span == "*" else (int(span.partition("-")[0]), 0)
        if span != "*":
            high = int(span.partition("-")[2] or low)
        found |= set(range(low, high + 1, int(step or 1)))
    return found


@cache
def fields_of(cron: str) -> list[set[int]]:
    return [numbers_of(field, *limits) for field, limits in zip(cron.split(), LIMITS, strict=True)]


def is_due(local: datetime, cron: str) -> bool:
    minute, hour, day, month, weekday = fields_of(cron)
    days = cron.split()[2], cron.split()[4]
    is_day, is_weekday = local.day in day, local.isoweekday() % 7 in weekday
    is_both = days[0].startswith("*") or days[1].startswith("*")
    fits = (is_day and is_weekday) if is_both else (is_day or is_weekday)
    return local.minute in minute and local.hour in hour and local.month in month and fits


def walk(cron: str, zone: ZoneInfo, after: datetime, minutes: int) -> list[datetime]:
    """Minute by minute: a wall-clock time counts once; those that were jumped over, where the jump ends."""
    due, seen = [], set()
    previous = after.astimezone(zone).replace(tzinfo=None)
    # What the wall showed before counts as seen, so that a repeated hour is not due again.
    for back in range(120):
        seen.add((after - timedelta(minutes=back)).astimezone(zone).replace(tzinfo=None))
    for number in range(1, minutes + 1):
        moment = after + timedelta(minutes=number)
        local = moment.astimezone(zone).replace(tzinfo=None)
        shown, previous = previous, local
        passed = [local]
        while shown + timedelta(minutes=1) < local:
            shown += timedelta(minutes=1)
            passed.append(shown)
        if any(is_due(time, cron) and time not in seen for time in passed):
            due.append(moment)
        seen.update(passed)
    return due


@given(
    st.tuples(*(field_of(*limits) for limits in LIMITS)).map(" ".join),
    st.sampled_from(ZONES),
    st.sampled_from(NEAR),
    st.integers(0, 14 * 60),
)
@settings(max_examples=int(os.environ.get("CRON_EXAMPLES", "60")), deadline=None)
def test_it_is_due_when_a_naive_walker_says_so(cron: str, zone: str, near: datetime, later: int) -> None:
    after, minutes = near + timedelta(minutes=later), 26 * 60
    try:
        found = next_due_times(cron, zone_of(zone), after, 26 * 60)
    except BadCron:
        assert walk(cron, zone_of(zone), after, minutes) == []
        return
    horizon = after + timedelta(minutes=minutes)
    assert [moment for moment in found if moment <= horizon] == walk(cron, zone_of(zone), after, minutes)

"""Wall-clock times: what is read as which, and what is refused."""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from src.domain.local_times import read_day, read_local

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
HALF_PAST_THREE = datetime(2021, 6, 30, 15, 30)
each = pytest.mark.parametrize


@each(
    ("text", "order", "wanted"),
    [
        ("2021-06-30T15:30", "ymd", HALF_PAST_THREE),
        ("2021-06-30 15:30", "ymd", HALF_PAST_THREE),
        (" 2021-06-30 15:30 ", "dmy", HALF_PAST_THREE),
        ("2021-06-30T15:30:07.25", "ymd", HALF_PAST_THREE.replace(second=7, microsecond=250_000)),
        ("2021-06-30", "ymd", datetime(2021, 6, 30)),
        ("30/06/2021 15:30", "dmy", HALF_PAST_THREE),
        ("30.6.2021 15:30", "dmy", HALF_PAST_THREE),
        ("06/30/2021 15:30", "mdy", HALF_PAST_THREE),
        ("03/04/2021", "dmy", datetime(2021, 4, 3)),
        ("03/04/2021", "mdy", datetime(2021, 3, 4)),
        ("2021-06-30T15:30Z", "ymd", datetime(2021, 6, 30, 12, 30)),
        ("2021-06-30T15:30-03:00", "ymd", HALF_PAST_THREE),
        ("2021-06-30T15:30+0900", "ymd", datetime(2021, 6, 30, 3, 30)),
        ("2021-01-01T01:00+02:00", "ymd", datetime(2020, 12, 31, 20, 0)),
    ],
)
def test_a_time_is_read_as_the_wall_clock_shows_it(text: str, order: Any, wanted: datetime) -> None:
    assert read_local(text, SAO_PAULO, order) == wanted


@each(
    ("text", "order"),
    [
        ("", "ymd"),
        ("now", "ymd"),
        ("infinity", "ymd"),
        ("2021-02-30", "ymd"),
        ("30/06/2021", "ymd"),
        ("13/13/2021", "dmy"),
        ("06/30/2021", "dmy"),
        ("2021-06-30 24:00", "ymd"),
        ("2021-06-30 15:60", "ymd"),
        ("2021-06-30 15", "ymd"),
        ("2021-06-30x15:30", "ymd"),
        ("2021-06-30 15:30 -03:00", "ymd"),
        ("2021-06-30 15:30+25:00", "ymd"),
        ("20210630", "ymd"),
        ("1625066100", "ymd"),
        ("0000-01-01", "ymd"),
        ("٢٠٢١-٠٦-٣٠", "ymd"),
        ("0001-01-01T00:00+10:00", "ymd"),
        ("9999-12-31T23:00-10:00", "ymd"),
    ],
)
def test_what_is_no_time_is_refused(text: str, order: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the reader's own, whatever it says
        read_local(text, SAO_PAULO, order)


def test_as_an_end_a_day_is_meant_to_its_last_moment_and_a_time_as_it_is() -> None:
    assert read_local("2021-06-30", SAO_PAULO, is_end=True) == datetime(2021, 6, 30, 23, 59, 59, 999_999)
    assert read_local("2021-06-30 15:30", SAO_PAULO, is_end=True) == HALF_PAST_THREE


def test_a_day_comes_with_what_follows_it() -> None:
    assert read_day("2021-06-30 15:30", "ymd") == (date(2021, 6, 30), " 15:30")

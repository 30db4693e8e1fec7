"""The life of a job, as rules."""

import json
from datetime import timedelta

from src.domain.errors import Conflict
from src.domain.jobs import LONGEST_WAIT, JobState, error_json, wait_before


def test_waits_double_and_end_at_five_minutes() -> None:
    assert [wait_before(attempt) for attempt in (0, 1, 2, 3)] == [timedelta(seconds=s) for s in (2, 2, 4, 8)]
    assert wait_before(10_000) == LONGEST_WAIT == timedelta(minutes=5)


def test_only_queued_and_running_jobs_are_not_over() -> None:
    assert [state for state in JobState if not state.is_over] == [JobState.QUEUED, JobState.RUNNING]


def test_an_error_is_kept_with_slug_title_and_detail() -> None:
    assert json.loads(error_json(Conflict("Because."))) == {
        "slug": "conflict",
        "title": Conflict.title,
        "detail": "Because.",
    }

"""flask schedules."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import func, update

from src.domain.ids import uuid7
from src.models import Schedule
from src.wiring import services
from tests.api.nouns import a_file, a_schedule
from tests.cli.conftest import Run
from tests.factories.accounts import Caller

Json = Callable[..., Any]


def test_schedules_are_listed_and_fired(run: Run, run_json: Json, operator: Caller) -> None:
    a_file(operator, name="sales-1.csv")
    made = a_schedule(operator, name="sales")
    assert "sales\t30 8 * * *\tUTC" in run("schedules", "list").stdout
    assert run_json("schedules", "fire") == [], "it is not due"
    with services() as s:
        ago = func.clock_timestamp() - timedelta(days=1)
        s.session.execute(update(Schedule).values(next_due=ago))
    fired = run_json("schedules", "fire", made["id"])
    assert fired[-1]["state"] == "started"
    assert all(row["schedule_id"] == made["id"] for row in fired)
    assert run_json("schedules", "fire") == []
    assert run_json("schedules", "list")[0]["id"] == made["id"]


def test_a_schedule_that_is_not_there_is_told_and_not_passed_over(run: Run) -> None:
    refused = run("schedules", "fire", str(uuid7()), code=1)
    assert "There is no such schedule" in refused.stderr

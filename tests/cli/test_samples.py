"""The samples of a first start: given to the administrator, loaded, and shown."""

import re

import pytest

from src.cli.samples import SAMPLES, load_samples
from src.domain.roles import Role
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import services
from tests.committing import Workshop
from tests.factories.imports import table


@pytest.fixture
def lines(workshop: Workshop) -> list[str]:
    workshop.accounts.grant(Role.ADMIN)
    return load_samples()


def work_off(workshop: Workshop) -> None:
    """Do all jobs, as a worker does, until none is left."""
    for _ in range(20):
        ids = [id_ for (id_,) in table("SELECT id FROM job WHERE state = 'queued' ORDER BY id")]
        if not ids:
            return
        with services() as s:
            s.job_leases.forget_hints()
        table("UPDATE job SET run_after = clock_timestamp() WHERE state = 'queued' RETURNING id")
        for id_ in ids:
            run_job(id_, HANDLERS)
    raise AssertionError("there is always one more job")


def test_every_sample_is_on_its_way_into_its_dataset(lines: list[str]) -> None:
    names = sorted(path.name for path in SAMPLES.glob("*.csv"))
    assert [name for (name,) in table("SELECT name FROM file ORDER BY name")] == names
    assert [name for (name,) in table("SELECT file_name FROM import ORDER BY file_name")] == names
    assert all(name in "\n".join(lines) for name in names)


def test_what_became_of_them_is_shown_and_who_attends_on_time(workshop: Workshop, lines: list[str]) -> None:
    work_off(workshop)
    result = workshop.app.test_cli_runner().invoke(args=["samples"])
    assert result.exit_code == 0, result.output
    assert "200 rows: 194 loaded, 1 there already, 5 refused" in result.output
    assert "80 rows: 75 loaded, 0 there already, 5 refused" in result.output
    percentages = [float(found) for found in re.findall(r"([0-9.]+) %", result.output)]
    assert len(percentages) == 5
    assert percentages == sorted(percentages, reverse=True)

"""Asking for a profile: one job per file that is about to be profiled."""

import pytest

from src.models import File
from src.services.profiles import KIND
from src.wiring import services
from tests.committing import Workshop


@pytest.fixture
def file(workshop: Workshop) -> File:
    return workshop.files.add()


def test_the_job_belongs_to_the_owner_of_the_file_and_names_it(workshop: Workshop, file: File) -> None:
    with services() as s:
        job = s.profiles.start(file)
    assert (job.kind, job.owner_id, job.args) == (KIND, file.owner_id, {"file_id": str(file.id)})


def test_while_one_waits_or_runs_it_is_the_answer_to_another_request(workshop: Workshop, file: File) -> None:
    with services() as s:
        first = s.profiles.start(file)
    with services() as s:
        assert s.profiles.start(file).id == first.id


@pytest.mark.parametrize("state", ["done", "failed", "cancelled", "dead"])
def test_after_its_end_a_new_one_is_made(workshop: Workshop, file: File, state: str) -> None:
    over = workshop.jobs.add_over(kind=KIND, args={"file_id": str(file.id)}, state=state)
    with services() as s:
        assert s.profiles.start(file).id != over.id


def test_another_file_has_a_job_of_its_own(workshop: Workshop, file: File) -> None:
    with services() as s:
        first = s.profiles.start(file)
    other = workshop.files.add()
    with services() as s:
        assert s.profiles.start(other).id != first.id

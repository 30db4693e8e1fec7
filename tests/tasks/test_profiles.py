"""The profile job: the whole file is read in a child process, and nothing is left of it on the way."""

from pathlib import Path

import pytest

from src.domain.jobs import JobState
from src.domain.roles import Actor
from src.models import File, Job
from src.services.profiles import KIND
from src.tasks import lease as lease_module
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import adapters, services
from tests.committing import Workshop


@pytest.fixture
def owner(workshop: Workshop) -> Actor:
    return workshop.files.owner()


@pytest.fixture
def file(workshop: Workshop, owner: Actor) -> File:
    return workshop.files.add(owner)


@pytest.fixture
def job(workshop: Workshop, file: File) -> Job:
    return workshop.jobs.add(kind=KIND, args={"file_id": str(file.id)})


def scratch() -> list[Path]:
    return list((adapters().settings.var_dir / "scratch").glob("*"))


def test_the_profile_is_kept_with_its_file_when_the_job_is_done(
    workshop: Workshop, file: File, job: Job
) -> None:
    assert run_job(job.id, HANDLERS) is JobState.DONE
    with services() as s:
        profile = s.file_rows.get(file.id).profile
    done = workshop.jobs.read(job.id)
    assert profile is not None
    assert done.result == {
        "file_id": str(file.id),
        "rows": profile["rows"],
        "profile": f"/api/v1/files/{file.id}/profile",
    }
    assert scratch() == []


def test_a_file_that_was_deleted_meanwhile_fails_the_job(
    workshop: Workshop, owner: Actor, file: File, job: Job
) -> None:
    with services() as s:
        s.files.delete(s.file_rows.get(file.id), owner)
    assert run_job(job.id, HANDLERS) is JobState.FAILED
    error = workshop.jobs.read(job.id).error
    assert error is not None
    assert error["slug"] == "file-not-found"


def test_a_file_whose_bytes_are_gone_fails_the_job(workshop: Workshop, file: File, job: Job) -> None:
    adapters().storage.delete(file.storage_key)
    assert run_job(job.id, HANDLERS) is JobState.FAILED
    error = workshop.jobs.read(job.id).error
    assert error is not None
    assert error["slug"] == "content-missing"
    assert scratch() == []


def test_a_worker_that_goes_down_hands_the_job_back_and_leaves_nothing_behind(
    workshop: Workshop, owner: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "_stopping", bytearray(b"\1"))
    large = workshop.files.add(owner, content=b"a,b,c\n" + b"1,two,3.5\n" * 300_000)
    job = workshop.jobs.add(kind=KIND, args={"file_id": str(large.id)})
    assert run_job(job.id, HANDLERS) is JobState.QUEUED
    assert workshop.jobs.read(job.id).attempts == 0
    assert scratch() == []


def test_what_a_killed_attempt_left_is_swept_by_the_next(workshop: Workshop, job: Job) -> None:
    left = adapters().settings.var_dir / "scratch" / f"{job.id}-0"
    left.mkdir(parents=True)
    (left / "half.parquet").write_bytes(b"half")
    assert run_job(job.id, HANDLERS) is JobState.DONE
    assert scratch() == []

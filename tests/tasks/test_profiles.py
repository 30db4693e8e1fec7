"""The profile job: the whole file is read in a child process, and nothing is left of it on the way."""

import gzip
import random
from dataclasses import replace
from pathlib import Path

import pytest

from src.domain.jobs import JobState
from src.domain.roles import Actor
from src.models import File, Job
from src.services.profiles import KIND
from src.tasks import lease as lease_module
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import EXTENSION, adapters, services
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


@pytest.mark.parametrize(("largest", "state"), [(20_000, JobState.FAILED), (40_000, JobState.DONE)])
def test_a_packed_file_may_unpack_to_so_much_as_the_settings_allow(
    workshop: Workshop, owner: Actor, largest: int, state: JobState
) -> None:
    dice = random.Random(7)
    content = b"id,code\n" + b"".join(b"%d,%08x\n" % (n, dice.randrange(2**32)) for n in range(15_000))
    assert 8 * 20_000 < len(content) < 8 * 40_000
    file = workshop.files.add(owner, name="a.csv.gz", content=gzip.compress(content))
    job = workshop.jobs.add(kind=KIND, args={"file_id": str(file.id)})
    mine = workshop.adapters
    settings = replace(mine.settings, max_upload_bytes=largest)
    workshop.app.extensions[EXTENSION] = replace(mine, settings=settings)
    assert run_job(job.id, HANDLERS) is state
    error = workshop.jobs.read(job.id).error
    assert (error or {}).get("slug") == ("archive-bomb" if state is JobState.FAILED else None)

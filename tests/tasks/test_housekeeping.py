"""The daily job that keeps the house clean."""

import pytest
from sqlalchemy import text

from src.domain.jobs import JobState
from src.services import housekeeping
from src.tasks import lease as lease_module
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import services
from tests.committing import Workshop

EXPIRED = text("clock_timestamp() - interval '1 s'")


def test_it_tells_what_it_removed(workshop: Workshop) -> None:
    workshop.jobs.add_over(ago=100 * 24 * 3600)
    for _ in range(3):
        workshop.files.add(expires_at=EXPIRED)
    job = workshop.jobs.add(kind=housekeeping.KIND)
    assert run_job(job.id, HANDLERS) is JobState.DONE
    done = workshop.jobs.read(job.id)
    assert done.result is not None
    assert done.result["rows"]["jobs"] == 1
    assert done.result["expired_files"] == 3
    assert done.progress is not None
    assert done.progress["done"] == 3


def test_files_go_slice_by_slice_and_what_is_done_stays_done(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "SLICE", 2)
    monkeypatch.setattr(lease_module, "_stopping", bytearray(1))
    delete = housekeeping.HousekeepingService.delete_expired_files

    def delete_and_be_stopped(service: housekeeping.HousekeepingService) -> int:
        lease_module.ask_to_stop()
        return delete(service)

    files = [workshop.files.add(expires_at=EXPIRED) for _ in range(3)]
    job = workshop.jobs.add(kind=housekeeping.KIND)
    with monkeypatch.context() as patch:
        patch.setattr(housekeeping.HousekeepingService, "delete_expired_files", delete_and_be_stopped)
        assert run_job(job.id, HANDLERS) is JobState.QUEUED
    with services() as s:
        assert sum(s.file_rows.find(file.id) is not None for file in files) == 1
    monkeypatch.setattr(lease_module, "_stopping", bytearray(1))
    assert run_job(job.id, HANDLERS) is JobState.DONE
    with services() as s:
        assert not any(s.file_rows.find(file.id) for file in files)

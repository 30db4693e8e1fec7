"""Scratch: folders for what jobs write on their way, named by job and fence, so that nobody's are known."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.config import Settings
from src.models import Job
from src.repositories.job_leases import JobLeaseRepository


@contextmanager
def scratch_folder(settings: Settings, job: Job) -> Iterator[Path]:
    """A folder of this attempt alone; a worker that is killed leaves it to the sweep."""
    folder = _root(settings) / f"{job.id}-{job.fence}"
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_scratch(settings: Settings, leases: JobLeaseRepository) -> int:
    """Remove this machine's folders of attempts that run no longer; answers how many."""
    if not _root(settings).exists():
        return 0
    found = list(_root(settings).iterdir())  # before asking: an attempt is known before its folder is made
    held = {f"{job_id}-{fence}" for job_id, fence in leases.held()}
    left = [folder for folder in found if folder.name not in held]
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
    return len(left)


def _root(settings: Settings) -> Path:
    return settings.var_dir / "scratch"

"""Scratch: folders for what is written by jobs, named by job and fence, or while someone waits."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.config import Settings
from src.models import Job
from src.repositories.job_leases import JobLeaseRepository

TRIAL = "trial-"
LONGEST_TRIAL = 3_600.0  # seconds; a look that somebody waits for takes a minute at most


@contextmanager
def scratch_folder(settings: Settings, job: Job) -> Iterator[Path]:
    """A folder of this attempt alone; a worker that is killed leaves it to the sweep."""
    folder = _root(settings) / f"{job.id}-{job.fence}"
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def trial_folder(settings: Settings) -> Iterator[Path]:
    """A folder for a look while someone waits; where the process is killed, the sweep takes it later."""
    _root(settings).mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=TRIAL, dir=_root(settings)) as folder:
        yield Path(folder)


def sweep_scratch(settings: Settings, leases: JobLeaseRepository) -> int:
    """Remove this machine's folders of attempts that run no longer, and of old looks; answers how many."""
    if not _root(settings).exists():
        return 0
    found = list(_root(settings).iterdir())  # before asking: an attempt is known before its folder is made
    held = {f"{job_id}-{fence}" for job_id, fence in leases.held()}
    left = [folder for folder in found if folder.name not in held and not _is_young_trial(folder)]
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
    return len(left)


def _is_young_trial(folder: Path) -> bool:
    """Whether somebody may be waiting for what is made in it."""
    if not folder.name.startswith(TRIAL):
        return False
    try:
        return time.time() - folder.stat().st_mtime < LONGEST_TRIAL
    except FileNotFoundError:  # it is over
        return True


def _root(settings: Settings) -> Path:
    return settings.var_dir / "scratch"

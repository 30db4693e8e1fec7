"""Stored files as tables that a job reads: proven to be what was stored, and profiled once for all jobs."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from src.domain.files import storage_key
from src.domain.ids import uuid7
from src.engine.profile import profile
from src.engine.queries.values import TableFile
from src.engine.reports.values import Table
from src.engine.values import Detected, Profile
from src.integrations.storage_upload import Upload
from src.models import File
from src.services.files import check_content, store
from src.services.operations import profile_of
from src.services.reading import read_limits
from src.tasks.running import JobRun


@dataclass(frozen=True)
class Tables:
    """Files of one attempt: read until `stack` is left, with a folder for what is made on the way."""

    run: JobRun
    folder: Path
    stack: ExitStack

    def table(self, file: File) -> Table:
        """A file with its profile: the one that is kept, or one that is made now and kept."""
        path = Path(self.stack.enter_context(self.run.adapters.storage.local_path(file.storage_key)))
        check_content(path, file)
        found = profile_of(file)
        if found is None:
            found = profiled(self.run, file, path, self.folder)
            with self.run.services() as s:
                s.files.keep_profile(file.id, found.to_json())
        return Table(TableFile(path, found.detected, found.regular), found)


def profiled(run: JobRun, file: File, path: Path, folder: Path) -> Profile:
    """What the whole file says about itself."""
    return profile(
        path,
        Detected.from_json(file.detected),
        work_dir=folder,
        on_progress=run.progress,
        should_stop=run.should_stop,
        limits=read_limits(run.adapters.settings),
    )


def stored(run: JobRun, path: Path) -> Upload:
    """A result's bytes, ahead of the transaction that names them: a slow store must not keep it waiting."""
    return store(run.adapters.storage, path, storage_key(uuid7(), run.job.fence))

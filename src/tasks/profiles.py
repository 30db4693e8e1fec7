"""The job that profiles a file: reads all of it, in a child process of bounded memory."""

from pathlib import Path
from uuid import UUID

from src.engine.sandbox import Stopped
from src.services.scratch import scratch_folder
from src.tasks.running import JobRun, Outcome
from src.tasks.tables import profiled


def profile_file(run: JobRun) -> Outcome:
    """Profile the file of the job's arguments, and keep what was found beside the file's row."""
    file_id = UUID(run.job.args["file_id"])
    with run.services() as s:
        file = s.file_rows.get(file_id)
        s.housekeeping.sweep_scratch()  # what a worker of this machine left that was killed
    with (
        scratch_folder(run.adapters.settings, run.job) as folder,
        run.adapters.storage.local_path(file.storage_key) as path,
    ):
        try:
            found = profiled(run, file, Path(path), folder)
        except Stopped:
            run.check()
            raise
    result = {"file_id": str(file_id), "rows": found.rows, "profile": f"/api/v1/files/{file_id}/profile"}
    return Outcome(result, save=lambda s: s.files.keep_profile(file_id, found.to_json()))

"""Who has which job, who reads which file, and when another one takes over."""

from contextlib import suppress
from pathlib import Path
from uuid import UUID

from tests.live import Live, Program, eventually

TAKEN_OVER = 45.0


def await_reader(live: Live, job_id: UUID) -> tuple[Program, int, int]:
    """Return when a child reads the file: the worker, its process that has the job, and that child."""
    live.await_state(job_id, "running", within=60)
    holder = int((live.job(job_id).worker or "").rpartition(":")[2])
    worker = next(one for one in live.programs if holder in one.family())
    readers: list[int] = []

    def is_read() -> bool:
        readers[:] = [child for child in worker.children(holder) if reads_from_store(live, child)]
        return bool(readers)

    eventually("a child reads the file", is_read, within=60)
    return worker, holder, readers[0]


def reads_from_store(live: Live, pid: int) -> bool:
    """Whether it has a stored file open; before that, it is only being started."""
    store = str(Path(live.workshop.settings.storage_url).resolve())
    with suppress(FileNotFoundError):
        return any(str(path.readlink()).startswith(store) for path in Path(f"/proc/{pid}/fd").iterdir())
    return False


def await_next_attempt(live: Live, job_id: UUID, fence: int) -> float:
    return eventually("the job is taken over", lambda: live.job(job_id).fence > fence, within=TAKEN_OVER)


def holders(live: Live, worker: Program) -> list[int]:
    """The worker's processes that have a job in hand."""
    held = {int((job.worker or ":0").rpartition(":")[2]) for job in live.jobs() if job.state == "running"}
    return [pid for pid in worker.family() if pid in held]

"""What is personal goes from the rows that imports have refused, too."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from src.domain.datasets import DATASETS
from src.domain.rejects import SHAPELESS
from src.domain.traces import Trace
from src.engine.imports.rejects import RejectedRow, rejected_rows, rewrite_rejects
from src.integrations.storage import Storage
from src.models import Import, Job
from src.repositories.files import FileRepository
from src.repositories.imports import ImportRepository
from src.repositories.jobs import JobRepository
from src.services.rejects import RejectsService

KIND = "forget_rejects"


class ErasureService:
    def __init__(self, session: Session, storage: Storage, rejects: RejectsService) -> None:
        self.imports = ImportRepository(session)
        self.files = FileRepository(session)
        self.jobs = JobRepository(session)
        self.storage = storage
        self.rejects = rejects

    def forget(self, import_id: UUID, trace: Trace, folder: Path) -> int | None:
        """Empty the refused rows of one import that are about the client; None while a job is at it."""
        if not self.imports.try_hold(import_id) or self.imports.is_in_work(import_id):
            return None
        imported = self.imports.get_own(import_id, None)
        file = self.files.find(imported.rejects_file_id)
        if file is None:
            return 0
        ids = _columns_of_ids(imported, self.imports.headers(imported))

        def emptied(row: RejectedRow) -> RejectedRow:
            return _emptied(row) if _is_about(row, trace, ids) else row

        with self.storage.local_path(file.storage_key) as source:
            count = sum(_is_about(row, trace, ids) for row in rejected_rows(Path(source)))
            if count:
                target = folder / f"{import_id}.parquet"
                rewrite_rejects(Path(source), target, emptied)
                self.rejects.keep(imported, target)
        return count

    def leave_for_later(self, job: Job, ids: list[UUID], rows: int) -> None:
        """Note in the job what it has yet to look at, so that it does not begin anew."""
        args = {**job.args, "left": [str(id_) for id_ in ids], "rows": rows}
        self.jobs.get(job.id).args = args


def _is_about(row: RejectedRow, trace: Trace, ids: frozenset[int]) -> bool:
    is_shapeless = not SHAPELESS.isdisjoint(fault.code for fault in row.faults)
    return trace.is_in(row.cells, ids, is_shapeless=is_shapeless)


def _emptied(row: RejectedRow) -> RejectedRow:
    """Its line and the kinds of its faults stay: they are counted."""
    faults = tuple(replace(fault, value="", detail="") for fault in row.faults)
    return replace(row, faults=faults, cells=("",) * len(row.cells))


def _columns_of_ids(imported: Import, headers: list[str]) -> frozenset[int]:
    """The columns that hold ids of clients."""
    dataset = DATASETS[imported.dataset]
    names = {field.name for field in dataset.fields if field.reference and field.reference.table == "client"}
    if dataset.table == "client" and dataset.key:
        names.add(dataset.key)
    columns = {imported.mapping[name] for name in names if name in imported.mapping}
    return frozenset(place for place, header in enumerate(headers) if header in columns)

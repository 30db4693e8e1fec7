"""Corrections: mended rejects of an import, loaded into it, and what that changes of its totals."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.orm import Session

from src.domain.errors import Conflict
from src.domain.imports import ImportState
from src.domain.roles import Actor
from src.engine.imports.correcting import Listed, Mended, mended_table
from src.engine.imports.evidence import Reading
from src.engine.imports.plans import LoadPlan
from src.engine.imports.returned import places_of
from src.engine.values import Detected
from src.models import File, Import
from src.repositories.files import FileRepository
from src.repositories.imports import ImportRepository
from src.services.imports import ImportService, changeable, must_be, rows_belong_to
from src.services.jobs import JobService
from src.services.load_plans import plan_for, readings_of
from src.services.load_results import Counts, Loading

KIND = "correction"


class NothingToCorrect(Conflict):
    slug = "nothing-to-correct"
    title = "The import has no rejects that could be corrected"


@dataclass(frozen=True, kw_only=True)
class Held:
    """A correction and its import, locked, with the file of its rejects, and how both are read."""

    correction: Import
    whole: Import
    rejects: File
    headers: list[str]
    plan: LoadPlan
    first_plan: LoadPlan


class CorrectionService:
    def __init__(self, session: Session, jobs: JobService, imports: ImportService) -> None:
        self.session = session
        self.rows = ImportRepository(session)
        self.files = FileRepository(session)
        self.jobs = jobs
        self.imports = imports

    def start(
        self, parent: Import, file: File, table: Detected, options: Mapping[str, str], by: Actor
    ) -> Import:
        """Put it in line, read as its import was; or answer the one in line of the same table."""
        whole = self.rows.get_own(rows_belong_to(parent), None)
        must_be(whole, ImportState.DONE)
        changeable(whole.dataset)
        if whole.rejects_file_id is None:
            raise NothingToCorrect
        places_of([column.name for column in table.columns], whole.headers)
        fingerprint = _fingerprint(file, whole, options)
        same = self.rows.find_same(fingerprint, whole.owner_id)
        if same is not None and same.committed_at is None:
            return same
        correction = self.rows.add(
            Import(
                owner_id=whole.owner_id,
                parent_id=whole.id,
                dataset=whole.dataset,
                file_id=file.id,
                file_name=file.name,
                fingerprint=fingerprint,
                detected=asdict(table),
                mapping=whole.mapping,
                options=dict(options),
                mode=whole.mode,
                on_error="skip_rows",
                report={"readings": _readings(whole, options)},
            )
        )
        args = {"import_id": str(correction.id)}
        self.imports.wait_for(self.jobs.enqueue(KIND, args, owner_id=whole.owner_id), correction, by)
        return self.rows.get_own(correction.id, None)

    def hold(self, import_id: UUID, job_id: UUID, time_zone: str) -> Held | None:
        """All that the job needs, held to its end; None while another correction of the import runs."""
        whole_id = rows_belong_to(self.rows.get_own(import_id, None))
        if not self.rows.try_hold(whole_id):
            return None
        correction = self.imports.to_finish(import_id, job_id)
        whole = self.rows.get_own(whole_id, None)
        rejects = self.files.find(whole.rejects_file_id)
        if rejects is None:
            raise NothingToCorrect
        table = mended_table(whole.headers)
        return Held(
            correction=correction,
            whole=whole,
            rejects=rejects,
            headers=whole.headers,
            plan=plan_for(correction, table, readings_of(correction), time_zone),
            first_plan=plan_for(whole, table, readings_of(whole), time_zone),
        )

    def note(self, held: Held, loading: Loading, mended: Mended, own: Listed, left: Listed) -> None:
        """The correction's counts, and those of its import with them; both must add up."""
        counts = loading.counts
        counts.rows_read += mended.refused + mended.unknown
        counts.duplicate, counts.rejected = own.duplicate, own.rejected
        counts.check()
        loading.summary = own.summary
        _note(held.correction, counts, loading.report)
        whole = held.whole
        total = Counts(
            rows_read=whole.rows_read,
            inserted=whole.inserted + counts.inserted,
            updated=whole.updated + counts.updated,
            unchanged=whole.unchanged + counts.unchanged,
            duplicate=left.duplicate,
            rejected=left.rejected,
        )
        total.check()
        _note(whole, total, {"summary": left.summary})


def _note(imported: Import, counts: Counts, report: Mapping[str, Any]) -> None:
    for name, count in asdict(counts).items():
        setattr(imported, name, count)
    imported.report = {**imported.report, **report}


def _readings(whole: Import, options: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """As the import's were settled, but for what the sender says of this table."""
    given: Any = {name: options[name] for name in ("decimal", "date_order") if name in options}
    return {
        name: asdict(Reading(**{**asdict(reading), **given})) for name, reading in readings_of(whole).items()
    }


def _fingerprint(file: File, whole: Import, options: Mapping[str, str]) -> str:
    parts = [file.sha256, str(whole.id), dict(options)]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()

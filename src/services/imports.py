"""Imports: looked at, mapped, put in line, taken back."""

from dataclasses import asdict
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm import Session

from src.domain.datasets import Dataset
from src.domain.errors import Conflict
from src.domain.imports import ImportState, state_of
from src.domain.mapping import check_mapping, mapping_of
from src.domain.roles import Actor
from src.models import File, Import, Job
from src.repositories.files import FileRepository
from src.repositories.imports import ImportRepository
from src.services.audit import AuditTrail
from src.services.import_terms import (
    Terms,
    check_bulk,
    check_mode,
    check_options,
    dataset_of,
    fingerprint_of,
)
from src.services.jobs import JobService
from src.services.looks import Look, described
from src.services.operations import OperationService, Steps
from src.services.rejects import RejectsService
from src.services.views import ViewService

KIND = "import"
UNDO = "undo_import"
COUNTS = ("rows_read", "inserted", "updated", "unchanged", "duplicate", "rejected")
NOT_LOADED = (
    ImportState.DRAFT,
    ImportState.VALIDATED,
    ImportState.FAILED,
    ImportState.CANCELLED,
    ImportState.DEAD,
)


class ImportIsFinal(Conflict):
    slug = "import-is-final"
    title = "This import can neither be undone nor corrected"


class LoadedMeanwhile(Conflict):
    slug = "import-loaded-meanwhile"
    title = "The same file was imported anew meanwhile"


class LoadedByAnother(Conflict):
    slug = "import-loaded-by-another"
    title = "Another account has loaded this file"


class NotInThisState(Conflict):
    slug = "import-not-in-this-state"
    title = "That cannot be done with this import now"


class ImportService:
    def __init__(self, session: Session, jobs: JobService, rejects: RejectsService) -> None:
        self.session = session
        self.imports = ImportRepository(session)
        self.files = FileRepository(session)
        self.operations = OperationService(session, jobs)
        self.audit = AuditTrail(session)
        self.jobs = jobs
        self.rejects = rejects
        self.views = ViewService(session, jobs)

    def draft(self, file: File, dataset: Dataset, look: Look, terms: Terms, by: Actor) -> Import:
        """Note how the file would be imported, for its owner to look at and change."""
        imported = self._made(file, dataset, look, terms, by)
        if terms.preparation:
            wish, others = terms.preparation.wish, terms.preparation.others
            imported.operation_id = self.operations.start(file, others, wish, by).id
        return self.imports.add(imported)

    def start(
        self, file: File, dataset: Dataset, look: Look, terms: Terms, by: Actor, *, is_forced: bool
    ) -> tuple[Import, bool]:
        """The import of this file, in line; or the one there is of the same file in the same way."""
        mapping = terms.mapping if terms.mapping is not None else mapping_of(look.proposals)
        check_mapping(dataset, mapping, look.headers)
        fingerprint = self._made(file, dataset, look, terms, by).fingerprint
        if not (is_forced or terms.is_dry_run) and (same := self.loaded_before(fingerprint, by)):
            return same, False
        imported = self.draft(file, dataset, look, terms, by)
        self._enqueue(imported, by, is_forced=is_forced)
        return imported, True

    def change(self, imported: Import, look: Look, terms: Terms) -> Import:
        """Map a draft anew."""
        must_be(imported, *NOT_LOADED)
        dataset = dataset_of(imported.dataset)
        mapping = terms.mapping if terms.mapping is not None else imported.mapping
        check_mode(dataset, terms.mode or imported.mode, mapping)
        if imported.operation_id:
            check_options(terms.options)
        imported.mapping, imported.mode = mapping, terms.mode or imported.mode
        imported.on_error, imported.max_errors = terms.on_error, terms.max_errors
        imported.max_error_rate, imported.options = terms.max_error_rate, terms.options
        imported.detected, imported.job_id = asdict(look.detected), None
        imported.fingerprint = fingerprint_of(*self._origin(imported), dataset, mapping, imported.mode, terms)
        imported.report = described(dataset, look, mapping, terms.options)
        self._forget_what_was_found(imported)
        self.session.expire(imported, ["job"])
        return self.imports.get_own(imported.id, None)

    def run(
        self, imported: Import, by: Actor, *, is_dry_run: bool, is_forced: bool = False
    ) -> tuple[Import, bool]:
        """Validate or commit a draft; or answer the import there is of the same file in the same way."""
        imported = self.imports.get_own(imported.id, None, is_locked=True)
        must_be(imported, *NOT_LOADED)
        if imported.file_id is None and imported.operation_id is None:
            raise NotInThisState("Its file was deleted. Send the file again.")
        check_mapping(dataset_of(imported.dataset), imported.mapping, imported.headers)
        if imported.is_bulk:
            check_bulk(dataset_of(imported.dataset), imported.mode, by)
        if not (is_forced or is_dry_run) and (same := self.loaded_before(imported.fingerprint, by)):
            return same, False
        imported.is_dry_run = is_dry_run
        self._enqueue(imported, by, is_forced=is_forced)
        return self.imports.get_own(imported.id, None), True

    def loaded_before(self, fingerprint: str, by: Actor) -> Import | None:
        """The import of the same file in the same way, loaded or about to be.

        Of one that is not theirs to see, they are told only that it is there, as they have its bytes.
        """
        same = self.imports.find_same(fingerprint, by.account_id)
        if same is not None and by.sees not in (None, same.owner_id):
            raise LoadedByAnother(
                f"It came on {same.created_at:%Y-%m-%d}. If its rows are wanted a second time: force=true"
            )
        return same

    def undo(self, imported: Import, by: Actor, *, is_dry_run: bool) -> Job:
        """Put the undoing in line; corrections go with their import."""
        imported = self.imports.get_own(imported.id, None, is_locked=True)
        must_be(imported, ImportState.DONE)
        changeable(imported.dataset)
        if imported.parent_id:
            raise NotInThisState(
                f"It is a correction; undo the import it belongs to: /api/v1/imports/{imported.parent_id}"
            )
        self.audit.note(by, "import.undo", "import", imported.id, is_dry_run=is_dry_run)
        args = {"import_id": str(imported.id), "is_dry_run": is_dry_run}
        return self.jobs.enqueue(UNDO, args, owner_id=imported.owner_id)

    def to_finish(self, import_id: UUID, job_id: UUID) -> Import:
        """The import, locked, if it still waits for this job: not for an old one that is tried again."""
        imported = self.imports.get_own(import_id, None, is_locked=True)
        if imported.job_id != job_id or imported.committed_at:
            raise NotInThisState("Another job has loaded it, or is about to.")
        if imported.parent_id:
            must_be(self.imports.get_own(imported.parent_id, None, is_locked=True), ImportState.DONE)
        elif not (imported.is_dry_run or (imported.job and imported.job.args.get("is_forced"))):
            self._must_be_the_latest(imported)
        return imported

    def landed(self, imported: Import) -> dict[str, str]:
        """Note that the rows become visible; answers the refreshes that follow, by view."""
        imported.committed_at = func.clock_timestamp()
        self.audit.note(None, "import.done", "import", imported.id, inserted=imported.inserted)
        if not (imported.inserted or imported.updated):
            return {}
        return {view: str(self.views.changed(view).id) for view in dataset_of(imported.dataset).views}

    def to_undo(self, import_id: UUID) -> Import:
        """The import, locked, once more found to be there to undo."""
        imported = self.imports.get_own(import_id, None, is_locked=True)
        must_be(imported, ImportState.DONE)
        return imported

    def undone(self, imported: Import) -> None:
        """Note that the rows of an import and of its corrections are gone."""
        for row in [imported, *self.imports.corrections_of(imported.id)]:
            if row.committed_at:
                row.undone_at = func.clock_timestamp()
        for view in dataset_of(imported.dataset).views:
            self.views.changed(view)
        self.audit.note(None, "import.undone", "import", imported.id)

    def _forget_what_was_found(self, imported: Import) -> None:
        """Nothing is counted yet, and what a job before has refused is gone."""
        self.rejects.keep(imported, None)
        for count in COUNTS:
            setattr(imported, count, 0)
        self.session.flush()

    def _made(self, file: File, dataset: Dataset, look: Look, terms: Terms, by: Actor) -> Import:
        mapping = terms.mapping if terms.mapping is not None else mapping_of(look.proposals)
        mode = terms.mode or (dataset.default_mode if dataset.key in mapping else "insert")
        check_mode(dataset, mode, mapping)
        if terms.is_bulk:
            check_bulk(dataset, mode, by)
        steps = terms.preparation.wish.steps if terms.preparation else []
        if steps:
            check_options(terms.options)
        return Import(
            owner_id=by.account_id,
            dataset=dataset.name,
            file_id=file.id,
            file_name=file.name,
            fingerprint=fingerprint_of(file.sha256, steps, dataset, mapping, mode, terms),
            detected=asdict(look.detected),
            mapping=mapping,
            options=terms.options,
            mode=mode,
            on_error=terms.on_error,
            max_errors=terms.max_errors,
            max_error_rate=terms.max_error_rate,
            is_dry_run=terms.is_dry_run,
            is_bulk=terms.is_bulk,
            report=described(dataset, look, mapping, terms.options),
        )

    def _origin(self, imported: Import) -> tuple[str, Steps]:
        """The bytes that were sent, and what is done with them before they are imported."""
        if imported.operation_id is None:
            return self.files.get(imported.file_id).sha256, []
        operation = self.operations.operations.get_own(imported.operation_id, None)
        return operation.file_sha256, operation.steps

    def _must_be_the_latest(self, imported: Import) -> None:
        """A job that is tried again loads no file a second time that was sent anew in the meantime."""
        later = self.imports.find_later(imported)
        if later is not None:
            raise LoadedMeanwhile(f"It is /api/v1/imports/{later.id}.", import_id=str(later.id))

    def _enqueue(self, imported: Import, by: Actor, *, is_forced: bool) -> None:
        args = {"import_id": str(imported.id), "is_forced": is_forced}
        self.wait_for(self.jobs.enqueue(KIND, args, owner_id=imported.owner_id), imported, by)

    def wait_for(self, job: Job, imported: Import, by: Actor) -> None:
        """This job will load it."""
        imported.job_id = job.id
        self._forget_what_was_found(imported)
        self.session.expire(imported, ["job"])
        action = "import.validated" if imported.is_dry_run else "import.started"
        self.audit.note(by, action, "import", imported.id, dataset=imported.dataset, file=imported.file_name)


def must_be(imported: Import, *states: ImportState) -> None:
    """Refuse what cannot be done in another state."""
    job = imported.job
    state = state_of(imported.undone_at, imported.committed_at, job.state if job else None)
    if state not in states:
        raise NotInThisState(f"It is {state}.")


def changeable(name: str) -> Dataset:
    """The dataset, if what was imported into it may still change."""
    dataset = dataset_of(name)
    if dataset.is_appended:
        raise ImportIsFinal(f"{dataset.title} are final: nothing is put in or taken out later.")
    return dataset


def rows_belong_to(imported: Import) -> UUID:
    """The import in whose name rows are written: corrections load into the one they correct."""
    return imported.parent_id or imported.id

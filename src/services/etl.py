"""Clients and their transactions in one go: two imports in order, then the statistics that follow."""

from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from src.domain.datasets import CLIENTS, TRANSACTIONS
from src.domain.errors import Conflict
from src.domain.imports import ImportState, state_of
from src.domain.jobs import JobState
from src.domain.mapping import check_mapping, mapping_of
from src.domain.roles import Actor
from src.models import File, Import, Job, ViewRefresh
from src.repositories.accounts import AccountRepository
from src.repositories.imports import ImportRepository
from src.repositories.jobs import JobRepository
from src.repositories.views import ViewRefreshRepository
from src.services.accounts import actor_of
from src.services.import_terms import Terms
from src.services.imports import ImportService
from src.services.jobs import JobService
from src.services.looks import Look

KIND = "etl"
STEPS = ("clients", "transactions")
STATISTICS = "transaction_statistics"
COUNTS = ("rows_read", "inserted", "updated", "unchanged", "duplicate", "rejected")


class EtlStopped(Conflict):
    slug = "etl-stopped"
    title = "One of the steps did not succeed"


class Source(NamedTuple):
    """A stored file, and how it is read."""

    file: File
    look: Look


class EtlService:
    def __init__(self, session: Session, jobs: JobService, imports: ImportService) -> None:
        self.session = session
        self.accounts = AccountRepository(session)
        self.import_rows = ImportRepository(session)
        self.job_rows = JobRepository(session)
        self.refreshes = ViewRefreshRepository(session)
        self.jobs = jobs
        self.imports = imports

    def start(
        self, clients: Source, transactions: Source, by: Actor, terms: Terms, *, is_forced: bool = False
    ) -> Job:
        """The job that sees to it: the clients are in line at once, their transactions wait for them."""
        first = self.imports.start(clients.file, CLIENTS, clients.look, terms, by, is_forced=is_forced)
        second = self._for_later(transactions, by, terms, is_forced=is_forced)
        steps = dict(zip(STEPS, (first, second), strict=True))
        args: dict[str, Any] = {step: str(imported.id) for step, (imported, _) in steps.items()}
        args["loaded_before"] = [step for step, (_, is_new) in steps.items() if not is_new]
        return self.jobs.enqueue(KIND, args, owner_id=by.account_id)

    def advance(self, job_id: UUID) -> dict[str, Any] | None:
        """Start the next step if the one before is done; the result of all, or None while there is more."""
        job = self.job_rows.get(job_id)
        clients, transactions = self.imports_of(job)
        if not _is_loaded(clients):
            return None
        if _state(transactions) is ImportState.DRAFT:
            owner = actor_of(self.accounts.get(transactions.owner_id))
            self.imports.run(transactions, owner, is_dry_run=False, is_forced=True)  # looked for at the start
            return None
        if not _is_loaded(transactions):
            return None
        refresh = self._refresh_of(transactions)
        if refresh is not None and not self._is_refreshed(refresh):
            return None
        before = self.loaded_before(job)
        counts = {row.dataset: _counts(row, is_new=row not in before) for row in (clients, transactions)}
        return counts | {"statistics": {"rows": refresh and refresh.rows, "views": "/api/v1/views"}}

    def imports_of(self, job: Job) -> list[Import]:
        """The imports of the job, in order."""
        return [self.import_rows.get_own(UUID(job.args[step]), None) for step in STEPS]

    def loaded_before(self, job: Job) -> list[Import]:
        """Those of its imports that were there when it began: nothing is loaded for them."""
        before = job.args.get("loaded_before", [])  # jobs of older releases do not know
        return [one for step, one in zip(STEPS, self.imports_of(job), strict=True) if step in before]

    def _for_later(self, source: Source, by: Actor, terms: Terms, *, is_forced: bool) -> tuple[Import, bool]:
        """A new draft of the import; or the one there is of the same file in the same way."""
        check_mapping(TRANSACTIONS, mapping_of(source.look.proposals), source.look.headers)
        drafted = self.imports.draft(source.file, TRANSACTIONS, source.look, terms, by)
        same = None if is_forced else self.imports.loaded_before(drafted.fingerprint, by)
        if same is None:
            return drafted, True
        self.session.delete(drafted)
        return same, False

    def _refresh_of(self, imported: Import) -> ViewRefresh | None:
        """The refresh that the import has asked for, if it changed anything and the record is kept still."""
        asked = ((imported.job and imported.job.result) or {}).get("refreshes", {}).get(STATISTICS)
        return self.refreshes.find(UUID(asked)) if asked else None

    def _is_refreshed(self, refresh: ViewRefresh) -> bool:
        if refresh.error is None:
            return refresh.finished_at is not None
        job = self.job_rows.find(refresh.job_id)
        if job is None or JobState(job.state).is_over:
            raise EtlStopped(f"The rows are loaded; the statistics were not refreshed: {refresh.error}")
        return False


def _state(imported: Import) -> ImportState:
    job_state = imported.job.state if imported.job else None
    return state_of(imported.undone_at, imported.committed_at, job_state)


def _is_loaded(imported: Import) -> bool:
    state = _state(imported)
    if state in (ImportState.QUEUED, ImportState.RUNNING):
        return False
    if state is not ImportState.DONE:
        error = (imported.job and imported.job.error) or {}
        raise EtlStopped(
            f"The import of {imported.dataset} is {state}. {error.get('detail', '')}".rstrip(),
            import_id=str(imported.id),
        )
    return True


def _counts(imported: Import, *, is_new: bool) -> dict[str, Any]:
    """What its import came to, now or, where it is a duplicate, when it was loaded."""
    counts = {name: getattr(imported, name) for name in COUNTS}
    id_ = str(imported.id)
    return {
        "import_id": id_,
        "import": f"/api/v1/imports/{id_}",
        "duplicate_of": None if is_new else id_,
        **counts,
    }

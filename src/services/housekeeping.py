"""Keeps the house clean: what is past its time goes, what nobody names goes, and the books are checked."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from src.config import Settings
from src.database import after_commit
from src.domain.errors import DomainError
from src.domain.files import FOLDER
from src.integrations.storage import Storage, StoredKey
from src.models import File
from src.repositories.files import FileRepository
from src.repositories.job_leases import JobLeaseRepository
from src.repositories.made_names import makers_in_vain, remove_unused_names
from src.services.files import FileService
from src.services.scratch import sweep_scratch
from src.services.sending import delivery_store
from src.services.stores import StoreService

KIND = "housekeeping"
ORPHAN_AGE = timedelta(hours=3)  # no upload takes so long, even by a clock that is an hour off
SLICE = 500

# Where there is an index, it is asked with the time of the statement: a clock that runs on is no use to it.
DELETE_OLD = {
    "jobs": "DELETE FROM job WHERE finished_at < clock_timestamp() - :job_days * interval '1 day' "
    "AND kind <> 'etl' AND NOT EXISTS (SELECT FROM import WHERE import.job_id = job.id)",
    "deliveries": "DELETE FROM delivery WHERE finished_at < clock_timestamp() - :job_days * interval '1 day' "
    "OR (state = 'promised' AND job_id IS NULL)",
    "schedule runs": "DELETE FROM schedule_run WHERE created_at < clock_timestamp() - :job_days * interval "
    "'1 day' AND state <> 'waiting' AND NOT has_product",
    "operations": "DELETE FROM operation WHERE created_at < clock_timestamp() - :job_days * interval '1 day' "
    "AND coalesce(job_id, result_file_id) IS NULL "
    "AND NOT EXISTS (SELECT FROM import WHERE import.operation_id = operation.id)",
    "reports": "DELETE FROM report WHERE created_at < clock_timestamp() - :job_days * interval '1 day' "
    "AND coalesce(job_id, table_file_id, file_id, unmatched_file_id, uncomputable_file_id) IS NULL",
    "idempotency keys": "DELETE FROM idempotency_key WHERE expires_at < statement_timestamp()",
    "logins": "DELETE FROM token_family WHERE expires_at < statement_timestamp()",
    "login throttles": "DELETE FROM login_throttle "
    "WHERE updated_at < statement_timestamp() - interval '2 days'",
    "view refreshes": "DELETE FROM view_refresh AS r USING view_refresh AS newer WHERE r.view = newer.view "
    "AND newer.id > r.id AND newer.finished_at IS NOT NULL AND newer.error IS NULL "
    "AND r.finished_at < clock_timestamp() - :job_days * interval '1 day'",
    "places of gaps": "DELETE FROM alert_sweep AS s WHERE NOT EXISTS (SELECT FROM alert_watch AS w "
    "WHERE w.rule_id = s.rule_id AND w.begun_at = s.begun_at)",
    "processes": "DELETE FROM process WHERE seen_at < clock_timestamp() - interval '1 day'",
}


class Fault(NamedTuple):
    """One thing that the check of the store found."""

    file_id: str
    fault: str


class HousekeepingService:
    def __init__(self, session: Session, storage: Storage, settings: Settings, files: FileService) -> None:
        self.session = session
        self.rows = FileRepository(session)
        self.storage = storage
        self.settings = settings
        self.files = files

    def delete_old_rows(self) -> dict[str, int]:
        """Delete what is past its retention; answers how much of each."""
        values = {"job_days": self.settings.job_days}
        return {
            what: int(self.session.execute(text(sql), values if ":job_days" in sql else {}).rowcount)  # type: ignore[attr-defined]  # CursorResult
            for what, sql in DELETE_OLD.items()
        }

    def remove_unused_names(self) -> int:
        """Angels, polos and clients that imports made which came to nothing; answers how many."""
        removed = (remove_unused_names(self.session, id_) for id_ in makers_in_vain(self.session))
        return sum(sum(names.values()) for names in removed)

    def delete_expired_files(self) -> int:
        """One slice of the files past their time; call again until it answers 0."""
        expired = self.rows.expired(SLICE)
        for file in expired:
            self.files.delete(file, None)
        return len(expired)

    def sweep_storage(self, *, age: timedelta = ORPHAN_AGE) -> int:
        """Delete stored bytes that no row names and that are old enough not to be an upload in progress.

        Only what lies where our files lie, in the store that belongs to the database; and a database that
        knows no file at all is rather the wrong database than a store full of orphans.
        """
        StoreService(self.session, self.storage).check()
        # Listing a large store takes long, and the transaction that waits for it holds nothing.
        self.session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        now: datetime = self.session.scalars(select(func.clock_timestamp())).one()
        before = now - age
        swept = self.storage.sweep_unfinished(before)
        if not self.rows.has_any():
            return swept
        ours = (stored for stored in self.storage.keys(before) if stored.key.startswith(FOLDER))
        for keys in _slices(ours):
            known = self.rows.known_keys([stored.key for stored in keys])
            for stored in keys:
                if stored.key not in known:  # a slow store must not keep the transaction waiting
                    after_commit(self.session, partial(self.storage.delete, stored.key))
                    swept += 1
        return swept

    def sweep_delivery_folders(self, *, age: timedelta = ORPHAN_AGE) -> int:
        """Remove what was never published whole: the worker that copied it was killed."""
        now: datetime = self.session.scalars(select(func.clock_timestamp())).one()
        stores = (delivery_store(self.settings, name) for name in self.settings.delivery_roots)
        return sum(store.sweep_unfinished(now - age) for store in stores if store)

    def sweep_scratch(self) -> int:
        return sweep_scratch(self.settings, JobLeaseRepository(self.session))


def check_storage(storage: Storage, files: Iterable[File], *, deep: bool = False) -> Iterator[Fault]:
    """Every row has its bytes: there, of the right size and, when deep, with the right SHA-256."""
    for file in files:
        fault = _fault_of(storage, file, deep=deep)
        if fault:
            yield Fault(str(file.id), fault)


def _fault_of(storage: Storage, file: File, *, deep: bool) -> str:
    try:
        if storage.size(file.storage_key) != file.size:
            return "the stored content has another size"
        if deep and storage.sha256(file.storage_key) != file.sha256:
            return "the stored content has another SHA-256"
    except DomainError as error:
        return error.detail
    return ""


def _slices(keys: Iterator[StoredKey]) -> Iterator[list[StoredKey]]:
    while found := list(islice(keys, SLICE)):
        yield found

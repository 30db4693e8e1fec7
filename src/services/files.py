"""Files: looked at before they are kept, counted against the quota, deleted with their bytes."""

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm import Session

from src.config import Settings
from src.database import DatabaseUnavailable, after_commit
from src.domain.errors import Invalid
from src.domain.files import clean_name
from src.domain.ids import uuid7
from src.domain.roles import Actor
from src.engine.reading.detect import detect
from src.engine.reading.preview import Preview, preview
from src.engine.sandbox import Stopped, never
from src.engine.values import Detected, ShouldStop
from src.integrations.storage import Storage
from src.integrations.storage_upload import Upload
from src.models import File
from src.repositories.accounts import AccountRepository
from src.repositories.files import FileRepository
from src.services.audit import AuditTrail
from src.services.reading import Readers


class FileCorrupt(Invalid):
    slug = "file-corrupt"
    title = "The stored file is damaged"


NO_LIMIT = 2**62
BLOCK = 1024 * 1024
PARQUET = "application/vnd.apache.parquet"


class FileService:
    def __init__(self, session: Session, storage: Storage, settings: Settings) -> None:
        self.session = session
        self.files = FileRepository(session)
        self.accounts = AccountRepository(session)
        self.audit = AuditTrail(session)
        self.storage = storage
        self.settings = settings

    def keep(self, upload: Upload, detected: Detected, *, name: str, actor: Actor) -> File:
        """Make the row that names a finished upload, and book its bytes in the same transaction."""
        self.accounts.count_bytes(actor.account_id, upload.size, self.settings.quota_bytes)
        file = self.files.add(
            File(
                id=uuid7(),
                owner_id=actor.account_id,
                kind="upload",
                name=clean_name(name),
                size=upload.size,
                sha256=upload.sha256,
                media_type=detected.media_type,
                detected=asdict(detected),
                storage_key=upload.key,
                expires_at=_in_days(self.settings.upload_days),
            )
        )
        self.audit.note(actor, "file.uploaded", "file", file.id, size=file.size, sha256=file.sha256)
        return file

    def keep_produced(
        self,
        upload: Upload,
        *,
        owner_id: UUID,
        name: str,
        detected: Detected | None = None,
        is_for_good: bool = False,
        media_type: str = PARQUET,
    ) -> File:
        """Make the row of a file that the service itself made; it counts, but no quota refuses it.

        One `is_for_good` goes with another record, and with nothing else.
        """
        self.accounts.count_bytes(owner_id, upload.size, NO_LIMIT)
        return self.files.add(
            File(
                id=uuid7(),
                owner_id=owner_id,
                kind="produced",
                name=clean_name(name),
                size=upload.size,
                sha256=upload.sha256,
                media_type=detected.media_type if detected else media_type,
                detected=asdict(detected) if detected else {},
                storage_key=upload.key,
                expires_at=None if is_for_good else _in_days(self.settings.produced_days),
            )
        )

    def replace(self, former: File) -> None:
        """What the service made goes when there is a newer one; nobody has to be told."""
        self._delete(former)

    def delete(self, file: File, actor: Actor | None) -> None:
        """Delete a file for its owner, or because its time is over."""
        self._delete(file)
        self.audit.note(actor, "file.deleted" if actor else "file.expired", "file", file.id, name=file.name)

    def _delete(self, file: File) -> None:
        """The row goes first, the bytes after the commit; a crash in between leaves them to the sweep."""
        self.files.delete(file)
        self.accounts.count_bytes(file.owner_id, -file.size, self.settings.quota_bytes)
        after_commit(self.session, lambda: self.storage.delete(file.storage_key))

    def keep_profile(self, file_id: UUID, profile: dict[str, Any]) -> None:
        self.files.keep_profile(file_id, profile)


def _in_days(days: int) -> Any:
    return func.clock_timestamp() + timedelta(days=days)


def store(storage: Storage, path: Path, key: str) -> Upload:
    """Bring a file of this machine into the store; until a row names it, a crash leaves it to the sweep."""
    with storage.create(key) as upload:
        with path.open("rb") as content:
            shutil.copyfileobj(content, upload, BLOCK)
        upload.finish()
    return upload


def inspect(storage: Storage, readers: Readers, upload: Upload, name: str) -> Detected:
    """Finish an upload and see what it is; what we don't accept leaves nothing behind."""
    upload.finish()
    try:
        with storage.local_path(upload.key) as path:
            return detect(Path(path), clean_name(name), readers.limits, in_turn=readers.turn)
    except BaseException:
        storage.delete(upload.key)
        raise


def check_content(path: Path, file: File, should_stop: ShouldStop = never) -> None:
    """Raise unless the bytes are those that were stored."""
    digest, block = hashlib.sha256(), memoryview(bytearray(BLOCK))
    with path.open("rb", buffering=0) as content:
        while size := content.readinto(block):
            if should_stop():
                raise Stopped
            digest.update(block[:size])
    if digest.hexdigest() != file.sha256:
        raise FileCorrupt("Its bytes are not those that were uploaded. Upload it again.")


@contextmanager
def checked_beside(path: Path, file: File, should_stop: ShouldStop) -> Iterator[Callable[[], None]]:
    """The same, while the caller begins to read; what is yielded waits for it, and raises what it raises.

    If the bytes are wrong, that is told in place of whatever has failed: it may have failed for that.
    """
    is_over = threading.Event()
    with ThreadPoolExecutor(1, "checking") as threads:
        checking = threads.submit(check_content, path, file, lambda: is_over.is_set() or should_stop())
        try:
            yield checking.result
        except Exception:
            if isinstance(corrupt := checking.exception(), FileCorrupt):
                raise corrupt from None
            raise
        finally:
            is_over.set()


@contextmanager
def deleted_unless_kept(storage: Storage, upload: Upload) -> Iterator[None]:
    """Around the unit of work that keeps an upload: if that fails, its bytes go too.

    When the database breaks off, the row may be committed after all: then the sweep decides about the bytes.
    """
    try:
        yield
    except DatabaseUnavailable:
        raise
    except BaseException:
        storage.delete(upload.key)
        raise


def preview_of(storage: Storage, readers: Readers, file: File, rows: int, sheet: str | None) -> Preview:
    """The first rows of a stored file."""
    with storage.local_path(file.storage_key) as path:
        detected = Detected.from_json(file.detected)
        return preview(Path(path), detected, rows, sheet=sheet, limits=readers.limits, in_turn=readers.turn)

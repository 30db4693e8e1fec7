"""The rows that an import did not load, kept as a file that goes with it."""

from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from src.domain.files import storage_key
from src.domain.ids import uuid7
from src.integrations.storage import Storage
from src.models import Import
from src.repositories.files import FileRepository
from src.services.files import FileService, store


class RejectsService:
    def __init__(self, session: Session, storage: Storage, files: FileService) -> None:
        self.session = session
        self.rows = FileRepository(session)
        self.storage = storage
        self.files = files

    def keep(self, imported: Import, path: Path | None) -> None:
        """These are the import's rejects from now on, or there are none any more.

        The new bytes are there before the transaction points to them, the old ones go after its commit:
        whenever the process dies, one of the two is whole, and the sweep finds the other.
        """
        former = self.rows.find(imported.rejects_file_id)
        imported.rejects_file_id = None if path is None else self._stored(imported, path)
        self.session.flush()
        if former is not None:
            self.files.replace(former)

    def _stored(self, imported: Import, path: Path) -> UUID:
        upload = store(self.storage, path, storage_key(uuid7()))
        name = f"{Path(imported.file_name).stem}-rejects.parquet"
        kept = self.files.keep_produced(upload, owner_id=imported.owner_id, name=name, is_for_good=True)
        return kept.id

"""Which store of files belongs to which database: both bear the same id, or neither (ADR 0022)."""

from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from src.domain.errors import Unavailable
from src.integrations.storage import Storage
from src.integrations.storage_faults import MissingContent
from src.models import Store

MARK = "store-id"
ONE = select(Store).where(Store.is_ours)
WHAT_TO_DO = (
    "Look at STORAGE_URL and DATABASE_URL. Where they are right, and files of another database that lie "
    "there may go: flask --app src.app storage adopt"
)


class WrongStore(Unavailable):
    slug = "wrong-store"
    title = "The store of files belongs to another database"


class StoreService:
    """A database names its store before it marks it: a crash in between leaves what the next start ends."""

    def __init__(self, session: Session, storage: Storage) -> None:
        self.session = session
        self.storage = storage

    def check(self) -> None:
        """Raise when the store and the database are no pair. Before the first start, neither bears an id."""
        store, marked = self.session.scalars(ONE).one_or_none(), self.mark()
        if store is None and marked is not None:
            raise WrongStore(f"It bears the id {marked}, and the database knows of no store. {WHAT_TO_DO}")
        if store is not None and marked is None and store.is_marked:
            raise WrongStore(
                f"The database's store has the id {store.id}, and this one none: is it mounted? {WHAT_TO_DO}"
            )
        if store is not None and marked not in (None, store.id):
            raise WrongStore(f"It bears the id {marked}; the database's has {store.id}. {WHAT_TO_DO}")

    def name(self) -> None:
        """Give this database's store an id, unless it has one."""
        self.check()
        self.session.execute(insert(Store).values(id=uuid4()).on_conflict_do_nothing())

    def mark_as_named(self) -> None:
        """Write the id into the store. Whoever comes at the same time waits, and finds it done."""
        store = self.session.scalars(ONE.with_for_update()).one()
        self.check()
        if not store.is_marked:
            self._write(store.id)
            store.is_marked = True

    def adopt(self) -> UUID:
        """Make the store this database's own. The one that it belonged to is refused from now on."""
        store = self.session.merge(Store(is_ours=True, id=uuid4(), is_marked=True))
        self._write(store.id)
        return store.id

    def mark(self) -> UUID | None:
        """The id that the store bears."""
        try:
            with self.storage.open(MARK) as stream:
                return UUID(stream.read(36).decode("ascii"))
        except MissingContent:
            return None
        except ValueError as error:
            raise WrongStore(f"Its mark «{MARK}» is no id. {WHAT_TO_DO}") from error

    def _write(self, store_id: UUID) -> None:
        with self.storage.create(MARK) as upload:
            upload.write(f"{store_id}\n".encode())
            upload.finish()

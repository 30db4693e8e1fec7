"""Clients: found by the id that files and requests use, numbered when they come without one, and erased."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, any_, func, select, text
from sqlalchemy.dialects.postgresql import array, insert
from sqlalchemy.exc import IntegrityError

from src.domain.errors import Conflict, NotFound
from src.domain.outside_ids import client_address
from src.domain.paging import Page, PageQuery
from src.models import Atendimento, Client, Event, File, Import, ImportChange, Operation, Transaction
from src.models.clients import CLIENT_NUMBER
from src.repositories.base import Repository

PERSONAL = ("name", "email", "date_of_birth", "country", "account_balance")
CONDITIONS: dict[str, Callable[[Any], ColumnElement[bool]]] = {
    "name": lambda part: Client.name.icontains(part, autoescape=True),
    "email": lambda part: Client.email.icontains(part, autoescape=True),
    "country": lambda country: func.lower(Client.country) == func.lower(country),
    "min_balance": lambda amount: Client.account_balance >= amount,
    "max_balance": lambda amount: Client.account_balance <= amount,
    "created_after": lambda moment: Client.created_at >= moment,
    "created_before": lambda moment: Client.created_at <= moment,
}
FORGET_FORMER_VALUES = text("""
    UPDATE import_change AS c SET before = before - CAST(:personal AS text[]) FROM import AS i
    WHERE i.id = c.import_id AND i.dataset = 'clients' AND c.row_id = :id AND before ?| :personal
""")
# That of now, and former ones, unless another client has them by now: then they stand for that one.
ADDRESSES = text("""
    SELECT email FROM client WHERE id = :id AND email IS NOT NULL
    UNION
    SELECT former.email FROM import_change AS c JOIN import AS i ON i.id = c.import_id,
        LATERAL (SELECT before ->> 'email' AS email) AS former
    WHERE i.dataset = 'clients' AND c.row_id = :id AND former.email IS NOT NULL
        AND NOT EXISTS (SELECT FROM client AS other WHERE other.id <> :id AND other.email = former.email)
""")
# The first rows of a file, as its import shows them; a row is the client's if it holds the id or an address.
OF_CLIENT = """(row @> to_jsonb(CAST(:external_id AS text))
    OR EXISTS (SELECT FROM unnest(CAST(:emails AS text[])) AS own (email)
        WHERE lower(row::text)::jsonb @> to_jsonb(own.email)))"""
FORGET_SAMPLES = text(f"""
    UPDATE import SET report = jsonb_set(report, '{{sample}}', (
        SELECT coalesce(jsonb_agg(row ORDER BY place), '[]')
        FROM jsonb_array_elements(report -> 'sample') WITH ORDINALITY AS shown (row, place)
        WHERE NOT {OF_CLIENT}))
    WHERE EXISTS (SELECT FROM jsonb_array_elements(report -> 'sample') AS row WHERE {OF_CLIENT})
    RETURNING id
""")


class ClientNotFound(NotFound):
    slug = "client-not-found"
    title = "There is no such client"


class ClientExists(Conflict):
    slug = "client-exists"
    title = "There is a client of this id already"


class EmailTaken(Conflict):
    slug = "email-taken"
    title = "Another client has this e-mail address"


class HeldFile(NamedTuple):
    """A file that may hold what is known of a client, and the import that it has to do with."""

    file: File
    imported: Import


class ClientRepository(Repository[Client]):
    model = Client
    orderings: ClassVar = {"id": Client.id, "client_id": Client.external_id}
    numbered: ClassVar = {name: getattr(Client, name) for name in (*PERSONAL, "created_at", "updated_at")}
    missing = ClientNotFound

    def find_by_external_id(self, external_id: str, *, is_locked: bool = False) -> Client | None:
        """The client of this outside id, deleted or not; locked, others who want to change it wait."""
        if "\x00" in external_id:  # an address can hold it, a text of PostgreSQL cannot
            return None
        statement = select(Client).where(Client.external_id == external_id)
        if is_locked:
            statement = statement.with_for_update().execution_options(populate_existing=True)
        return self.session.scalar(statement)

    def get_by_external_id(self, external_id: str, *, is_locked: bool = False) -> Client:
        found = self.find_by_external_id(external_id, is_locked=is_locked)
        if found is None or found.deleted_at is not None:
            raise ClientNotFound
        return found

    def search(self, query: PageQuery, **filters: Any) -> Page[Client]:
        conditions = [CONDITIONS[name](value) for name, value in filters.items() if value is not None]
        return self.page(query, Client.deleted_at.is_(None), *conditions)

    def create(self, external_id: str, values: Mapping[str, Any]) -> Client:
        """A new client, or a deleted one that comes back with just these values."""
        blank = dict.fromkeys(PERSONAL[:-1]) | {"account_balance": 0}
        insertion = insert(Client).values(external_id=external_id, **values)
        revived = {
            **blank,
            **values,
            "deleted_at": None,
            "version": Client.version + 1,
            "updated_at": func.clock_timestamp(),
        }
        statement = insertion.on_conflict_do_update(
            index_elements=[Client.external_id], set_=revived, where=Client.deleted_at.is_not(None)
        )
        made = self._made(statement.returning(Client), values)
        if made is None:
            raise ClientExists(f"It is at {client_address(external_id)}.")
        return made

    def create_numbered(self, values: Mapping[str, Any]) -> Client:
        """A new client with the next number that is nobody's id."""
        while True:
            number = int(self.session.execute(select(CLIENT_NUMBER.next_value())).scalar_one())
            statement = insert(Client).values(external_id=str(number), **values)
            made = self._made(
                statement.on_conflict_do_nothing(index_elements=[Client.external_id]).returning(Client),
                values,
            )
            if made is not None:
                return made
            self.session.execute(select(func.setval(CLIENT_NUMBER.name, self._last_taken(number))))

    def flush(self, client: Client, email: str | None) -> None:
        """Write what was changed, and read what the database made of it."""
        with self._one_address_once(email):
            self.session.flush()
        self.session.refresh(client)

    def forget_former_values(self, client: Client) -> int:
        """Take the personal values out of what imports would put back; how many records had some."""
        values = {"id": client.id, "personal": list(PERSONAL)}
        return int(self.session.execute(FORGET_FORMER_VALUES, values).rowcount)  # type: ignore[attr-defined]  # a result

    def addresses(self, client: Client) -> list[str]:
        """The e-mail addresses that the client has or had, as far as an import could put them back."""
        return list(self.session.scalars(ADDRESSES, {"id": client.id}))

    def forget_samples(self, client: Client, emails: Sequence[str]) -> list[UUID]:
        """Take the client's rows out of the first rows that imports show; of which imports."""
        values = {"external_id": client.external_id, "emails": list(emails)}
        return list(self.session.scalars(FORGET_SAMPLES, values))

    def files_about(self, client: Client, more: Sequence[UUID]) -> list[HeldFile]:
        """The files of imports that brought or changed rows of this client, or have shown some.

        Where a recipe made the file of another one, both are named.
        """
        visits = select(Atendimento.id).where(Atendimento.client_id == client.id)
        rows = (
            select(Client.import_id).where(Client.id == client.id),
            _changers("clients", ImportChange.row_id == client.id),
            select(Transaction.import_id).where(Transaction.client_id == client.id),
            select(Atendimento.import_id).where(Atendimento.client_id == client.id),
            _changers("atendimentos", ImportChange.row_id.in_(visits)),
            select(Event.import_id).where(Event.client_id == client.id),
        )
        known = select(rows[0].union(*rows[1:]).subquery().c.import_id)
        brought = Import.id.in_(known) | Import.parent_id.in_(known) | Import.id.in_(more)
        statement = (
            select(File, Import)
            .select_from(Import)
            .outerjoin(Operation, Operation.id == Import.operation_id)
            .join(File, File.id == any_(array([Import.file_id, Operation.file_id])))
            .where(brought)
            .order_by(File.id, Import.id)
        )
        found = {row.File.id: HeldFile(*row) for row in self.session.execute(statement)}
        return list(found.values())

    def _made(self, statement: Any, values: Mapping[str, Any]) -> Client | None:
        with self._one_address_once(values.get("email")):
            found: Client | None = self.session.scalar(
                statement, execution_options={"populate_existing": True}
            )
        return found

    @contextmanager
    def _one_address_once(self, email: str | None) -> Iterator[None]:
        """Two at once with one address: an exclusion constraint alone would end them by a deadlock."""
        if email is not None:
            lock = select(func.pg_advisory_xact_lock(func.hashtext(f"client-email {email}")))
            with self.session.no_autoflush:  # the change itself comes after the lock
                self.session.execute(lock)
        try:
            yield
        except IntegrityError as error:
            if "ex_client_email" in str(error.orig):
                raise EmailTaken from error
            raise

    def _last_taken(self, number: int) -> int:
        """The end of a run of taken numbers: by doubled steps, then by halves, as the ids may be millions."""
        low, step = number, 1
        while self._is_taken(low + step):
            low, step = low + step, step * 2
        high = low + step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._is_taken(middle) else (low, middle)
        return low

    def _is_taken(self, number: int) -> bool:
        taken = select(Client.id).where(Client.external_id == str(number))
        return self.session.scalar(taken) is not None


def _changers(dataset: str, condition: ColumnElement[bool]) -> Select[Any]:
    """The imports that changed such rows of a dataset; the ids of another one mean other rows."""
    changed = select(ImportChange.import_id).join(Import, Import.id == ImportChange.import_id)
    return changed.where(Import.dataset == dataset, condition)

"""Angels, polos and clients by the names that requests use: found, or made, whoever else makes them too."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import InstrumentedAttribute, Session

from src.models import Angel, Client, Polo

ATTEMPTS = 5  # each fails only if another transaction made the name, and took it away before we looked


class NameRepository:
    """Each name comes back with its row held, so that nobody removes it before this is committed."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def client_id(self, external_id: str) -> int:
        return self._id(Client.id, Client.external_id, external_id)

    def angel_id(self, name: str) -> int:
        return self._id(Angel.id, Angel.name, name)

    def polo_id(self, name: str) -> int:
        return self._id(Polo.id, Polo.name, name)

    def _id(self, id_: InstrumentedAttribute[int], column: InstrumentedAttribute[str], name: str) -> int:
        held = select(id_).where(column == name).with_for_update(read=True, key_share=True)
        making = insert(column.class_).values({column: name}).on_conflict_do_nothing(index_elements=[column])
        for _ in range(ATTEMPTS):
            found = self.session.scalar(held)
            if found is None:
                found = self.session.scalar(making.returning(id_))
            if found is not None:
                return found
        raise LookupError(f"{column} {name!r} comes and goes")

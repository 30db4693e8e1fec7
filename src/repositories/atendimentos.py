"""Atendimentos, and the angels and polos they name; what is deleted is not there."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar, NamedTuple, TypeVar
from urllib.parse import quote

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import contains_eager

from src.domain.errors import Conflict, NotFound
from src.domain.paging import Page, PageQuery
from src.models import Angel, AngelRollup, Atendimento, Base, Client, Polo, PoloRollup
from src.repositories.base import Repository

N = TypeVar("N", Angel, Polo)
LARGEST_ID = 2**63 - 1
IS_ON_TIME = Atendimento.data_de_atendimento <= Atendimento.data_limite
FILTERS: dict[str, Callable[[Any], ColumnElement[bool]]] = {
    "id_atendimento": lambda external_id: Atendimento.external_id == external_id,
    "id_cliente": lambda external_id: Client.external_id == external_id,
    "angel": lambda name: Angel.name == name,
    "polo": lambda name: Polo.name == name,
    "status": lambda status: Atendimento.status == status,
    "first": lambda moment: Atendimento.data_limite >= moment,
    "last": lambda moment: Atendimento.data_limite <= moment,
    "on_time": IS_ON_TIME.is_,
    "import_id": lambda import_id: Atendimento.import_id == import_id,
}


class AtendimentoNotFound(NotFound):
    slug = "atendimento-not-found"
    title = "There is no such atendimento"


class AtendimentoExists(Conflict):
    slug = "atendimento-exists"
    title = "There is an atendimento with this id_atendimento already"


class AtendimentoRepository(Repository[Atendimento]):
    model = Atendimento
    orderings: ClassVar = {
        "id": Atendimento.id,
        "data_limite": Atendimento.data_limite,
        "data_de_atendimento": Atendimento.data_de_atendimento,
    }
    numbered: ClassVar = {
        "cliente_id": Client.external_id,
        "angel": Angel.name,
        "polo": Polo.name,
        "status": Atendimento.status,
        "created_at": Atendimento.created_at,
        "updated_at": Atendimento.updated_at,
    }
    missing = AtendimentoNotFound

    def find(self, id_: int) -> Atendimento | None:
        return self._one(self._with_names(), id_)

    def lock(self, id_: int) -> Atendimento:
        """The atendimento, to be changed: others who want to change it wait until this is committed."""
        found = self._one(self._with_names().with_for_update(of=Atendimento), id_)
        if found is None:
            raise AtendimentoNotFound
        return found

    def insert(self, **columns: Any) -> Atendimento:
        row = Atendimento(**columns)
        self.session.add(row)
        try:
            self.session.flush()
        except IntegrityError as error:
            if "uq_atendimento_external_id" in str(error.orig):
                raise AtendimentoExists(
                    f"It is found by /api/v1/atendimento?id_atendimento={quote(columns['external_id'])}"
                ) from error
            raise
        return self.reread(row)

    def reread(self, row: Atendimento) -> Atendimento:
        """The row as the database has it now, with its names."""
        self.session.flush()
        fresh = self._with_names().where(Atendimento.id == row.id)
        return self.session.scalars(fresh.execution_options(populate_existing=True)).one()

    def search(self, query: PageQuery, **filters: Any) -> Page[Atendimento]:
        conditions = [FILTERS[name](value) for name, value in filters.items() if value is not None]
        return self.page(query, *conditions)

    def _one(self, statement: Select[Atendimento], id_: int) -> Atendimento | None:
        if id_ > LARGEST_ID:  # a number in an address can be anything
            return None
        fresh = statement.where(Atendimento.id == id_).execution_options(populate_existing=True)
        return self.session.scalar(fresh)

    def _select(self) -> Select[Atendimento]:
        return self._with_names()

    def _with_names(self) -> Select[Atendimento]:
        """One statement for rows and names: no query per row."""
        parts = (Atendimento.client, Atendimento.angel, Atendimento.polo)
        statement = select(Atendimento).where(Atendimento.deleted_at.is_(None))
        for part in parts:
            statement = statement.join(part)
        return statement.options(*(contains_eager(part) for part in parts))


class Counted(NamedTuple):
    """An angel or a polo with its counts."""

    id: int
    name: str
    created_at: datetime
    atendimentos: int
    attended: int
    on_time: int


class CountedNames(Repository[N]):
    """Names, each with what its rollup says."""

    rollup: ClassVar[type[Base]]
    key: ClassVar[str]

    def search(self, query: PageQuery) -> Page[Counted]:
        """Two statements: the names of the page, and their counts."""
        page = self.page(query)
        counts = self._counts([row.id for row in page.rows])
        return Page(
            [_counted(row, *counts.get(row.id, (0, 0, 0))) for row in page.rows], page.next, page.prev
        )

    def _counts(self, ids: list[int]) -> dict[int, tuple[int, int, int]]:
        key = getattr(self.rollup, self.key)
        sums = (func.sum(getattr(self.rollup, name)) for name in ("on_time", "late", "open"))
        rows = self.session.execute(select(key, *sums).where(key.in_(ids)).group_by(key))
        return {id_: (int(on_time), int(late), int(is_open)) for id_, on_time, late, is_open in rows}


def _counted(row: Angel | Polo, on_time: int, late: int, is_open: int) -> Counted:
    attended = on_time + late
    return Counted(row.id, row.name, row.created_at, attended + is_open, attended, on_time)


class AngelRepository(CountedNames[Angel]):
    model = Angel
    orderings: ClassVar = {"id": Angel.id, "name": Angel.name, "created_at": Angel.created_at}
    rollup = AngelRollup
    key = "angel_id"


class PoloRepository(CountedNames[Polo]):
    model = Polo
    orderings: ClassVar = {"id": Polo.id, "name": Polo.name, "created_at": Polo.created_at}
    rollup = PoloRollup
    key = "polo_id"

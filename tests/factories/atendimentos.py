"""Atendimentos for tests, recorded as a request records them."""

from datetime import datetime
from functools import cache
from itertools import count
from typing import Any

from src.models import Atendimento
from src.wiring import services

LIMIT = datetime(2021, 6, 30, 15, 30)
_numbers = count(1)


def an_atendimento(**values: Any) -> Atendimento:
    """One that was attended an hour early, unless it is said otherwise."""
    with services() as s:
        return s.atendimentos.record(**_given(values))


def atendimentos(*many: dict[str, Any]) -> list[int]:
    """The same of each of these values, in a few statements; answers their ids."""
    with services() as s:
        names = s.atendimentos.names
        client_id, angel_id, polo_id = map(cache, (names.client_id, names.angel_id, names.polo_id))
        rows = [
            Atendimento(
                client_id=client_id(given.pop("id_cliente")),
                angel_id=angel_id(given.pop("angel")),
                polo_id=polo_id(given.pop("polo")),
                **given,
            )
            for given in map(_given, many)
        ]
        s.session.add_all(rows)
        s.session.flush()
        return [row.id for row in rows]


def _given(values: dict[str, Any]) -> dict[str, Any]:
    given = {
        "id_cliente": str(next(_numbers)),
        "angel": "Rita",
        "polo": "Centro",
        "data_limite": LIMIT,
        "data_de_atendimento": LIMIT.replace(hour=14),
        "status": "DONE",
    }
    return given | values

"""Atendimentos for tests, recorded as a request records them."""

from datetime import datetime
from itertools import count
from typing import Any

from src.models import Atendimento
from src.wiring import services

LIMIT = datetime(2021, 6, 30, 15, 30)
_numbers = count(1)


def an_atendimento(**values: Any) -> Atendimento:
    """One that was attended an hour early, unless it is said otherwise."""
    given = {
        "id_cliente": str(next(_numbers)),
        "angel": "Rita",
        "polo": "Centro",
        "data_limite": LIMIT,
        "data_de_atendimento": LIMIT.replace(hour=14),
        "status": "DONE",
    }
    with services() as s:
        return s.atendimentos.record(**given | values)

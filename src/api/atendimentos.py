"""Atendimentos: record, list, change, delete; and the angels and polos they name."""

from typing import Any

from flask import Response

from src.api.authentication import actor
from src.api.blueprint import OPERATOR, VIEWER, Blueprint, body_fingerprint
from src.api.conditional import check_if_match, with_etag
from src.api.idempotency import kept, once, respond
from src.api.lists import listing
from src.api.ranges import check_range
from src.api.schemas.atendimentos import (
    ATENDIMENTO,
    NAME,
    AtendimentoCreateSchema,
    AtendimentoList,
    AtendimentoPatchSchema,
    AtendimentoPutSchema,
    AtendimentoQuery,
    AtendimentoSchema,
    NameList,
)
from src.api.schemas.lists import ListQuery
from src.api.schemas.local_times import DateOrderQuery
from src.services.idempotency import Answer
from src.wiring import Services, services

blp = Blueprint(
    "atendimentos",
    url_prefix="/api/v1",
    description="Visits to clients by angels of polos. Dates are wall-clock times of the business.",
    for_keys=True,
)
ALL = "/atendimento"
ONE = "/atendimento/<int:atendimento_id>"
FILTERS = ("id_atendimento", "id_cliente", "angel", "polo", "status", "first", "last", "on_time", "import_id")


@blp.get(ALL, needs=VIEWER)
@blp.arguments(AtendimentoQuery, location="query")
@blp.lists(AtendimentoList)
def list_atendimentos(query: dict[str, Any]) -> Response:
    """Atendimentos, newest first. `from` and `to` are about `data_limite`, both included."""
    check_range(query.get("first"), query.get("last"), "to")
    filters = {name: query.get(name) for name in FILTERS}
    return listing(
        query, ATENDIMENTO, lambda s, page: s.atendimento_rows.search(page, **filters), "atendimentos"
    )


@blp.post(ALL, needs=OPERATOR, takes_key=True)
@blp.arguments(DateOrderQuery, location="query")
@blp.arguments(AtendimentoCreateSchema)
@blp.response(201, AtendimentoSchema)
def create_atendimento(_query: dict[str, Any], body: dict[str, Any]) -> Response:
    """Record an atendimento. A client, angel or polo that is not there yet is made."""
    body.pop("date_order", None)
    with services() as s:
        return respond(once(s, body_fingerprint(), lambda: _recorded(s, body)))


def _recorded(s: Services, body: dict[str, Any]) -> Answer:
    made = s.atendimentos.record(**body)
    answer = with_etag(made, ATENDIMENTO, 201)
    answer.headers["Location"] = f"/api/v1/atendimento/{made.id}"
    return kept(answer)


@blp.get(ONE, needs=VIEWER)
@blp.response(200, AtendimentoSchema)
def get_atendimento(atendimento_id: int) -> Response:
    """One atendimento."""
    with services() as s:
        return with_etag(s.atendimento_rows.get(atendimento_id), ATENDIMENTO)


@blp.put(ONE, needs=OPERATOR)
@blp.arguments(DateOrderQuery, location="query")
@blp.arguments(AtendimentoPutSchema)
@blp.response(200, AtendimentoSchema)
def put_atendimento(_query: dict[str, Any], body: dict[str, Any], atendimento_id: int) -> Response:
    """Set both dates; a status that is left out stays."""
    return _changed(body, atendimento_id)


@blp.patch(ONE, needs=OPERATOR)
@blp.arguments(DateOrderQuery, location="query")
@blp.arguments(AtendimentoPatchSchema)
@blp.response(200, AtendimentoSchema)
def patch_atendimento(_query: dict[str, Any], body: dict[str, Any], atendimento_id: int) -> Response:
    """Change dates or status; without a done date it is not attended yet."""
    return _changed(body, atendimento_id)


def _changed(body: dict[str, Any], atendimento_id: int) -> Response:
    body.pop("date_order", None)
    with services() as s:
        row = s.atendimento_rows.lock(atendimento_id)
        check_if_match(row, ATENDIMENTO)
        return with_etag(s.atendimentos.update(row, body), ATENDIMENTO)


@blp.delete(ONE, needs=OPERATOR)
@blp.response(204)
def delete_atendimento(atendimento_id: int) -> Response:
    """Delete it: it no longer shows, and no longer counts in any indicator."""
    with services() as s:
        row = s.atendimento_rows.lock(atendimento_id)
        check_if_match(row, ATENDIMENTO)
        s.atendimentos.delete(row, actor())
    return Response(status=204)


@blp.get("/angels", needs=VIEWER)
@blp.arguments(ListQuery, location="query")
@blp.lists(NameList)
def list_angels(query: dict[str, Any]) -> Response:
    """Angels, each with its counts."""
    return listing(query, NAME, lambda s, page: s.angel_rows.search(page), "angels")


@blp.get("/polos", needs=VIEWER)
@blp.arguments(ListQuery, location="query")
@blp.lists(NameList)
def list_polos(query: dict[str, Any]) -> Response:
    """Polos, each with its counts."""
    return listing(query, NAME, lambda s, page: s.polo_rows.search(page), "polos")

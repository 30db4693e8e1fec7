"""Clients: the customers that atendimentos, transactions and events point to."""

from typing import Any

from flask import Response, json

from src.api.authentication import actor
from src.api.blueprint import OPERATOR, VIEWER, Blueprint
from src.api.conditional import check_if_match, with_etag
from src.api.lists import listing
from src.api.ranges import check_range
from src.api.rate_limits import client_limit
from src.api.schemas.atendimentos import ATENDIMENTO, AtendimentoList
from src.api.schemas.clients import (
    CLIENT,
    ERASURE,
    ClientCreateSchema,
    ClientList,
    ClientPatchSchema,
    ClientQuery,
    ClientSchema,
    DeleteQuery,
    ErasureSchema,
)
from src.api.schemas.lists import ListQuery
from src.domain.outside_ids import client_address
from src.domain.roles import Policy, Role
from src.repositories.clients import CONDITIONS
from src.wiring import services

blp = Blueprint(
    "clients", url_prefix="/api/v1/clients", description="Customers and what is theirs.", for_keys=True
)
RANGES = (("min_balance", "max_balance"), ("created_after", "created_before"))
ERASE = Policy(Role.ADMIN, "clients:write")


@blp.get("", needs=VIEWER)
@client_limit
@blp.arguments(ClientQuery, location="query")
@blp.lists(ClientList)
def list_clients(query: dict[str, Any]) -> Response:
    """Clients, newest first."""
    for first, last in RANGES:
        check_range(query.get(first), query.get(last), last)
    query["per_page"] = query.get("limit", query["per_page"])
    filters = {name: query.get(name) for name in CONDITIONS}
    return listing(query, CLIENT, lambda s, page: s.client_rows.search(page, **filters), "clients")


@blp.post("", needs=OPERATOR)
@blp.arguments(ClientCreateSchema)
@blp.response(201, ClientSchema)
def create_client(body: dict[str, Any]) -> Response:
    """Make a client; one that was deleted comes back."""
    with services() as s:
        client = s.clients.create(body.pop("client_id", None), body, actor())
    answer = with_etag(client, CLIENT, 201)
    answer.headers["Location"] = client_address(client.external_id)
    return answer


@blp.get("/<outside_id:client_id>", needs=VIEWER)
@blp.response(200, ClientSchema)
def get_client(client_id: str) -> Response:
    """One client, by the id that files use."""
    with services() as s:
        return with_etag(s.client_rows.get_by_external_id(client_id), CLIENT)


@blp.patch("/<outside_id:client_id>", needs=OPERATOR)
@blp.arguments(ClientPatchSchema)
@blp.response(200, ClientSchema)
def patch_client(body: dict[str, Any], client_id: str) -> Response:
    """Change what is given."""
    with services() as s:
        client = s.client_rows.get_by_external_id(client_id, is_locked=True)
        check_if_match(client, CLIENT)
        return with_etag(s.clients.update(client, body, actor()), CLIENT)


@blp.delete("/<outside_id:client_id>", needs=OPERATOR)
@blp.arguments(DeleteQuery, location="query")
@blp.response(200, ErasureSchema, description="What was erased, and which files may still hold it.")
@blp.alt_response(204, description="Deleted.", success=True)
def delete_client(query: dict[str, Any], client_id: str) -> Response:
    """Delete the client; what points to it stays. With `erase`, also what is personal goes."""
    if query["erase"]:
        ERASE.check(actor())
        with services() as s:
            if known := s.client_rows.find_by_external_id(client_id, is_locked=True):
                check_if_match(known, CLIENT)
            erased = ERASURE.dump(s.clients.erase(client_id, actor()))
        return Response(json.dumps(erased), mimetype="application/json")
    with services() as s:
        client = s.client_rows.get_by_external_id(client_id, is_locked=True)
        check_if_match(client, CLIENT)
        s.clients.delete(client, actor())
    return Response(status=204)


@blp.get("/<outside_id:client_id>/atendimentos", needs=VIEWER, scope="atendimentos")
@blp.arguments(ListQuery, location="query")
@blp.lists(AtendimentoList)
def list_client_atendimentos(query: dict[str, Any], client_id: str) -> Response:
    """A client's atendimentos, newest first."""
    with services() as s:
        id_ = s.client_rows.get_by_external_id(client_id).external_id
    return listing(
        query, ATENDIMENTO, lambda s, page: s.atendimento_rows.search(page, id_cliente=id_), "atendimentos"
    )

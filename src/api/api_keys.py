"""API keys: for machines, by their owners."""

from typing import Any
from uuid import UUID

from flask import Response, json

from src.api.authentication import actor, owner_filter
from src.api.blueprint import VIEWER, Blueprint
from src.api.lists import listing
from src.api.schemas.accounts import API_KEY, ApiKeyCreateSchema, ApiKeyList, ApiKeySchema, NewApiKeySchema
from src.api.schemas.lists import ListQuery
from src.wiring import services

blp = Blueprint("api-keys", url_prefix="/api/v1/api-keys", description="Ways in for machines.")


@blp.get("", needs=VIEWER)
@blp.arguments(ListQuery, location="query")
@blp.lists(ApiKeyList)
def list_keys(query: dict[str, Any]) -> Response:
    """My API keys; for administrators, everybody's."""
    owner = owner_filter()
    return listing(query, API_KEY, lambda s, page: s.api_key_rows.search(page, owner_id=owner), "api-keys")


@blp.post("", needs=VIEWER)
@blp.arguments(ApiKeyCreateSchema)
@blp.response(201, NewApiKeySchema)
def create_key(body: dict[str, Any]) -> Response:
    """A new key. Its secret is in this answer and nowhere else."""
    with services() as s:
        key, secret = s.api_keys.create(actor().account_id, by=actor(), **body)
    answer = Response(
        json.dumps(API_KEY.dump(key) | {"key": secret}), status=201, mimetype="application/json"
    )
    answer.headers["Location"] = f"/api/v1/api-keys/{key.id}"
    return answer


@blp.get("/<uuid:key_id>", needs=VIEWER)
@blp.response(200, ApiKeySchema)
def get_key(key_id: UUID) -> Any:
    """One key, without its secret."""
    with services() as s:
        return s.api_key_rows.get_own(key_id, owner_filter())


@blp.delete("/<uuid:key_id>", needs=VIEWER)
@blp.response(204)
def revoke_key(key_id: UUID) -> Response:
    """Revoke the key, at once."""
    with services() as s:
        s.api_keys.revoke(s.api_key_rows.get_own(key_id, owner_filter()), actor())
    return Response(status=204)

"""The audit trail, for administrators."""

from typing import Any

from flask import Response
from marshmallow import fields

from src.api.blueprint import ADMIN, Blueprint
from src.api.lists import listing
from src.api.schemas.base import Schema
from src.api.schemas.lists import ListQuery, list_schema

blp = Blueprint("audit", url_prefix="/api/v1/audit", description="Who did what to which object, and when.")


class AuditEntrySchema(Schema):
    id = fields.Integer(required=True)
    at = fields.AwareDateTime(required=True)
    account_id = fields.UUID(required=True, allow_none=True)
    account_name = fields.String(required=True)
    action = fields.String(required=True)
    object_type = fields.String(required=True)
    object_id = fields.String(required=True)
    detail = fields.Dict(required=True)
    request_id = fields.String(required=True, allow_none=True)
    address = fields.String(required=True, allow_none=True)


class AuditQuery(ListQuery):
    account_id = fields.UUID()
    action = fields.String()
    object_id = fields.String()


@blp.get("", needs=ADMIN)
@blp.arguments(AuditQuery, location="query")
@blp.lists(list_schema(AuditEntrySchema))
def list_entries(query: dict[str, Any]) -> Response:
    """The trail, newest first."""
    filters = {name: query.get(name) for name in ("account_id", "action", "object_id")}
    return listing(query, AuditEntrySchema(), lambda s, page: s.audit_rows.search(page, **filters), "audit")

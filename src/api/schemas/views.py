"""Materialized views and their refreshes, as administrators and curious readers see them."""

from marshmallow import fields

from src.api.schemas.base import Schema
from src.api.schemas.lists import list_schema


class ViewSchema(Schema):
    name = fields.String(required=True)
    rows = fields.Integer(required=True, allow_none=True)
    as_of = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "All that was there then is in it."}
    )
    refreshed_at = fields.AwareDateTime(required=True, allow_none=True)
    duration = fields.Float(required=True, allow_none=True, metadata={"description": "In seconds."})
    is_running = fields.Boolean(required=True)
    waiting = fields.Integer(required=True, metadata={"description": "Requests for the next refresh."})
    last_error = fields.String(
        required=True, allow_none=True, metadata={"description": "Of the last refresh, if it failed."}
    )


class ViewsSchema(Schema):
    data = fields.List(fields.Nested(ViewSchema), required=True)


class ViewRefreshSchema(Schema):
    id = fields.UUID(required=True)
    view = fields.String(required=True)
    job_id = fields.UUID(required=True, allow_none=True)
    requested_by = fields.UUID(required=True, allow_none=True)
    served_by = fields.UUID(
        required=True, allow_none=True, metadata={"description": "The refresh that did this one's work too."}
    )
    requested_at = fields.AwareDateTime(required=True)
    started_at = fields.AwareDateTime(required=True, allow_none=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)
    duration = fields.Float(required=True, allow_none=True, metadata={"description": "In seconds."})
    rows = fields.Integer(required=True, allow_none=True)
    error = fields.String(required=True, allow_none=True)


REFRESH = ViewRefreshSchema()
RefreshList = list_schema(ViewRefreshSchema)

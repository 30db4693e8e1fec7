"""Deliveries, as their owners see them, and the secret that webhooks are signed with."""

from marshmallow import fields, validate

from src.api.schemas.base import Schema
from src.api.schemas.jobs import JobErrorSchema
from src.api.schemas.lists import ListQuery, list_schema
from src.domain.deliveries import Channel, DeliveryState, On

STATE = validate.OneOf([state.value for state in DeliveryState])


class DeliverySchema(Schema):
    id = fields.UUID(required=True)
    owner_id = fields.UUID(required=True)
    what = fields.String(required=True, metadata={"description": "`job.done`, `alert.raised`, …"})
    channel = fields.String(required=True, validate=validate.OneOf([channel.value for channel in Channel]))
    address = fields.String(required=True)
    state = fields.String(required=True, validate=STATE)
    attempts = fields.Integer(required=True)
    error = fields.Nested(JobErrorSchema, required=True, allow_none=True)
    job_id = fields.UUID(required=True, allow_none=True, metadata={"description": "What it tells of."})
    wanted_on = fields.String(required=True, validate=validate.OneOf([on.value for on in On]))
    file_id = fields.UUID(required=True, allow_none=True)
    group_key = fields.String(required=True, allow_none=True)
    joined_to = fields.UUID(
        required=True, allow_none=True, metadata={"description": "The delivery that it went with."}
    )
    payload = fields.Dict(required=True)
    due_at = fields.AwareDateTime(required=True)
    created_at = fields.AwareDateTime(required=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)


class DeliveryQuery(ListQuery):
    state = fields.String(validate=STATE)
    job_id = fields.UUID()


class WebhookSecretSchema(Schema):
    created_at = fields.AwareDateTime(required=True, allow_none=True)
    former_until = fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={"description": "Until then webhooks are signed with the former secret too."},
    )


class NewWebhookSecretSchema(WebhookSecretSchema):
    secret = fields.String(required=True, metadata={"description": "Shown this once."})


DELIVERY = DeliverySchema()
DeliveryList = list_schema(DeliverySchema)
NEW_SECRET = NewWebhookSecretSchema()

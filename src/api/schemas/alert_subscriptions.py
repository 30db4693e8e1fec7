"""Subscriptions of alerts: where they are told, of which rule, how often at most."""

from marshmallow import fields, validate

from src.api.schemas.base import Schema
from src.api.schemas.lists import list_schema
from src.api.schemas.notify import TargetsSchema
from src.domain.deliveries import Channel

MOST_OFTEN = {"description": "What is raised meanwhile goes together, in the next message."}
A_DAY = 86_400


class SubscriptionTargetSchema(Schema):
    channel = fields.String(required=True, validate=validate.OneOf([channel.value for channel in Channel]))
    address = fields.String(required=True)


class AlertSubscriptionSchema(Schema):
    id = fields.UUID(required=True)
    owner_id = fields.UUID(required=True)
    rule_id = fields.UUID(required=True, allow_none=True)
    targets = fields.List(fields.Nested(SubscriptionTargetSchema), required=True)
    every_seconds = fields.Integer(required=True)
    created_at = fields.AwareDateTime(required=True)


class AlertSubscriptionCreateSchema(TargetsSchema):
    rule_id = fields.UUID(
        load_default=None, allow_none=True, metadata={"description": "Left out: the alerts of all rules."}
    )
    every_seconds = fields.Integer(
        load_default=60, validate=validate.Range(min=0, max=A_DAY), metadata=MOST_OFTEN
    )


SUBSCRIPTION = AlertSubscriptionSchema()
AlertSubscriptionList = list_schema(AlertSubscriptionSchema)
